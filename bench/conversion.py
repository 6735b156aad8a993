"""`python -m bench.conversion`: what conversions take, in time and memory, against the targets.

Every recipe is tried on digits, and on MobileNetV2 at 224 x 224 (random weights, drawn pictures to
calibrate on, answers compared with the original's). Progress goes to standard error as it comes.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.architectures import WORK, made
from bench.processes import memory_mb

ROWS, PIXELS, SEED = 32, 224, 20
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a conversion took.

    Attributes:
        seconds: From start to end.
        peak_mb: Of the whole process tree, in millions of bytes; shared pages count once.
    """

    seconds: float
    peak_mb: float

    def line(self, name: str, most: "Cost") -> tuple[bool, str]:
        """Whether it is within the most that is allowed, and a line that says so."""
        kept = self.seconds <= most.seconds and self.peak_mb <= most.peak_mb
        return kept, (
            f"{'met   ' if kept else 'missed'}  {name}, all recipes: {self.seconds:.0f} s, at most "
            f"{most.seconds:g}; peak {self.peak_mb:.0f} MB, at most {most.peak_mb:g}"
        )


DIGITS = Cost(seconds=60, peak_mb=4000)
MOBILENET = Cost(seconds=240, peak_mb=4000)


def main() -> int:
    """Prints a line for each; returns 1 where one takes more than it may."""
    folder = made("mobilenet-v2")
    calibration = WORK / "pictures.npz"
    drawn = np.random.default_rng(SEED).uniform(-1, 1, (ROWS, PIXELS, PIXELS, 3))
    np.savez(calibration, x=drawn.astype(np.float32))
    against = ["--calibration", str(calibration), "--min-agreement", "0"]
    told = [
        measure(["models/digits"]).line("digits", DIGITS),
        measure([str(folder), *against]).line("MobileNetV2", MOBILENET),
    ]
    for _, line in told:
        print(line)
    return 0 if all(kept for kept, _ in told) else 1


def measure(arguments: Sequence[str]) -> Cost:
    """Runs `python -m convert` into a folder that goes afterwards.

    Raises:
        SystemExit: The conversion failed; it said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "convert", *arguments, "--out", f"{folder}/out"]
        start, peak = time.monotonic(), 0.0
        with subprocess.Popen(command) as running:
            while running.poll() is None:
                peak = max(peak, memory_mb(running.pid)[0])
                time.sleep(LOOK_SECONDS)
        if running.returncode:
            raise SystemExit(f"python -m convert {arguments[0]} ended with {running.returncode}")
        return Cost(seconds=time.monotonic() - start, peak_mb=peak)


if __name__ == "__main__":
    sys.exit(main())
