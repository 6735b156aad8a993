"""How much memory processes hold."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def resident(*processes: int) -> int:
    """Bytes of resident memory of these processes; of this one when none is named."""
    total = 0
    for process in processes or (os.getpid(),):
        total += int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return total * os.sysconf("SC_PAGE_SIZE")


def used() -> int:
    """Bytes of resident memory of this process, without what is free already.

    One large picture among 50,000 may leave 16 MB with the allocator, which keeps them for others.
    """
    ctypes.CDLL(None).malloc_trim(0)
    return resident()


def tree(process: int) -> list[int]:
    """A process and all that it started, and what those started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(found for child in children for found in tree(int(child)))]
