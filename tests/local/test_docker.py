"""Docker, found or missed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local import docker, process
from local.errors import DockerError
from local.home import Home, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import FakeDocker


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH and no DOCKER_HOST; the folder that PATH names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return folder


def be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    """Become a user, as far as this process asks."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def put(folder: Path, name: str, script: str) -> None:
    """A command on PATH."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def message(caught: pytest.ExceptionInfo[DockerError]) -> str:
    """The error's text, which must be one line."""
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_daemon_that_answers_is_used(home: Home, docker_command: FakeDocker) -> None:
    """Nothing is installed and nothing started."""
    docker.ensure(home)
    assert docker_command.calls == [["version"]]
    assert not home.root.exists()


@pytest.mark.usefixtures("bare")
def test_without_docker_and_root(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what is missing, who asked, and how to get it."""
    be(monkeypatch, 1000)
    with pytest.raises(DockerError) as caught:
        docker.ensure(home)
    found = message(caught)
    assert found.startswith("no Docker daemon answers and only root can start one (this is uid 10")
    assert "apt-get install docker.io" in found


def test_a_docker_host_of_the_users_is_respected(
    home: Home, docker_command: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names a daemon gets no other one; the line names the setting."""
    docker_command.answer("version", code=1)
    monkeypatch.setenv("DOCKER_HOST", "tcp://nowhere:1")
    with pytest.raises(DockerError) as caught:
        docker.ensure(home)
    assert "DOCKER_HOST=tcp://nowhere:1" in message(caught)


@pytest.mark.usefixtures("bare")
def test_root_without_apt(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be installed, the line says so."""
    be(monkeypatch, 0)
    with pytest.raises(DockerError, match=r"docker.io is missing and there is no apt-get here"):
        docker.ensure(home)


def test_install_without_root(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is the command to run."""
    put(bare, "apt-get", "exit 0")
    be(monkeypatch, 1000)
    with pytest.raises(DockerError, match="run `sudo apt-get install debootstrap`"):
        docker.install(["debootstrap"])


def test_failed_install_says_why(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line that apt-get printed."""
    put(bare, "apt-get", "echo noise >&2; echo 'E: Unable to locate package' >&2; exit 100")
    be(monkeypatch, 0)
    with pytest.raises(DockerError) as caught:
        docker.install(["docker.io"])
    expected = "apt-get install docker.io failed: E: Unable to locate package"
    assert expected == message(caught)


def test_daemon_that_does_not_start(
    home: Home, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own last words, and no record of a daemon that is not there."""
    put(bare, "dockerd", "echo 'failed to mount overlay: operation not permitted' >&2; exit 1")
    be(monkeypatch, 0)
    with pytest.raises(DockerError) as caught:
        docker.ensure(home)
    assert "failed to mount overlay: operation not permitted" in message(caught)
    assert not docker.stop(home)


def test_daemon_that_starts_is_ours_to_stop(
    home: Home, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded, used by the next command, and stopped once."""
    up = tmp_path / "up"
    put(bare, "dockerd", f"echo > {up}; exec /bin/sleep 60")
    put(bare, "docker", f"test -e {up}")
    be(monkeypatch, 0)
    docker.ensure(home)
    record = read_json(home.root / "docker" / "daemon.json")
    assert process.alive(record)
    assert docker.stop(home)
    assert not process.alive(record)
    assert not docker.stop(home)


def test_a_daemon_that_only_begins_is_waited_for(
    home: Home, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted `up` may have left it so; a second one would fight it for its data."""
    up = tmp_path / "up"
    put(bare, "dockerd", f"echo again > {tmp_path}/second; exec /bin/sleep 60")
    put(bare, "docker", f"test -e {up}")
    be(monkeypatch, 0)
    (home.root / "docker").mkdir(parents=True)
    first = process.start(
        ["/bin/sh", "-c", f"/bin/sleep 0.3; echo > {up}; exec /bin/sleep 60"], tmp_path / "log"
    )
    write_json(home.root / "docker" / "daemon.json", first)
    docker.ensure(home)
    assert not (tmp_path / "second").exists()
    assert docker.stop(home)
    assert not process.alive(first)


def test_a_process_of_somebody_elses_is_not_stopped(home: Home) -> None:
    """A daemon that ended long ago may have left its id to another process."""
    folder = home.root / "docker"
    folder.mkdir(parents=True)
    other = process.start(["sleep", "60"], home.root / "log")
    try:
        write_json(folder / "daemon.json", {**other, "started": other["started"] - 1})
        docker.stop(home)
        assert process.alive(other)
    finally:
        process.stop(other)


def test_docker_returns_what_it_printed(docker_command: FakeDocker) -> None:
    """And passes the arguments as they are, spaces included."""
    docker_command.answer("image", "sha256:1\n")
    assert docker.docker("image", "ls", "--format", "a b") == "sha256:1\n"
    assert docker_command.calls == [["image", "ls", "--format", "a b"]]


RUN = """\
Unable to find image 'thimble/none:1' locally
docker: Error response from daemon: pull access denied for thimble/none

Run 'docker run --help' for more information
"""
FLAG = """\
unknown flag: --provenence

Usage:  docker build [OPTIONS] PATH | URL | -

Run 'docker build --help' for more information
"""
OLD_FLAG = """\
"docker run" requires at least 1 argument.
See 'docker run --help'.

Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]

Create and run a new container from an image
"""
BUILDKIT = """\
#9 [5/6] RUN ["/bin/prove"]
#9 0.412 usage: prove
#9 0.413 libLiteRt.so: no GLIBC_2.34
#9 ERROR: process "/bin/prove" did not complete successfully: exit code: 1
------
 > [5/6] RUN ["/bin/prove"]:
0.412 usage: prove
0.413 libLiteRt.so: no GLIBC_2.34
------
Dockerfile:31
--------------------
  31 | >>> RUN ["/bin/prove"]
--------------------
ERROR: failed to solve: exit code: 1
"""
OLD_BUILD = """\
Step 5/6 : RUN ["/bin/prove"]
 ---> Running in 0123456789ab
libLiteRt.so: version `GLIBC_2.34' not found

The command '/bin/prove' returned 1
"""


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("noise\ndenied: no such repository\n", "denied: no such repository"),
        (RUN, "docker: Error response from daemon: pull access denied for thimble/none"),
        (FLAG, "unknown flag: --provenence"),
        (OLD_FLAG, '"docker run" requires at least 1 argument.'),
        (
            BUILDKIT,
            "0.413 libLiteRt.so: no GLIBC_2.34; ERROR: failed to solve: exit code: 1",
        ),
        (
            OLD_BUILD,
            "libLiteRt.so: version `GLIBC_2.34' not found; The command '/bin/prove' returned 1",
        ),
        ("\nRun 'docker run --help' for more information\n", "it printed nothing"),
    ],
    ids=["last line", "run", "flag", "old flag", "build", "old build", "advice"],
)
def test_failed_docker_says_why(docker_command: FakeDocker, printed: str, reason: str) -> None:
    """Two words of the command, its exit code, and what failed; no advice to read docker's help."""
    docker_command.answer("push", complaint=printed, code=3)
    with pytest.raises(DockerError) as caught:
        docker.docker("push", "--quiet", "name")
    assert f"docker push --quiet failed with exit code 3: {reason}" == message(caught)
