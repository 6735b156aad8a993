"""A load with halts."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import halts, processes
from bench.errors import BenchError

LOOK_SECONDS = 0.05
# A process that has a child only after a while.
LATE_CHILD = """
import subprocess, time
time.sleep(0.3)
subprocess.run(["sleep", "60"])
"""


class Load:
    """Asks nothing, for as long as it is told to.

    Attributes:
        beyond: Seconds that it says it took beyond those that it did.
        pid: Of the process that asks, once there is one.
    """

    def __init__(self, beyond: float = 0.0) -> None:
        self.beyond = beyond
        self.pid = 0

    def __call__(self, seconds: int, meanwhile: Callable[[int], None]) -> dict[str, Any]:
        """Like `load.run`."""
        began = time.perf_counter()
        with subprocess.Popen(["sleep", str(seconds)]) as process:
            self.pid = process.pid
            try:
                meanwhile(process.pid)
            finally:
                process.kill()
        return {"seconds": time.perf_counter() - began + self.beyond}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short stretches: there is no server that must notice anything."""
    monkeypatch.setattr(halts, "STRETCH_SECONDS", 0.1)
    monkeypatch.setattr(halts, "LEFT_SECONDS", 0.0)


@pytest.fixture
def server() -> Iterator[int]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def look() -> float:
    """A look that takes a while."""
    time.sleep(LOOK_SECONDS)
    return 10.0


def state(pid: int) -> str:
    """The letter of a process' state, nothing when it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.read_text().rpartition(")")[2].split()[0] if stat.exists() else ""


def test_nothing_runs_while_a_call_is_looked_at(server: int) -> None:
    """Neither the server nor who asks it; before and after the load there is nothing to halt."""
    load, seen = Load(), []

    def look_around() -> float:
        milliseconds = look()
        seen.append((state(load.pid) if load.pid else "", state(server)))
        return milliseconds

    halts.measure(load, look_around, server, 7)

    first, *between, last = seen
    assert [("", "S"), ("", "S")] == [first, last]
    assert {("T", "T")} == set(between)


def test_stretches_are_the_load_without_the_halts(server: int) -> None:
    """Each lies between two looks, and together they are what is left of the load's time."""
    found = halts.measure(Load(), look, server, 7)

    between = len(found.looks) - 2
    assert between + 1 == len(found.stretches)
    assert 3 <= between <= 6
    rest = found.found["seconds"] - between * LOOK_SECONDS
    assert rest == pytest.approx(sum(found.stretches), abs=0.1)


def test_what_a_server_starts_meanwhile_is_halted_too() -> None:
    """It might go on working for its answers."""
    seen = []
    with subprocess.Popen([sys.executable, "-c", LATE_CHILD]) as process:

        def look_around() -> float:
            milliseconds = look()
            seen.append([state(pid) for pid in processes.tree(process.pid)])
            return milliseconds

        halts.measure(Load(), look_around, process.pid, 7)
        processes.stop(process.pid, 0)

    *between, last = seen[1:]
    assert 2 == len(last)
    assert {"T"} == {letter for letters in between for letter in letters}


def test_everything_goes_on_when_a_look_fails(server: int) -> None:
    """And the failure is told."""
    looks = iter([10.0])

    def look_once() -> float:
        try:
            return next(looks)
        except StopIteration:
            raise BenchError("the bare C call failed") from None

    with pytest.raises(BenchError, match="the bare C call failed"):
        halts.measure(Load(), look_once, server, 10)

    assert "S" == state(server)


@pytest.mark.parametrize("beyond", [-0.5, 0.5])
def test_a_load_that_took_another_time_does_not_count(server: int, beyond: float) -> None:
    """What the cores could have done meanwhile is not known then."""
    with pytest.raises(BenchError, match="the server was asked for"):
        halts.measure(Load(beyond), look, server, 7)
