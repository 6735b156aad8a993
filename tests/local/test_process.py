"""Processes that are known again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait at most ten seconds until a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[dict[str, int]]:
    """A process that sleeps, ended after the test."""
    identity = process.start(SLEEP, tmp_path / "log")
    yield identity
    process.stop(identity)


def test_started_is_alive_until_stopped(sleeper: dict[str, int]) -> None:
    """`stop` returns when it is over."""
    assert process.alive(sleeper)
    process.stop(sleeper)
    assert not process.alive(sleeper)
    assert not Path(f"/proc/{sleeper['pid']}").exists()


def test_stopping_twice_is_harmless(sleeper: dict[str, int]) -> None:
    """The second time there is nothing to do."""
    process.stop(sleeper)
    process.stop(sleeper)


def test_nothing_recorded_is_nothing_alive() -> None:
    """No record, no process; stopping it does nothing."""
    assert not process.alive(None)
    process.stop(None)


def test_a_recycled_pid_is_another_process(sleeper: dict[str, int]) -> None:
    """Same id, other start time: not ours, and not stopped."""
    other = {**sleeper, "started": sleeper["started"] - 1}
    assert not process.alive(other)
    process.stop(other)
    assert process.alive(sleeper)


def test_a_zombie_is_not_alive() -> None:
    """A process that ended and that its parent never asked after is over, whosever child it is."""
    code = "import subprocess, sys; p = subprocess.Popen(['true']); print(p.pid, flush=True)"
    command = [sys.executable, "-c", f"{code}; sys.stdin.read(); p.wait()"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        stat = Path(f"/proc/{pid}/stat")
        wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
        started = int(stat.read_text().rpartition(")")[2].split()[19])
        assert not process.alive({"pid": pid, "started": started})
        parent.stdin.close()


def test_our_own_child_that_ended_leaves_no_zombie(tmp_path: Path) -> None:
    """Asking after it takes it off the process table."""
    identity = process.start(["true"], tmp_path / "log")
    wait_for(lambda: not process.alive(identity))
    with pytest.raises(ProcessLookupError):
        os.kill(identity["pid"], 0)


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    """Both streams, after what the log already holds."""
    log = tmp_path / "log"
    log.write_text("before\n")
    identity = process.start(["sh", "-c", "echo out; echo error >&2"], log)
    wait_for(lambda: not process.alive(identity))
    assert log.read_text() == "before\nout\nerror\n"


def test_environment_is_the_given_one(tmp_path: Path) -> None:
    """Nothing of ours leaks into a process whose environment is given."""
    log = tmp_path / "log"
    identity = process.start(["/usr/bin/env"], log, {"ONLY": "this"})
    wait_for(lambda: not process.alive(identity))
    assert log.read_text() == "ONLY=this\n"


def test_ctrl_c_does_not_reach_it(sleeper: dict[str, int]) -> None:
    """It has a session of its own."""
    assert sleeper["pid"] == os.getsid(sleeper["pid"])


def test_one_that_will_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time it had to end by itself."""
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    log = tmp_path / "log"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"
    )
    identity = process.start([sys.executable, "-c", f"{code}; time.sleep(60)"], log)
    wait_for(lambda: log.read_text() == "1\n")
    process.stop(identity)
    wait_for(lambda: not process.alive(identity))


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_the_record(tmp_path: Path) -> None:
    """What is started under guard is recorded before the interrupt counts."""
    recorded: list[dict[str, int]] = []

    def begin() -> None:
        with process.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            recorded.append(process.start(SLEEP, tmp_path / "log"))

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert process.alive(recorded[0])
    process.stop(recorded[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_started_under_guard_still_hears_signals(tmp_path: Path) -> None:
    """The guard is this process's own: `stop` needs no more than to ask."""
    with process.uninterrupted():
        identity = process.start(SLEEP, tmp_path / "log")
    os.kill(identity["pid"], signal.SIGTERM)
    wait_for(lambda: not process.alive(identity))
