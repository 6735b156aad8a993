"""A model that 8-bit activations ruin: the budget rejects it, and `auto` finds another way."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest


@pytest.fixture(scope="module")
def ruined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A classifier beside whose features one activation is 10,000 times as large, and its data.

    256 steps across that range leave one step for everything that tells the classes apart; that
    large activation itself counts for nothing.
    """
    folder = tmp_path_factory.mktemp("ruined")
    keras.utils.set_random_seed(66)
    start = keras.Input((8,), name="features")
    hidden = keras.layers.Dense(32, activation="relu", name="hidden")(start)
    deep = keras.layers.Dense(32, activation="relu", name="deep")(hidden)
    model = keras.Model(start, keras.layers.Dense(4, activation="softmax", name="scores")(deep))
    weights, bias = model.get_layer("hidden").get_weights()
    weights[:, 0], bias[0] = 0, 1e4
    model.get_layer("hidden").set_weights([weights, bias])
    weights, bias = model.get_layer("deep").get_weights()
    weights[0] = 0
    model.get_layer("deep").set_weights([weights, bias])
    model.save(folder / "model.keras")
    x = np.random.default_rng(66).normal(size=(256, 8)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=model.predict(x, verbose=0).argmax(axis=1))
    np.savez(folder / "calibration.npz", x=x)
    return folder / "model.keras", folder / "data.npz"


def test_ruined_model_is_rejected(ruined: tuple[Path, Path], convert: Any) -> None:
    """Asked for by name, the recipe that ruins the model exits 3 with the table."""
    model, data = ruined
    outcome = convert(
        model, "--recipe", "static_wi8_ai8", "--evaluation", data,
        "--calibration", data.with_name("calibration.npz"),
    )  # fmt: skip
    assert 3 == outcome.code
    [row] = [line for line in outcome.errors if line.startswith("| static_wi8_ai8 |")]
    assert "drop" in row.split("|")[-2]
    assert "no candidate is inside the budget" in outcome.errors[-1]
    assert [] == list(convert.folder.iterdir())


def test_auto_rescues_it(ruined: tuple[Path, Path], convert: Any) -> None:
    """Auto sees the ruined candidates, tries their rescue, and takes one that is as good."""
    model, data = ruined
    outcome = convert(
        model, "--evaluation", data, "--calibration", data.with_name("calibration.npz")
    )
    assert 0 == outcome.code
    report = json.loads((outcome.out / "report.json").read_text())
    rows = {row["recipe"]: row for row in report["candidates"]}
    assert rows["static_wi8_ai8"]["metric"] < 0.7
    assert rows["static_wi8_ai8"]["inside_budget"] is False
    assert "static_wi8_ai8+mixed" in rows
    assert "float16+mixed" not in rows
    assert report["chosen"] != "static_wi8_ai8"
    assert rows[report["chosen"]]["metric"] > 0.99
