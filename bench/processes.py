"""A server's whole process tree: what it uses, its rests and its end. Reads Linux' /proc."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat behind the name in parentheses: parent, and the four times.
_PARENT, _UTIME, _CHILDREN_STIME = 1, 11, 14
STOP_SECONDS = 3.0


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {pid: int(fields[_PARENT]) for pid, fields in _all().items()}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu_seconds(root: int) -> float:
    """Processor time of the tree so far, its finished children's included."""
    fields = _all()
    return sum(
        sum(map(int, fields[pid][_UTIME : _CHILDREN_STIME + 1])) / _TICKS
        for pid in tree(root)
        if pid in fields
    )


def memory_mb(root: int) -> tuple[float, float]:
    """PSS and RSS of the tree, in millions of bytes; pages that several share count once in PSS."""
    pss = rss = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name == "Pss":
                pss += int(value.split()[0])
            elif name == "Rss":
                rss += int(value.split()[0])
    return pss * 1024 / 1e6, rss * 1024 / 1e6


def halt(root: int) -> None:
    """Have all of a tree stand still; what it is sent meanwhile waits in the kernel."""
    for pid in tree(root):
        _signal(pid, signal.SIGSTOP)


def go_on(root: int) -> None:
    """Have a tree that was halted go on."""
    for pid in tree(root):
        _signal(pid, signal.SIGCONT)


def stop(root: int, seconds: float = STOP_SECONDS) -> None:
    """End a tree that was started in a session of its own: SIGTERM, and in the end SIGKILL."""
    members = tree(root)
    _signal(root, signal.SIGTERM)
    go_on(root)  # one that is halted hears it then
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(map(_alive, members)):
        _reap(root)
        time.sleep(0.05)
    for pid in members:
        _signal(pid, signal.SIGKILL)
    _reap(root)


def _all() -> dict[int, list[str]]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            found[int(entry.name)] = stat.rpartition(")")[2].split()
    return found


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _signal(pid: int, number: int) -> None:
    if _alive(pid):
        os.kill(pid, number)


def _reap(root: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(root, os.WNOHANG)
