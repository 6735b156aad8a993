"""What the cores can compute: the bare C call, with the machine to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import ai_edge_litert

from bench.contenders import WORKERS
from bench.errors import BenchError
from bench.stats import median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.models import BenchModel

BARE_CALL = Path("bench/inside/bare_call.py")
SECONDS = 0.25


def alone_ms(model: BenchModel) -> float:
    """Milliseconds of a call while nothing else runs: the mean of the median on each core.

    On each, since one of them may be slower for a while; one after the other, since a call beside
    another one takes longer, and the servers would be measured by less than there is.

    Raises:
        BenchError: The call failed.
    """
    (times,) = _measure(model, [sorted(os.sched_getaffinity(0))])
    return fmean(times)


def together_ms(model: BenchModel) -> float:
    """Milliseconds of a call while each core has one of its own: the mean of their medians.

    Cores that share a cache, or are one core in truth, slow each other down: the share that bare
    calls reach at once is the most that one row at a time can.

    Raises:
        BenchError: A call failed.
    """
    each = _measure(model, [[core] for core in sorted(os.sched_getaffinity(0))])
    return fmean([time for (time,) in each])


def share_of_cores(
    parts: Sequence[tuple[float, float]], looks: Sequence[tuple[float, float]]
) -> float:
    """A server's answers over the calls that the cores could have made meanwhile.

    Args:
        parts: Answers and seconds of each part of the load.
        looks: Milliseconds of a call before and after each: within one part the cores are as fast
            as on average directly before and after it.
    """
    calls = sum(
        seconds * WORKERS * 1000 / fmean(around)
        for (_, seconds), around in zip(parts, looks, strict=True)
    )
    return sum(answers for answers, _ in parts) / calls


def _measure(model: BenchModel, cores: Sequence[Sequence[int]]) -> list[list[float]]:
    """Medians on some cores one after the other, in a process for each such list, at once."""
    library = str(Path(ai_edge_litert.__path__[0], "libLiteRt.so"))
    command = [sys.executable, "-S", str(BARE_CALL), library, str(model.artifact / "model.tflite")]
    command.append(str(SECONDS))
    with ExitStack() as stack:
        calls = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, *map(str, ones)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )
            for ones in cores
        ]
        printed = [call.communicate()[0] for call in calls]
    if any(call.returncode for call in calls):
        raise BenchError(f"the bare C call of {model.name} failed; run {' '.join(command)} 0")
    return [[median(times) for times in json.loads(text)] for text in printed]
