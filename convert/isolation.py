"""Runs what touches a model in a process of its own: no credentials, and limits that hold.

A model file may make TensorFlow crash, fill the memory or run for ever, and a SavedModel is a
program. So the process that was started only watches; all else happens in its child:

- Its environment is the few variables that Python and TensorFlow read. Credentials, whatever they
  are called, are not among them; its HOME is the scratch folder, where no SDK finds a profile.
- Memory is what the child and the processes that it starts really hold, looked at a few times a
  second. RLIMIT_AS would count the address space, of which TensorFlow reserves far more.
- However either of them ends, the other ends too, and the scratch folder goes.

This is no sandbox: the child runs as the same user, and may read what that user may read.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert.errors import EndedError

CRASH = "crash.txt"
_PASSED = ("PATH", "LANG", "LANGUAGE", "TZ", "TERM", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_PASSED_PREFIXES = ("LC_", "PYTHON")
_LOOK_S = 0.2
_GIB = 2**30
_SHARE = 0.75
_SESSION, _RSS = 3, 21  # of the fields of /proc/PID/stat that follow the command's name


def default_memory_gib() -> float:
    """Three quarters of this machine's memory, so that it stays usable whatever a model does."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return round(total * _SHARE / _GIB, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the child may take.

    Attributes:
        memory_gib: Resident memory of the child and of what it starts, in GiB.
        time_s: Seconds from its start.
    """

    memory_gib: float
    time_s: float


def convert(arguments: Sequence[str], scratch: Path, limits: Limits) -> int:
    """Runs `python -m convert.work` with the command line's arguments.

    Returns:
        Its exit code; what it has to say is on standard error already, what it made in `scratch`.

    Raises:
        EndedError: It reached a limit, or crashed.
    """
    me = str(os.getpid())
    return run(
        [sys.executable, "-m", "convert.work", me, str(scratch), *arguments], scratch, limits
    )


def run(command: Sequence[str], scratch: Path, limits: Limits) -> int:
    """Runs a command under the limits, in a session of its own and with a bare environment.

    Raises:
        EndedError: See `convert`.
        SystemExit: This process was told to stop (SIGINT, SIGTERM, SIGHUP); the child has been.
    """
    with (
        _stopping() as begin,
        subprocess.Popen(command, env=environment(scratch), start_new_session=True) as child,
    ):
        try:
            begin()
            code = _watch(child, limits)
        finally:
            if child.poll() is None:
                # Its whole session, and at once: what it wrote so far lies in the scratch folder.
                os.killpg(child.pid, signal.SIGKILL)
    if code < 0:
        raise EndedError(_crashed(-code, scratch))
    return code


def environment(scratch: Path) -> dict[str, str]:
    """The variables that a process gets to see which runs what others wrote; no credentials.

    Args:
        scratch: What it takes for the user's home, and for the folder of temporary files.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    return passed | {"HOME": str(scratch), "TMPDIR": str(scratch)}


def _watch(child: subprocess.Popen[bytes], limits: Limits) -> int:
    """Waits for the end of the child.

    Raises:
        EndedError: A limit was reached first; the child still runs.
    """
    end = time.monotonic() + limits.time_s
    while True:
        try:
            return child.wait(timeout=min(_LOOK_S, max(0.0, end - time.monotonic())))
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() >= end:
            raise EndedError(
                f"the conversion took longer than {limits.time_s:g} s and was ended: give it more "
                "with --time-limit SECONDS, or name one --recipe"
            )
        held = _resident(child.pid) / _GIB
        if held > limits.memory_gib:
            raise EndedError(
                f"the conversion held {held:.2f} GiB of memory, more than {limits.memory_gib:g}, "
                "and was ended: give it more with --memory-limit GIB, or name one --recipe"
            )


def _resident(session: int) -> int:
    """Bytes of memory that all processes of a session hold."""
    pages = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[_SESSION]) == session:
            pages += int(fields[_RSS])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _crashed(number: int, scratch: Path) -> str:
    if number == signal.SIGKILL:
        return (
            "the conversion was killed from outside (signal 9), most likely because the machine "
            "ran out of memory: give it more memory, or set --memory-limit GIB below what it has"
        )
    name = signal.Signals(number).name
    # Written by faulthandler: the frames of Python, innermost first.
    written = scratch / CRASH
    frames = written.read_text(errors="replace") if written.exists() else ""
    found = re.search(r'File "[^"]*?(convert/\w+\.py)", line (\d+)', frames)
    where = f" in {found.group(1)}, line {found.group(2)}" if found else ""
    return (
        f"the conversion crashed with signal {number} ({name}){where}: TensorFlow or LiteRT cannot "
        "cope with this model; nothing was written. Try naming one --recipe, or save the model anew"
    )


@contextmanager
def _stopping() -> Iterator[Callable[[], None]]:
    """Turns the signals that ask to stop into SystemExit; those that are ignored stay ignored.

    Yields:
        What to call as soon as all can be tidied up; what is told before that is told by it. A
        child that is just being started is nobody's yet, and would stay.
    """
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    told: list[int] = []
    begun = False

    def stop(number: int, _: object) -> None:
        for each in numbers:  # what is tidied up now is tidied up whole
            signal.signal(each, signal.SIG_IGN)
        told.append(number)
        if begun:
            sys.exit(128 + number)

    def begin() -> None:
        nonlocal begun
        begun = True
        if told:
            sys.exit(128 + told[0])

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield begin
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
