"""Trees of processes: how they rest, and how they end."""

import subprocess
import sys
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


def states(root: int) -> set[str]:
    """What the kernel says that the members of a tree do."""
    texts = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii") for pid in processes.tree(root)]
    assert 2 == len(texts)
    return {text.rpartition(")")[2].split()[0] for text in texts}


def test_all_of_a_tree_rests_and_goes_on(tree: subprocess.Popen[str]) -> None:
    """A server that waits for its part has workers, whose timers would run on."""
    processes.halt(tree.pid)
    assert {"T"} == states(tree.pid)

    processes.go_on(tree.pid)
    assert {"S"} == states(tree.pid)


def test_a_tree_that_rests_ends_as_one_that_does_not(tree: subprocess.Popen[str]) -> None:
    """SIGTERM reaches it: it ends by itself, and need not be killed."""
    members = processes.tree(tree.pid)
    processes.halt(tree.pid)

    processes.stop(tree.pid, seconds=20)

    assert tree.stdout is not None
    assert "ended\n" == tree.stdout.read()
    assert not any(processes._alive(pid) for pid in members)
