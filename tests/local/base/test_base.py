"""Which base image there is, with a Docker that writes down what it is told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from local import base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.local.conftest import FakeDocker


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """A registry, or a proxy before it, that answers with one status."""
    statuses: list[int] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses[-1])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(base, "REGISTRY", f"http://127.0.0.1:{server.server_address[1]}/v2/")
        yield statuses.append
        server.shutdown()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whether the stand-in was made; making it takes root, Debian's archive and a minute."""
    made: list[str] = []
    monkeypatch.setattr(base, "_build", lambda: made.append(base.IMAGE))
    return made


def test_an_image_that_is_there_is_used(docker_command: FakeDocker, built: list[str]) -> None:
    """Neither pulled nor made again."""
    docker_command.answer("image", "sha256:1\n")
    base.ensure()
    assert (len(docker_command.calls), built) == (1, [])


@pytest.mark.parametrize("status", [200, 401])
def test_awss_own_image_is_pulled(
    docker_command: FakeDocker, built: list[str], registry: Callable[[int], None], status: int
) -> None:
    """Where the registry answers, asking for a token or not, and under our name."""
    registry(status)
    base.ensure()
    assert docker_command.calls[1:] == [
        ["pull", "--quiet", base.AWS_IMAGE],
        ["tag", base.AWS_IMAGE, base.IMAGE],
    ]
    assert built == []


@pytest.mark.usefixtures("docker_command")
def test_behind_a_proxy_the_stand_in_is_made(
    built: list[str], registry: Callable[[int], None]
) -> None:
    """A proxy that refuses the host answers too, but not as the registry does."""
    registry(403)
    base.ensure()
    assert built == [base.IMAGE]


@pytest.mark.usefixtures("docker_command")
def test_without_a_network_the_stand_in_is_made(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers."""
    monkeypatch.setattr(base, "REGISTRY", "http://127.0.0.1:1/v2/")
    base.ensure()
    assert built == [base.IMAGE]
