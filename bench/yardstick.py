"""What the cores can compute: the bare C call, with the machine to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    library = str(Path(ai_edge_litert.__path__[0], "libLiteRt.so"))
    command = [sys.executable, "-S", str(BARE_CALL), library, str(model.artifact / "model.tflite")]
    command += [str(SECONDS), *map(str, sorted(os.sched_getaffinity(0)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the bare C call of {model.name} failed; run {' '.join(command)}")
    return fmean([median(times) for times in json.loads(done.stdout)])


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
