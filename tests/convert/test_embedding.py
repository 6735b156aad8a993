"""Embeddings: the table is most of a text model, and shrinks with the rest of it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from convert.litert import LiteRtModel
from convert.load import Source, load
from convert.quantize import quantize
from convert.quiet import quiet
from convert.recipe import Recipe

SEED = 66
WORDS, WIDTH, CLASSES = 600, 16, 3
FLOAT_TABLE = WORDS * WIDTH * 4


def made(source: Source, recipe: str) -> bytes:
    """A model under a recipe, without any calibration data."""
    with quiet():
        return quantize(source.float_model, source.signature, Recipe(recipe), None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A table, and three dense layers that weigh next to nothing beside it."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    words = keras.Input((None,), dtype="int32", name="words")
    value = keras.layers.Embedding(WORDS, WIDTH, name="meaning")(words)
    value = keras.layers.GlobalAveragePooling1D()(value)
    for _ in range(2):
        value = keras.layers.Dense(WIDTH, activation="relu")(value)
    folder = tmp_path_factory.mktemp("embedding")
    keras.Model(words, keras.layers.Dense(CLASSES, name="scores")(value)).save(folder / "m.keras")
    return load(folder / "m.keras", folder)


@pytest.mark.parametrize(
    "recipe", ["dynamic_wi8_afp32", "weight_only_wi8_afp32", "dynamic_wi4_afp32"]
)
def test_table_shrinks_without_calibration(source: Source, recipe: str) -> None:
    """The file loses three quarters of the table; answers stay near, at any length."""
    content = made(source, recipe)
    assert len(content) < len(source.float_model) - FLOAT_TABLE * 0.7

    model = LiteRtModel(content, source.signature)
    for batch, length in ((1, 4), (5, 9)):
        words = np.random.default_rng([SEED, batch]).integers(0, WORDS, (batch, length))
        inputs = {"words": words.astype(np.int32)}
        expected = source.original(inputs)["scores"]
        most = 0.3 * float(np.abs(expected).max())
        np.testing.assert_allclose(expected, model.run(inputs)["scores"], rtol=0, atol=most)


def test_table_stays_float_where_the_first_layer_does(source: Source) -> None:
    """+mixed keeps the table in float, as the first of the layers with weights."""
    assert len(made(source, "dynamic_wi8_afp32+mixed")) > FLOAT_TABLE


def test_table_is_as_exact_as_its_steps(tmp_path: Path) -> None:
    """A number looked up is off by half a step of the widest number in the table at most."""
    keras.utils.set_random_seed(SEED)
    words = keras.Input((None,), dtype="int32", name="words")
    table = keras.layers.Embedding(WORDS, WIDTH, name="meaning")
    keras.Model(words, table(words)).save(tmp_path / "m.keras")
    source = load(tmp_path / "m.keras", tmp_path)
    model = LiteRtModel(made(source, "dynamic_wi8_afp32"), source.signature)
    inputs = {"words": np.arange(WORDS, dtype=np.int32)[np.newaxis]}
    values = source.original(inputs)["meaning"]
    step = float(np.abs(values).max()) / 127
    np.testing.assert_allclose(values, model.run(inputs)["meaning"], rtol=0, atol=step * 0.51)
