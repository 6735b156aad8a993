"""Which base image there is, with a Docker that writes down what it is told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import base, docker
from local.home import Home

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
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No registry answers."""
    monkeypatch.setattr(base, "REGISTRY", "http://127.0.0.1:1/v2/")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made of Debian's packages, which takes root, the archive and a minute."""
    made: list[str] = []
    monkeypatch.setattr(base, "_bootstrap", lambda name, _folder: made.append(name))
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """One checkout's home."""
    return Home(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another's, on the same daemon."""
    return Home(tmp_path / "other")


def changes(docker_command: FakeDocker) -> list[list[str]]:
    """What Docker was told beside listing images."""
    return [call for call in docker_command.calls if call[:2] != ["image", "ls"]]


def test_an_image_that_is_there_is_used(
    docker_command: FakeDocker, built: list[str], home: Home
) -> None:
    """Neither pulled nor made again."""
    docker_command.answer("image", f"{base.tag(home)}\n")
    assert base.tag(home) == base.ensure(home)
    assert ([], []) == (changes(docker_command), built)


def test_another_homes_image_is_shared(
    docker_command: FakeDocker, built: list[str], home: Home, other: Home
) -> None:
    """Under a tag of our own: nothing is pulled or made, and theirs may go."""
    docker_command.answer("image", f"{base.tag(other)}\n")
    assert base.tag(home) == base.ensure(home)
    assert [["tag", base.tag(other), base.tag(home)]] == changes(docker_command)
    assert [] == built


@pytest.mark.usefixtures("unreachable")
def test_another_homes_image_that_is_gone_by_now(
    docker_command: FakeDocker, built: list[str], home: Home, other: Home
) -> None:
    """Taken away between the list and the tag: then it is made here."""
    docker_command.answer("image", f"{base.tag(other)}\n")
    docker_command.answer("tag", complaint="No such image", code=1)
    base.ensure(home)
    assert [base.tag(home)] == built


@pytest.mark.usefixtures("unreachable")
def test_an_image_made_otherwise_is_not_used(
    docker_command: FakeDocker,
    built: list[str],
    home: Home,
    other: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither our own nor another's, once what it is made of has changed."""
    docker_command.answer("image", f"{base.tag(home)}\n{base.tag(other)}\n")
    monkeypatch.setattr(base, "recipe", lambda: "0123456789ab" * 5)
    base.ensure(home)
    assert [base.tag(home)] == built


def test_forgetting_leaves_others(docker_command: FakeDocker, home: Home, other: Home) -> None:
    """All our own tags go, older ones too; what another checkout builds from stays."""
    old = f"{base.tag(home)[:-12]}0123456789ab"
    docker_command.answer("image", "\n".join((old, base.tag(other), base.tag(home))))
    base.forget(home)
    assert [["image", "rm", "--force", *sorted((old, base.tag(home)))]] == changes(docker_command)


def test_forgetting_what_was_never_made(docker_command: FakeDocker, home: Home) -> None:
    """Removes nothing."""
    docker_command.answer("image", f"{base.IMAGE}\n")
    base.forget(home)
    assert [] == changes(docker_command)


@pytest.mark.parametrize("status", [200, 401])
def test_where_images_can_be_pulled_one_is_built_on(
    docker_command: FakeDocker,
    built: list[str],
    registry: Callable[[int], None],
    status: int,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the registry answers, asking for a token or not; root is not needed."""
    found: list[str] = []

    def look(*arguments: str) -> str:
        if arguments[0] == "build":
            folder = Path(arguments[-1])
            found.extend((folder / "Dockerfile").read_text().splitlines())
            found.extend(
                path.relative_to(folder / "root").as_posix()
                for path in sorted((folder / "root").rglob("*"))
            )
        return told(*arguments)

    told = docker.docker
    monkeypatch.setattr(docker, "docker", look)
    monkeypatch.setattr(base, "_install_runtime_client", lambda _target: None)
    registry(status)

    assert base.tag(home) == base.ensure(home)

    ((*command, _),) = changes(docker_command)
    assert ["build", "--quiet", f"--tag={base.tag(home)}"] == command
    assert [f"FROM {base.DEBIAN_IMAGE}", "COPY root/ /"] == found[:2]
    assert {
        "ENV LAMBDA_TASK_ROOT=/var/task",
        'ENTRYPOINT ["/lambda-entrypoint.sh"]',
        *("lambda-entrypoint.sh", "var/runtime/rie.py", "var/task"),
    } <= set(found)
    assert [] == built


@pytest.mark.usefixtures("docker_command")
def test_behind_a_proxy_packages_do(
    built: list[str], registry: Callable[[int], None], home: Home
) -> None:
    """A proxy that refuses the host answers too, but not as the registry does."""
    registry(403)
    base.ensure(home)
    assert [base.tag(home)] == built


@pytest.mark.usefixtures("docker_command", "unreachable")
def test_without_a_network_packages_do(built: list[str], home: Home) -> None:
    """Nobody answers."""
    base.ensure(home)
    assert [base.tag(home)] == built
