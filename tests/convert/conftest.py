"""Small models, made once: a classifier whose targets are its own answers, in every form."""

import dataclasses
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.__main__ import main
from convert.recipe import Scheme

SEED = 66
FEATURES = 12
CLASSES = 4
ROWS = 96


@dataclasses.dataclass(frozen=True)
class Zoo:
    """Where the session's models and data lie, and the Keras model itself."""

    keras: Path
    h5: Path
    saved_model: Path
    tflite: Path
    calibration: Path
    evaluation: Path
    model: Any
    x: Any
    y: Any


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """The classifier as .keras, .h5, SavedModel and .tflite, with its data."""
    folder = tmp_path_factory.mktemp("zoo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        keras.utils.set_random_seed(SEED)
        features = keras.Input((FEATURES,), name="features")
        hidden = keras.layers.Dense(64, activation="relu", name="hidden")(features)
        hidden = keras.layers.Dense(32, activation="relu", name="deep")(hidden)
        scores = keras.layers.Dense(CLASSES, activation="softmax", name="scores")(hidden)
        model = keras.Model(features, scores, name="classifier")
        model.save(folder / "classifier.keras")
        model.save(folder / "classifier.h5")
        model.export(folder / "classifier", format="tf_saved_model", verbose=False)
        x = np.random.default_rng(SEED).normal(size=(ROWS, FEATURES)).astype(np.float32) * 3
        y = model.predict(x, verbose=0).argmax(axis=1)
    np.savez(folder / "calibration.npz", x=x[: ROWS // 2])
    np.savez(folder / "evaluation.npz", x=x, y=y)
    out = folder / "out"
    assert main([str(folder / "classifier.keras"), "--recipe", "float32", "--out", str(out)]) == 0
    shutil.copy(out / "model.tflite", folder / "classifier.tflite")
    return Zoo(
        keras=folder / "classifier.keras",
        h5=folder / "classifier.h5",
        saved_model=folder / "classifier",
        tflite=folder / "classifier.tflite",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        model=model,
        x=x,
        y=y,
    )


@pytest.fixture(scope="session")
def converted(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The classifier under each recipe: its model.tflite. Read only."""
    made: dict[str, Path] = {}
    for recipe in Scheme:
        out = tmp_path_factory.mktemp("converted") / recipe
        named = [str(zoo.keras), "--recipe", recipe, "--calibration", str(zoo.calibration)]
        assert main([*named, "--out", str(out)]) == 0
        made[recipe] = out / "model.tflite"
    return made


@pytest.fixture
def prices(tmp_path: Path) -> tuple[Any, Any]:
    """Rows, and what model.keras in the test's folder answers them: one quantity each."""
    import keras

    keras.utils.set_random_seed(66)
    start = keras.Input((6,), name="rooms")
    hidden = keras.layers.Dense(32, activation="relu", name="hidden")(start)
    model = keras.Model(start, keras.layers.Dense(1, name="price")(hidden))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(66).normal(size=(64, 6)).astype(np.float32)
    return x, model.predict(x, verbose=0)[:, 0]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one run of the command line left."""

    code: int
    errors: list[str]
    out: Path


class Convert:
    """Runs the command line in this process, into a folder of its own.

    Args:
        folder: Empty; whatever a run leaves besides its results would be seen in it.
        capsys: Takes standard error.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        """Runs with `--out FOLDER/out`; one among the arguments comes later and wins."""
        out = self.folder / "out"
        self._capsys.readouterr()
        code = main(["--out", str(out), *map(str, arguments)])
        return Outcome(code, self._capsys.readouterr().err.splitlines(), out)

    def fails(self, *arguments: object) -> str:
        """Expects exit 2, one line of fault after progress, nothing left; returns the line."""
        outcome = self(*arguments)
        assert outcome.code == 2
        *progress, fault = outcome.errors
        assert fault.startswith("convert: ")
        assert not [line for line in progress if not line.startswith(("loading ", "["))]
        assert list(self.folder.iterdir()) == []
        return fault.removeprefix("convert: ")


@pytest.fixture
def convert(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> Convert:
    """The command line, in this process."""
    return Convert(tmp_path_factory.mktemp("work"), capsys)
