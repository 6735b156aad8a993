"""python -m convert.worker FOLDER: makes, judges and times candidates, one job a line.

Runs without TensorFlow. A job is a JSON object on standard input, its answer one on standard
output. A library that crashes takes this process with it, and not the run.
"""

import ctypes
import dataclasses
import functools
import gzip
import json
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import quantize
from convert.answers import latency_ms, one_call
from convert.data import Examples
from convert.errors import ConvertError
from convert.judge import Judge
from convert.litert import LiteRtModel
from convert.memory import peak_bytes
from convert.output import NO_ROOM
from convert.recipe import Recipe
from convert.signature import Signature

BENCH = "bench.pickle"
_PR_SET_PDEATHSIG = 1
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all jobs of a run share; written once, by the process that started this one.

    Attributes:
        signature: The model's.
        calibration: Rows that fit it, or None.
        as_given: Whether the base is the candidate: a file that was quantized before.
        judge: None where nothing is judged.
    """

    signature: Signature
    calibration: Examples | None
    as_given: bool
    judge: Judge | None

    def write(self, folder: Path) -> None:
        """Puts it where workers look for it."""
        (folder / BENCH).write_bytes(pickle.dumps(self))


@functools.cache
def _bench(folder: Path) -> Bench:
    # Written by the process that started this one, a moment ago: nobody else's pickle.
    bench: Bench = pickle.loads((folder / BENCH).read_bytes())  # noqa: S301
    return bench


def make(folder: Path, recipe: str, base: str) -> Answer:
    """Makes a candidate from FOLDER/base into FOLDER/recipe.tflite, and judges it.

    Raises:
        ConvertError: The recipe does not work on this model, or what comes out does not run.
    """
    bench = _bench(folder)
    content = (folder / base).read_bytes()
    if not bench.as_given:
        content = quantize.quantize(content, bench.signature, Recipe(recipe), bench.calibration)
    (folder / f"{recipe}.tflite").write_bytes(content)
    sizes = {"size": len(content), "gzip_size": len(gzip.compress(content, mtime=0))}
    model = LiteRtModel(content, bench.signature)
    if bench.judge is None:
        call = one_call(bench.signature, None)
        if call is not None:
            model.run(call)
        return sizes
    return sizes | dataclasses.asdict(bench.judge.score(model.run))


def time(folder: Path, recipe: str) -> Answer:
    """Times a candidate, and finds how much memory it takes at its worst, both for one call."""
    bench = _bench(folder)
    file = folder / f"{recipe}.tflite"
    call = one_call(bench.signature, bench.judge.inputs if bench.judge else None)
    if call is None:
        return {"latency_ms": None, "memory": None}

    def load() -> LiteRtModel:
        return LiteRtModel(file.read_bytes(), bench.signature)

    taken = latency_ms(load().run, call)
    return {"latency_ms": taken, "memory": peak_bytes(lambda: load().run(call))}


def original(folder: Path) -> Answer:
    """Measures the original's answers by the user's own metric.

    Raises:
        DataError: The user's function fails.
    """
    judge = _bench(folder).judge
    return {"metric": judge and judge.measure(judge.given)}


_JOBS: dict[str, Callable[..., Answer]] = {"make": make, "time": time, "original": original}


def failure(error: Exception) -> Answer:
    """Makes an answer of what nobody foresaw."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        # No fault of the candidate's: without it the choice would be another.
        return {"errno": error.errno}
    reason = " ".join(str(error).split())
    return {"error": f"{type(error).__name__}: {reason}"}


def main(folder: Path) -> None:
    """Does jobs until there are no more."""
    # Libraries write to standard output as they like; answers keep it for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Nobody waits for the answer of a worker whose parent was killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = _JOBS[job.pop("do")](folder, **job)
        except ConvertError as error:
            answer = {"error": str(error)}
        except Exception as error:  # noqa: BLE001  whatever a library raises is one candidate's
            answer = failure(error)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
