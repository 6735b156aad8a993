"""What glibc does after it was told, asked of the kernel in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FIND = """
import ctypes, pathlib, sys
from handler import heap

def flags(address):
    found = False
    for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first:
            start, end = (int(part, 16) for part in first.split("-"))
            found = start <= address < end
        elif found and first == "VmFlags:":
            return line.split()[1:]

process = ctypes.PyDLL(None)
process.malloc.restype = ctypes.c_void_p
process.free.argtypes = (ctypes.c_void_p,)
"""


def _run(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-S", "-c", FIND + script],
        cwd=PROJECT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


def test_what_a_large_model_allocates_may_be_in_large_pages() -> None:
    """A block of 10 MB, which glibc would map by itself, comes from the range asked for."""
    script = """
heap.use_large_pages(64 << 20)
print('hg' in flags(process.malloc(10 << 20) + (5 << 20)))
"""

    assert "True" == _run(script)


def test_blocks_that_are_freed_leave_the_range_as_it_is() -> None:
    """A model freed and loaded again is in large pages again."""
    script = """
heap.use_large_pages(64 << 20)
first = process.malloc(10 << 20)
process.free(first)
again = process.malloc(20 << 20)
print(first == again, 'hg' in flags(again + (15 << 20)))
"""

    assert "True True" == _run(script)


def test_a_model_of_gigabytes_takes_no_more_than_the_kernel_gives() -> None:
    """A range too large for glibc's own number is cut, and memory is there as before."""
    script = """
heap.use_large_pages(5 << 30)
print('hg' in flags(process.malloc(10 << 20) + (5 << 20)))
"""

    assert "True" == _run(script)


def test_freed_memory_stays() -> None:
    """A body's memory is there for the next body, with what was written to it."""
    script = """
heap.keep_freed()
first = process.malloc(10 << 20)
ctypes.memset(first, 7, 10 << 20)
process.free(first)
again = process.malloc(10 << 20)
print(first == again, ctypes.string_at(again + (5 << 20), 1))
"""

    assert r"True b'\x07'" == _run(script)


def test_pages_that_a_fork_has_taken_apart_are_mended() -> None:
    """A forked process writes to each: its own are small then, and large again afterwards."""
    script = """
import os, re

def large():
    text = pathlib.Path("/proc/self/smaps").read_text()
    return sum(map(int, re.findall(r"AnonHugePages: +(\\d+) kB", text)))

heap.use_large_pages(32 << 20)
block = process.malloc(16 << 20)
ctypes.memset(block, 1, 16 << 20)
first = large()
if os.fork() == 0:
    for page in range(8):
        ctypes.memset(block + (page << 21), 2, 1)
    apart = large()
    heap.mend_large_pages()
    kept = ctypes.string_at(block, 2) == bytes((2, 1))
    print(first, apart, large(), kept, flush=True)
    os._exit(0)
os.wait()
"""
    first, apart, mended, kept = _run(script).split()

    assert "True" == kept
    if int(first) == 0:
        pytest.skip("this kernel has no large pages to give")
    assert int(apart) < int(mended)
    assert int(first) <= int(mended)


def test_without_large_pages_nothing_is_mended() -> None:
    """A small model has asked for none."""
    assert "None" == _run("print(heap.mend_large_pages())")
