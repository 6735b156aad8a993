"""The committed example is what train.py makes of scikit-learn's digits."""

import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convert import card

FOLDER = Path(__file__).parents[2] / "models" / "digits"
DIGITS = range(10)


@pytest.fixture(scope="module")
def trainer() -> Iterator[ModuleType]:
    """train.py as a module; it sets variables for TensorFlow, which are taken back."""
    spec = importlib.util.spec_from_file_location("train_digits", FOLDER / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's and scikit-learn's, of themselves
        spec.loader.exec_module(module)
        yield module
    os.environ.clear()
    os.environ.update(before)
    sys.modules.pop("train_digits", None)


@pytest.fixture(scope="module")
def evaluation() -> Any:
    """The committed held-out data."""
    return np.load(FOLDER / "evaluation.npz")


def test_model_is_over_97_per_cent(trainer: ModuleType, evaluation: Any) -> None:
    """The committed model is right on more than 97 % of pictures it never saw."""
    model = trainer.keras.models.load_model(FOLDER / "model.keras")
    guessed = model.predict(evaluation["x"], verbose=0).argmax(axis=1)
    assert (guessed == evaluation["y"]).mean() > 0.97


def test_model_is_small() -> None:
    """The committed model is under 500 kB: no optimizer state in it."""
    assert (FOLDER / "model.keras").stat().st_size < 500_000


def test_evaluation_is_held_out(trainer: ModuleType, evaluation: Any) -> None:
    """The committed data are the split's own halves: what is evaluated was not trained on."""
    train_x, test_x, _, test_y = trainer.split()
    assert np.array_equal(trainer.to_input(test_x), evaluation["x"])
    assert np.array_equal(test_y, evaluation["y"])
    calibration = np.load(FOLDER / "calibration.npz")["x"]
    trained = {row.tobytes() for row in trainer.to_input(train_x)}
    assert all(row.tobytes() in trained for row in calibration)
    assert not any(row.tobytes() in trained for row in evaluation["x"])


@pytest.mark.parametrize("digit", DIGITS)
def test_sample_is_a_row_of_the_evaluation(evaluation: Any, digit: int) -> None:
    """samples/N.png, read as the card says, is bit for bit a held-out picture of digit N."""
    picture = card.read(FOLDER / "model.yaml", {}).picture
    assert picture is not None
    low, high = picture.range
    with Image.open(FOLDER / "samples" / f"{digit}.png") as image:
        assert ("L", (picture.width, picture.height)) == (image.mode, image.size)
        pixels = np.asarray(image, np.float32)
    scaled = np.float32(low) + pixels / np.float32(255) * np.float32(high - low)
    matches = (evaluation["x"] == scaled[..., np.newaxis]).all(axis=(1, 2, 3))
    assert [digit] == sorted(set(evaluation["y"][matches].tolist()))


def test_train_makes_every_file(
    trainer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of train.py makes all that is committed but the card; one epoch shows as much."""
    monkeypatch.setattr(trainer, "EPOCHS", 1)
    assert trainer.write(tmp_path) > 0.3
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    samples = {f"samples/{digit}.png" for digit in DIGITS}
    assert {"model.keras", "calibration.npz", "evaluation.npz"} | samples == made
    for name in ("calibration.npz", "evaluation.npz"):
        old, new = np.load(FOLDER / name), np.load(tmp_path / name)
        assert all(np.array_equal(old[key], new[key]) for key in old.files)
