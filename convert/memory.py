"""How much memory something takes at its worst, as Linux counts it."""

import contextlib
import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def peak_bytes(work: Callable[[], object]) -> int | None:
    """Runs something; returns how far the process' resident memory rose above where it was.

    Run it once before: what is loaded on first use is not what it takes.

    Returns:
        None where the system does not tell (Linux does).
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        # What was freed before would be used again unseen; glibc gives it back when told to.
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _RESET.write_text("5")  # the high-water mark begins anew
        before = _read("VmRSS")
        work()
        return max(_read("VmHWM") - before, 0)
    except OSError:
        return None


def _read(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{_STATUS} has no {field}")
    return int(found[1]) * 1024
