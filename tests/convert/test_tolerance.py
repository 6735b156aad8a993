"""How far each recipe's numbers may be from the original's: every output, any batch and length.

Of a pruned recipe the original is the pruned model: what pruning costs is for the metric to say.
"""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.data import Examples
from convert.litert import LiteRtModel
from convert.load import Source, load
from convert.prune import load_pruned
from convert.quantize import quantize
from convert.quiet import quiet
from convert.recipe import Recipe, Scheme

SEED = 66
FACTS = 5
BATCHES_AND_LENGTHS = ((1, 9), (3, 16), (8, 30), (2, 9))
SHARE = 0.5
README = Path(__file__).parents[2] / "README.md"
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

PLAIN = [*TOLERANCES, *(f"{one}+mixed" for one in Scheme if one.is_integer)]


def drawn(batch: int, length: int) -> dict[str, Any]:
    """A wave of so many steps, and a few facts beside it."""
    rng = np.random.default_rng([SEED, batch, length])
    return {
        "wave": rng.normal(size=(batch, length, 2)).astype(np.float32),
        "facts": rng.normal(size=(batch, FACTS)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    path: Path = tmp_path_factory.mktemp("tolerance") / "model.keras"
    keras.Model([wave, facts], outputs).save(path)
    return path


@pytest.fixture(scope="module")
def source(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The model, read."""
    return load(model, tmp_path_factory.mktemp("read"))


@pytest.fixture(scope="module")
def pruned(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The model without half of its weights."""
    return load_pruned(model, tmp_path_factory.mktemp("pruned"), SHARE, None)[0]


def check(source: Source, recipe: str, tolerance: float) -> None:
    """Holds a recipe's file against the original."""
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


@pytest.mark.parametrize("recipe", PLAIN)
def test_every_output_stays_within_the_recipes_tolerance(source: Source, recipe: str) -> None:
    """Whatever the batch and the length, no number is further from the original's."""
    check(source, recipe, TOLERANCES[Recipe(recipe).scheme])


@pytest.mark.parametrize("recipe", [f"{one}+prune50" for one in PLAIN])
def test_pruned_model_keeps_the_same_tolerance(pruned: Source, recipe: str) -> None:
    """No number is further from that of the pruned model than it would be without pruning."""
    check(pruned, recipe, TOLERANCES[Recipe(recipe).scheme])


def test_pruned_original_is_the_model_with_its_smallest_weights_at_zero(
    model: Path, pruned: Source
) -> None:
    """What a pruned file is held against is Keras itself, with half of each kernel masked."""
    masked = keras.models.load_model(model)
    for layer in masked.layers:
        for weight in layer.weights:
            values = np.asarray(weight)
            if values.ndim > 1:
                smallest = np.sort(np.abs(values), axis=None)[values.size // 2]
                weight.assign(np.where(np.abs(values) < smallest, 0, values))
    inputs = drawn(3, 16)
    scores, amounts = masked([inputs["wave"], inputs["facts"]], training=False)
    given = pruned.original(inputs)
    np.testing.assert_allclose(scores, given["scores"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(amounts, given["amounts"], rtol=0, atol=1e-6)


def test_readme_states_the_tolerances() -> None:
    """The README's table of recipes has these numbers, and no other recipes."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) % \|$", README.read_text(), re.MULTILINE)
    assert {name: pytest.approx(share * 100) for name, share in TOLERANCES.items()} == {
        name: float(share) for name, share in rows
    }
