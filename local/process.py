"""Processes that outlive the command that started them, known again by their id and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STOP_SECONDS = 30.0


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C and the like off to the end of a block that starts a process and records it.

    In between, the process would be nobody's: no `down` could find it. Main thread only.
    """
    held: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, lambda number, _: held.append(number)) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        for number in held:
            signal.raise_signal(number)


def start(command: list[str], log: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Start a process in a session of its own: Ctrl-C in the terminal must not reach it.

    Returns:
        Its identity, for `alive` and `stop`: pid and start time in clock ticks since boot.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env) if env is not None else None,
            start_new_session=True,
        )
    # It may outlive us, so nobody waits for it; the module would warn of that at every exit.
    process.returncode = 0
    return {"pid": process.pid, "started": _started(process.pid)}


def alive(identity: Mapping[str, Any] | None) -> bool:
    """Whether that very process still runs; a recycled pid is another process."""
    if not identity:
        return False
    with suppress(ChildProcessError):
        os.waitpid(int(identity["pid"]), os.WNOHANG)
    started = _started(int(identity["pid"]))
    return started is not None and started == int(identity["started"] or 0)


def stop(identity: Mapping[str, Any] | None) -> None:
    """Ask the process to end, then make it; nothing happens when it is gone already."""
    if not identity or not alive(identity):
        return
    pid = int(identity["pid"])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while alive(identity) and time.monotonic() < deadline:
        time.sleep(0.05)
    if alive(identity):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _started(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None where it is gone or a zombie."""
    try:
        # The command name, in parentheses, may hold spaces: count fields from its end.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])
