"""Ports, addresses and records of emulators; tests/local/aws runs a real one."""

from __future__ import annotations

import errno
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from local import emulator, process
from local.emulator import Emulator, free_port
from local.errors import EmulatorError
from local.home import Home, write_json

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - what a stranger does
def test_a_taken_port_is_passed_over(address: str) -> None:
    """Whether somebody listens on loopback only or on every address."""
    with socket.socket() as taken:
        taken.bind((address, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_a_free_port_is_used() -> None:
    """The first that is free is the one, and it is free indeed."""
    port = free_port(20000)
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(20000) > port


def test_no_free_port_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says where it looked."""

    class Taken(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(errno.EADDRINUSE, str(address))

    monkeypatch.setattr(socket, "socket", Taken)
    with pytest.raises(EmulatorError, match=r"^no free port between 4566 and 5065$"):
        free_port(4566)


def test_environment_reaches_the_emulator_for_every_service() -> None:
    """SageMaker and autoscaling have an address of their own; the rest shares one."""
    found = Emulator(4566, 4567, "boot").environment()
    own = {k for k, v in found.items() if v == "http://localhost:4567"}
    assert found["AWS_ENDPOINT_URL"] == "http://localhost:4566"
    assert own == {
        "AWS_ENDPOINT_URL_SAGEMAKER",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
        "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING",
    }


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without an emulator."""
    return Home(tmp_path / "home")


def record(home: Home, *processes: dict[str, object]) -> None:
    """Note an emulator of these processes."""
    document = {"port": 1, "sagemaker_port": 2, "processes": list(processes)}
    home.stack("local").mkdir(parents=True)
    write_json(home.stack("local") / "emulator.json", document)


def test_none_was_started(home: Home) -> None:
    """Without a record nothing runs, and stopping it does nothing."""
    assert emulator.running(home, "local") is None
    emulator.stop(home, "local")


def test_a_record_of_the_dead_is_no_emulator(home: Home) -> None:
    """A machine that was restarted has other processes."""
    record(home, {"pid": 1, "started": -1}, {"pid": 1, "started": -1})
    assert emulator.running(home, "local") is None


def test_half_an_emulator_is_none(home: Home, tmp_path: Path) -> None:
    """Both of its processes must run; stopping ends the one that does."""
    half = process.start(["sleep", "60"], tmp_path / "log")
    record(home, half, {"pid": 1, "started": -1})
    assert emulator.running(home, "local") is None
    emulator.stop(home, "local")
    assert not process.alive(half)


def test_a_running_emulator_is_found_again(home: Home, tmp_path: Path) -> None:
    """By the next command, with the identity of its run."""
    first, second = (process.start(["sleep", "60"], tmp_path / "log") for _ in range(2))
    record(home, first, second)
    found = emulator.running(home, "local")
    assert found == Emulator(1, 2, f"{first['pid']}.{first['started']}")
    emulator.stop(home, "local")
    assert emulator.running(home, "local") is None
    assert not process.alive(second)


def test_an_emulator_that_does_not_start(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words in one line, where the log is, and no process left."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no room at the inn'\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(EmulatorError, match="no room at the inn") as caught:
        emulator.ensure(home, "local")
    assert str(home.stack("local") / "emulator.log") in str(caught.value)
    assert emulator.running(home, "local") is None


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_start_leaves_a_record_of_what_runs(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C right after the first process began: `down` finds it."""
    started: list[dict[str, Any]] = []

    def start(*_: object) -> dict[str, Any]:
        started.append(process_start(["sleep", "60"], tmp_path / "log"))
        os.kill(os.getpid(), signal.SIGINT)
        return started[-1]

    process_start = process.start
    monkeypatch.setattr(process, "start", start)
    with pytest.raises(KeyboardInterrupt):
        emulator.ensure(home, "local")
    (first,) = started
    assert process.alive(first)
    assert emulator.running(home, "local") is None
    emulator.stop(home, "local")
    assert not process.alive(first)


def test_one_that_only_begins_is_waited_for(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted `up` may have left it so; the next must not meet a closed port."""
    both = [process.start(["sleep", "60"], tmp_path / "log") for _ in range(2)]
    record(home, *both)
    asked: list[str] = []
    monkeypatch.setattr(emulator, "_wait", lambda _record, url, _log: asked.append(url))
    found = emulator.ensure(home, "local")
    emulator.stop(home, "local")
    assert asked == ["http://127.0.0.1:1/_ministack/health", "http://127.0.0.1:2/health"]
    assert (found.port, found.sagemaker_port) == (1, 2)
