"""--check, which previews run: it says what the conversion would say, and writes nothing."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.__main__ import main


@pytest.fixture
def model(zoo: Any, tmp_path: Path) -> Path:
    """A folder with a card, all of which fits."""
    (tmp_path / "model.yaml").write_text(
        f"{{name: m, model: '{zoo.keras}', evaluation: '{zoo.evaluation}', "
        f"calibration: '{zoo.calibration}'}}"
    )
    return tmp_path


def change(model: Path, key: str, value: str) -> None:
    """Writes another value into the card."""
    card = model / "model.yaml"
    lines = card.read_text()[1:-1].split(", ")
    kept = [line for line in lines if not line.startswith(f"{key}:")]
    card.write_text(f"{{{', '.join([*kept, f'{key}: {value}'])}}}")


def calibration_of_another_shape(model: Path) -> None:
    """Five numbers a row, where the model takes twelve."""
    np.savez(model / "c.npz", x=np.zeros((8, 5), np.float32))
    change(model, "calibration", "c.npz")


def labels_of_another_length(model: Path) -> None:
    """Two labels for four scores."""
    change(model, "labels", "[one, two]")


def one_label_of_one_score(model: Path) -> None:
    """A probability is of the second of two labels."""
    start = keras.Input((12,), name="features")
    spam = keras.layers.Dense(1, activation="sigmoid", name="spam")
    keras.Model(start, spam(start)).save(model / "m.keras")
    change(model, "model", "m.keras")
    change(model, "labels", "[spam]")


def targets_of_an_unknown_class(model: Path) -> None:
    """A class that the model has no score for."""
    np.savez(model / "e.npz", x=np.zeros((8, 12), np.float32), y=np.full(8, 9))
    change(model, "evaluation", "e.npz")


def metric_that_cannot_fail(model: Path) -> None:
    """Of four classes each is among the best five."""
    change(model, "metric", "top5")


def weights_that_are_not_numbers(model: Path) -> None:
    """A layer that diverged."""
    start = keras.Input((12,), name="features")
    layer = keras.layers.Dense(4, kernel_initializer=keras.initializers.Constant(float("nan")))
    keras.Model(start, layer(start)).save(model / "m.keras")
    change(model, "model", "m.keras")


def operation_that_litert_lacks(model: Path) -> None:
    """The inverse of the error function."""
    start = keras.Input((12,), name="features")
    keras.Model(start, keras.layers.Dense(4)(keras.ops.erfinv(start))).save(model / "m.keras")
    change(model, "model", "m.keras")


def training_targets_of_one_of_two_outputs(model: Path) -> None:
    """Fine-tuning wants targets for all outputs, and targets are of one."""
    start = keras.Input((12,), name="features")
    two = [keras.layers.Dense(4, name=name)(start) for name in ("kind", "price")]
    keras.Model(start, two).save(model / "m.keras")
    change(model, "model", "m.keras")
    for file in ("evaluation", "training"):
        np.savez(model / f"{file}.npz", x=np.zeros((8, 12), np.float32), y_kind=np.zeros(8, int))
        change(model, file, f"{file}.npz")


def pictures(model: Path, file: str, scale: float) -> None:
    """A model of pictures whose pixels become 0 to 1, and data with the greatest number given."""
    start = keras.Input((2, 2, 3), name="image")
    keras.Model(start, keras.layers.Dense(4)(keras.layers.Flatten()(start))).save(model / "m.keras")
    change(model, "model", "m.keras")
    change(model, "picture", "{width: 2, height: 2, color: rgb, range: [1.0, 0.0]}")
    x = np.linspace(0, 1, 96, dtype=np.float32).reshape(8, 2, 2, 3)
    for name in ("evaluation", "calibration"):
        largest = scale if name == file else 1
        np.savez(model / f"{name}.npz", x=x * largest, y=np.zeros(8, int))
        change(model, name, f"{name}.npz")


def evaluation_of_whole_pixels(model: Path) -> None:
    """Data as a camera gives them, for a card that makes a share of each pixel."""
    pictures(model, "evaluation", 255)


def calibration_of_tiny_numbers(model: Path) -> None:
    """Data that were divided once too often."""
    pictures(model, "calibration", 1 / 255)


@pytest.mark.parametrize("scale", [1.2, 0.1])
def test_pictures_may_be_noisy_or_dull(model: Path, scale: float) -> None:
    """Numbers a little beyond the scale, or a part of it, are what pictures become."""
    pictures(model, "evaluation", scale)
    assert 0 == main([str(model), "--check"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (calibration_of_another_shape, "rows of shape [5]: the model expects [12]"),
        (labels_of_another_length, "labels: 2 given"),
        (
            one_label_of_one_score,
            "'spam' has one score, the probability of the second of two labels",
        ),
        (targets_of_an_unknown_class, "knows 0 to 3"),
        (metric_that_cannot_fail, "metric: top5: output 'scores' has 4 classes"),
        (weights_that_are_not_numbers, "NaN or infinite"),
        (training_targets_of_one_of_two_outputs, "training.npz: the model has 2 outputs and `y`"),
        (evaluation_of_whole_pixels, "evaluation.npz has 0 to 255: expected one scale"),
        (calibration_of_tiny_numbers, "calibration.npz has 0 to 0.00392157: expected one scale"),
        (operation_that_litert_lacks, "LiteRT has no operation for Erfinv"),
    ],
)
def test_check_says_what_the_conversion_says(
    model: Path, convert: Any, capsys: pytest.CaptureFixture[str], damage: Any, said: str
) -> None:
    """What only the loaded model can tell is told by both, in the same words."""
    damage(model)
    fault = convert.fails(model)
    before = sorted(model.iterdir())
    capsys.readouterr()

    assert 2 == main([str(model), "--check"])
    assert f"convert: {fault}" == capsys.readouterr().err.splitlines()[-1]
    assert said in fault
    assert before == sorted(model.iterdir())


def test_what_fits_passes(model: Path) -> None:
    """Nothing wrong is exit 0, and nothing written."""
    before = sorted(model.iterdir())
    assert 0 == main([str(model), "--check"])
    assert before == sorted(model.iterdir())
