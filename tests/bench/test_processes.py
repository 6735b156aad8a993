"""A tree of processes, halted."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import processes

# A process and its child; it says when that is there.
FAMILY = """
import subprocess
with subprocess.Popen(["sleep", "60"]) as child:
    print(flush=True)
"""


def states(members: list[int], wanted: str) -> set[str]:
    """The letters of their states, once all are as wanted or five seconds are over."""
    end = time.monotonic() + 5
    while True:
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in members]
        found = {stat.rpartition(")")[2].split()[0] for stat in stats}
        if found == {wanted} or time.monotonic() > end:
            return found
        time.sleep(0.01)


@pytest.fixture
def family() -> Iterator[list[int]]:
    """A process and its child."""
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        members = processes.tree(parent.pid)
        assert 2 == len(members)
        yield members
        processes.stop(parent.pid, 0)


def test_a_tree_is_halted_and_goes_on(family: list[int]) -> None:
    """None of it runs meanwhile, and all of it afterwards."""
    with processes.halted(family):
        assert {"T"} == states(family, "T")

    assert {"S"} == states(family, "S")


def test_a_tree_goes_on_after_an_error(family: list[int]) -> None:
    """Nothing stays halted, whatever happened meanwhile; Ctrl-C is nothing else."""
    with pytest.raises(KeyboardInterrupt), processes.halted(family):
        raise KeyboardInterrupt

    assert {"S"} == states(family, "S")


def test_what_has_ended_is_not_halted(family: list[int]) -> None:
    """And keeps nothing else from being halted, nor from going on."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()

    with processes.halted([gone.pid, *family]):
        assert {"T"} == states(family, "T")

    assert {"S"} == states(family, "S")


def test_several_trees_come_in_order(family: list[int]) -> None:
    """Those that are asked for first, each process once."""
    parent, child = family

    assert [child, parent] == processes.tree(child, parent)


def test_what_runs_has_not_ended(family: list[int]) -> None:
    """It is waited for as long as is asked, not longer."""
    assert not processes.ended(family[0], 0.01)


def test_the_status_of_what_has_ended_is_kept() -> None:
    """Whoever started it still finds out how it ended."""
    with subprocess.Popen(["false"]) as process:
        assert processes.ended(process.pid, 5)

        assert 1 == process.wait()
