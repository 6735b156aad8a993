"""SageMaker's data plane, called as a server calls it."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from local.sagemaker import DataPlane, start_container, stop_container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.local.conftest import FakeDocker

INVOKE = "/endpoints/digits/invocations"


class Container(BaseHTTPRequestHandler):
    """What the image answers when it is started with `serve`: /invocations, or a refusal."""

    def do_POST(self) -> None:
        """Echo the body; refuse what says so."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400 if b"wrong" in body else 200)
        self.send_header("Content-Type", "application/x-answer")
        self.end_headers()
        self.wfile.write(f"{self.path} {self.headers['Content-Type']} ".encode() + body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def container(docker_command: FakeDocker) -> Iterator[FakeDocker]:
    """A running container that Docker knows by its labels."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Container) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        docker_command.answer("ps", "abc123\n")
        docker_command.answer("port", f"127.0.0.1:{server.server_address[1]}\n")
        yield docker_command
        server.shutdown()


def control_plane(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What moto would answer."""
    start_response("418 Moto", [])
    return [str(environ["PATH_INFO"]).encode()]


def ask(path: str, body: bytes = b"", kind: str = "") -> tuple[str, dict[str, str], bytes]:
    """One request to the application: status line, headers, body."""
    seen: list[Any] = []
    environ = {
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": kind,
        "wsgi.input": io.BytesIO(body),
    }
    answer = DataPlane("4567", control_plane)(environ, lambda *args: seen.extend(args))
    return seen[0], dict(seen[1]), b"".join(answer)


def test_health() -> None:
    """The emulator waits for it."""
    status, _, body = ask("/health")
    assert (status, body) == ("200 OK", b"ok")


@pytest.mark.parametrize(
    "path", ["/", "/endpoints", "/endpoints/a/b", "/endpoints/a/b/invocations"]
)
def test_everything_else_is_motos(path: str) -> None:
    """The control plane's calls pass through untouched."""
    assert ask(path) == ("418 Moto", {}, path.encode())


def test_invocation_reaches_the_endpoints_container(container: FakeDocker) -> None:
    """Body and kind arrive at /invocations, and the answer's come back."""
    status, headers, body = ask(INVOKE, b"[1]", "application/json")
    assert (status, headers["Content-Type"]) == ("200 OK", "application/x-answer")
    assert body == b"/invocations application/json [1]"
    filters = {"--filter=label=thimble.emulator=4567", "--filter=label=thimble.endpoint=digits"}
    assert filters <= set(container.calls[0])


@pytest.mark.usefixtures("container")
def test_refusal_is_a_model_error() -> None:
    """SageMaker wraps whatever its container refuses in a 424 with the original inside."""
    status, headers, body = ask(INVOKE, b"wrong")
    assert (status, headers["x-amzn-ErrorType"]) == ("424 Failed Dependency", "ModelError")
    document = json.loads(body)
    assert document["OriginalStatusCode"] == 400
    assert document["OriginalMessage"].endswith("wrong")


def test_no_container(docker_command: FakeDocker) -> None:
    """An endpoint that nothing serves is a 503, not a crash."""
    docker_command.answer("ps", "")
    status, headers, body = ask(INVOKE, b"[1]")
    assert (status[:3], headers["x-amzn-ErrorType"]) == ("503", "ServiceUnavailable")
    assert b"does not answer" in body


def test_container_that_went_away(container: FakeDocker) -> None:
    """Nobody listens on its port any more."""
    container.answer("port", "127.0.0.1:1\n")
    assert ask(INVOKE, b"[1]")[0].startswith("503")


def test_started_on_loopback_only(docker_command: FakeDocker) -> None:
    """With the model's environment, our labels, and `serve` as SageMaker says it."""
    start_container("4567", "digits", "app@sha256:1", {"A": "b c"})
    assert docker_command.calls[-1] == [
        "run",
        "--detach",
        "--label=thimble.emulator=4567",
        "--label=thimble.endpoint=digits",
        "--env=A=b c",
        "--publish=127.0.0.1::8080",
        "app@sha256:1",
        "serve",
    ]


def test_the_earlier_container_goes_first(docker_command: FakeDocker) -> None:
    """An endpoint has one container."""
    docker_command.answer("ps", "old\n")
    start_container("4567", "digits", "app@sha256:1", {})
    assert docker_command.calls[1] == ["rm", "--force", "--volumes", "old"]


def test_stopping_all_asks_for_all(docker_command: FakeDocker) -> None:
    """Without a name, every container of this emulator and of no other."""
    docker_command.answer("ps", "a\nb\n")
    stop_container("4567")
    first, second = docker_command.calls
    assert first == ["ps", "--all", "--quiet", "--filter=label=thimble.emulator=4567"]
    assert second == ["rm", "--force", "--volumes", "a", "b"]
