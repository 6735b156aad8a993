"""The two models that everything is measured with, converted once and kept under .build/bench."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.inputs import INPUTS
from local.home import PROJECT, say

if TYPE_CHECKING:
    from bench.inputs import Rows

BUILT = Path(".build/bench")
NAMES = ("digits", "mobilenet")
# Float, so that TensorFlow and every runtime do the same arithmetic.
RECIPE = "float32"
INPUT_COUNT = {"digits": 32, "mobilenet": 8}
# Both candidates of a comparison must be converted by the same code from the same model.
_SOURCES = ("convert/*.py", "bench/mobilenet.py", "bench/inputs.py", "models/digits/model.*")


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchModel:
    """A model, what it is asked and what it must answer.

    Attributes:
        name: digits or mobilenet, as in its URL.
        card: The folder with model.keras and model.yaml, relative to the project.
        artifact: The folder with model.tflite and model.json, relative to the project.
        inputs: One row each.
        expected: What the stock interpreter answers to each.
    """

    name: str
    card: Path
    artifact: Path
    inputs: list[Rows]
    expected: list[Rows]

    @property
    def raw(self) -> bool:
        """Whether it is asked with raw tensors: JSON of 150,528 numbers would measure JSON."""
        return self.name != "digits"


def prepare(name: str) -> BenchModel:
    """The model by that name, made if it is not there.

    Raises:
        BenchError: It cannot be made.
    """
    card, artifact = _make(name)
    inputs = INPUTS[name](INPUT_COUNT[name])
    return BenchModel(
        name=name,
        card=card,
        artifact=artifact,
        inputs=inputs,
        expected=_answers(artifact / "model.tflite", inputs),
    )


def _make(name: str) -> tuple[Path, Path]:
    folder = BUILT / "models" / f"{name}-{_fingerprint()}"
    card = Path("models/digits") if name == "digits" else folder / "source"
    if not folder.exists():
        say(f"making {name} ({RECIPE}) ...")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            fresh = Path(temporary, "model")
            source = card
            if name != "digits":
                source = fresh / "source"
                _run("-m", "bench.mobilenet", str(source))
            _run("-m", "convert", str(source), "--recipe", RECIPE, "--out", str(fresh / "out"))
            shutil.move(fresh, folder)
    return card, folder / "out"


def _fingerprint() -> str:
    total = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(Path().glob(pattern)):
            total.update(f"{path}\0".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BenchError(
            f"python {' '.join(arguments[:2])} ended with {done.returncode}: "
            f"{said[-1] if said else 'it printed nothing'}"
        )


def _answers(model: Path, inputs: list[Rows]) -> list[Rows]:
    # Slow to import, and only a measurement needs it.
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(model), num_threads=1).get_signature_runner()
    (given,) = run.get_input_details()
    (answer,) = run.get_output_details()
    return [run(**{given: rows})[answer].copy() for rows in inputs]
