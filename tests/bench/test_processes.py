"""Trees of processes: how they rest, and how they end."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import processes

# A parent that ends its child when it is told to end, as servers do.
TREE = """
import os, signal, sys

def end(number, frame):
    os.kill(child, signal.SIGKILL)
    print("ended", flush=True)
    os._exit(0)

child = os.fork()
if child:
    signal.signal(signal.SIGTERM, end)
print("waits", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[str]]:
    """A process with a child, both waiting."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", TREE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        yield process
        processes.stop(process.pid)


def all_become(root: int, state: str) -> bool:
    """Whether the kernel soon says this of both members of a tree: a signal takes its time."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        stats = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii") for pid in tree_of_two(root)]
        if {state} == {stat.rpartition(")")[2].split()[0] for stat in stats}:
            return True
        time.sleep(0.01)
    return False


def tree_of_two(root: int) -> list[int]:
    """Its members, the child among them."""
    members = processes.tree(root)
    assert 2 == len(members)
    return members


def test_all_of_a_tree_rests_and_goes_on(tree: subprocess.Popen[str]) -> None:
    """A server that waits for its part has workers, whose timers would run on."""
    processes.halt(tree.pid)
    assert all_become(tree.pid, "T")

    processes.go_on(tree.pid)
    assert all_become(tree.pid, "S")


def test_a_tree_that_rests_ends_as_one_that_does_not(tree: subprocess.Popen[str]) -> None:
    """SIGTERM reaches it: it ends by itself, and need not be killed."""
    members = processes.tree(tree.pid)
    processes.halt(tree.pid)

    processes.stop(tree.pid, seconds=20)

    assert tree.stdout is not None
    assert "ended\n" == tree.stdout.read()
    assert not any(processes._alive(pid) for pid in members)
