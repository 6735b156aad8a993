"""The image's own test."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from handler.prove import prove

PROJECT = Path(__file__).parents[2]


def test_a_model_that_works_is_proven(environment: Mapping[str, str]) -> None:
    """It is loaded, run on zeros and given a picture; the line says what it gives."""
    line = prove(environment)

    assert line.startswith("digits (float32, sha256 ")
    assert line.endswith("gives scores [1, 10]")


def test_a_model_without_picture_is_proven(tiny: Path, library: str) -> None:
    """log(0) is infinite, yet the model runs: that is no reason to refuse the image."""
    line = prove({"MODEL_DIR": str(tiny), "LITERT_LIBRARY": library})

    assert line.endswith("gives log [1, 1], sum [1, 1], twice [1]")


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_model_that_does_not_work_fails_the_build(folder: str) -> None:
    """Exit status 1 and one line."""
    done = subprocess.run(
        [sys.executable, "-m", "handler.prove"],
        cwd=PROJECT,
        env={**os.environ, "MODEL_DIR": folder},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 1 == done.returncode
    assert done.stderr.startswith("cannot serve this model: cannot read ")
    assert 1 == len(done.stderr.splitlines())
