"""How far each recipe's numbers may be from the original's: every output, any batch and length."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.data import Examples
from convert.litert import LiteRtModel
from convert.load import Source, load
from convert.quantize import quantize
from convert.quiet import quiet
from convert.recipe import Recipe

SEED = 66
FACTS = 5
BATCHES_AND_LENGTHS = ((1, 9), (3, 16), (8, 30), (2, 9))
# As a share of the greatest number that an output gives for the calibration data.
TOLERANCES = {
    "float32": 1e-4,
    "float16": 5e-3,
    "dynamic_wi8_afp32": 3e-2,
    "weight_only_wi8_afp32": 3e-2,
    # These saturate outside the ranges seen in calibration, which other lengths leave now and then.
    "static_wi8_ai16": 1e-1,
    "static_wi8_ai8": 1e-1,
    "dynamic_wi4_afp32": 3e-1,
}


def drawn(batch: int, length: int) -> dict[str, Any]:
    """A wave of so many steps, and a few facts beside it."""
    rng = np.random.default_rng([SEED, batch, length])
    return {
        "wave": rng.normal(size=(batch, length, 2)).astype(np.float32),
        "facts": rng.normal(size=(batch, FACTS)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Convolutions over any length and a dense branch; two inputs, two outputs."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    wave = keras.Input((None, 2), name="wave")
    facts = keras.Input((FACTS,), name="facts")
    heard = keras.layers.Conv1D(16, 3, padding="same", activation="relu")(wave)
    heard = keras.layers.Conv1D(16, 3, padding="same", activation="relu")(heard)
    heard = keras.layers.GlobalAveragePooling1D()(heard)
    known = keras.layers.Dense(16, activation="relu")(facts)
    both = keras.layers.Dense(32, activation="relu")(keras.ops.concatenate([heard, known], -1))
    outputs = [
        keras.layers.Dense(4, activation="softmax", name="scores")(both),
        keras.layers.Dense(2, name="amounts")(both),
    ]
    folder = tmp_path_factory.mktemp("tolerance")
    keras.Model([wave, facts], outputs).save(folder / "model.keras")
    return load(folder / "model.keras", folder)


@pytest.mark.parametrize(("recipe", "tolerance"), TOLERANCES.items())
def test_every_output_stays_within_the_recipes_tolerance(
    source: Source, recipe: str, tolerance: float
) -> None:
    """Whatever the batch and the length, no number is further from the original's."""
    known = drawn(64, 24)
    calibration = Examples(path=Path("drawn"), inputs=known, targets=None)
    with quiet():
        content = quantize(source.float_model, source.signature, Recipe(recipe), calibration)
    made = LiteRtModel(content, source.signature)
    greatest = {name: float(np.abs(all_).max()) for name, all_ in source.original(known).items()}

    for batch, length in BATCHES_AND_LENGTHS:
        inputs = drawn(batch, length)
        answers = made.run(inputs)
        for name, expected in source.original(inputs).items():
            most = tolerance * greatest[name]
            np.testing.assert_allclose(expected, answers[name], rtol=0, atol=most)
