"""Every recipe's file against the original."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from convert import data, quantize, signature
from convert.data import Examples
from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.load import load
from convert.quiet import quiet
from convert.recipe import Recipe, Scheme


def ask(model: Path, x: Any, name: str = "features") -> Any:
    """Runs a .tflite file on a whole batch."""
    runner = Interpreter(model_path=str(model)).get_signature_runner("serving_default")
    return next(iter(runner(**{name: x}).values()))


@pytest.mark.parametrize(
    ("recipe", "tolerance", "share_of_float32"),
    [
        ("float32", 1e-4, 1.0),
        ("float16", 5e-3, 0.75),
        ("dynamic_wi8_afp32", 5e-2, 0.6),
        ("weight_only_wi8_afp32", 5e-2, 0.6),
        ("static_wi8_ai8", 5e-2, 0.6),
        ("static_wi8_ai16", 5e-2, 0.6),
        ("dynamic_wi4_afp32", 5e-1, 0.5),
    ],
)
def test_recipe_stays_near_the_original(
    zoo: Any,
    converted: dict[str, Path],
    recipe: str,
    tolerance: float,
    share_of_float32: float,
) -> None:
    """A recipe's answers differ from Keras' by no more than its tolerance, in a smaller file."""
    answers = ask(converted[recipe], zoo.x)
    np.testing.assert_allclose(zoo.model.predict(zoo.x, verbose=0), answers, atol=tolerance)
    whole = converted["float32"].stat().st_size
    assert converted[recipe].stat().st_size <= share_of_float32 * whole


@pytest.mark.parametrize("recipe", list(Scheme))
def test_inputs_and_outputs_stay_float_with_a_free_batch(
    converted: dict[str, Path], recipe: str
) -> None:
    """The file itself takes and gives float32 with a free batch, under the author's names."""
    interpreter = Interpreter(model_path=str(converted[recipe]))
    runner = interpreter.get_signature_runner("serving_default")
    taken, given = runner.get_input_details()["features"], runner.get_output_details()["scores"]
    assert (np.float32, [-1, 12]) == (taken["dtype"], taken["shape_signature"].tolist())
    assert (np.float32, [-1, 4]) == (given["dtype"], given["shape_signature"].tolist())


def test_int8_weights_are_int8(converted: dict[str, Path]) -> None:
    """A static file multiplies int8 weights, not floats that were rounded once."""
    interpreter = Interpreter(model_path=str(converted["static_wi8_ai8"]))
    kinds = {tuple(tensor["shape"]): tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert np.int8 is kinds[32, 64]


@pytest.mark.parametrize("form", ["keras", "h5", "saved_model", "tflite"])
def test_every_form_gives_the_same_model(zoo: Any, convert: Any, form: str) -> None:
    """A model answers alike whichever form it came in."""
    outcome = convert(getattr(zoo, form), "--recipe", "dynamic_wi8_afp32")
    assert outcome.code == 0
    described = json.loads((outcome.out / "model.json").read_text())
    assert "dynamic_wi8_afp32" == described["recipe"]
    assert ["features"] == [entry["name"] for entry in described["signature"]["inputs"]]
    answers = ask(outcome.out / "model.tflite", zoo.x)
    np.testing.assert_allclose(zoo.model.predict(zoo.x, verbose=0), answers, atol=5e-2)


def test_tflite_input_is_kept_as_it_is(zoo: Any, convert: Any) -> None:
    """A float32 .tflite under recipe float32 comes out byte for byte."""
    outcome = convert(zoo.tflite, "--recipe", "float32")
    assert zoo.tflite.read_bytes() == (outcome.out / "model.tflite").read_bytes()


def test_tflite_without_a_signature_gets_one(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A file of an old converter, without signatures, is named after its tensors and quantized."""
    model = signature.parse(zoo.tflite.read_bytes())
    model.signatureDefs = []
    (tmp_path / "old.tflite").write_bytes(signature.serialize(model))
    outcome = convert(
        tmp_path / "old.tflite", "--recipe", "static_wi8_ai8", "--calibration", zoo.calibration
    )
    described = json.loads((outcome.out / "model.json").read_text())["signature"]
    assert ["features"] == [one["name"] for one in described["inputs"]]
    answers = ask(outcome.out / "model.tflite", zoo.x)
    np.testing.assert_allclose(zoo.model.predict(zoo.x, verbose=0), answers, atol=5e-2)


def test_same_input_gives_the_same_bytes(zoo: Any, convert: Any) -> None:
    """Two runs write the same model.tflite and model.json."""
    arguments = (zoo.keras, "--recipe", "static_wi8_ai8", "--calibration", zoo.calibration)
    first = convert(*arguments).out
    before = [(first / name).read_bytes() for name in ("model.tflite", "model.json")]
    second = convert(*arguments).out
    after = [(second / name).read_bytes() for name in ("model.tflite", "model.json")]
    assert before == after


def test_large_static_model_is_whole(convert: Any, tmp_path: Path) -> None:
    """Weights past 256 KiB, which the quantizer appends behind the graph, are not lost."""
    keras.utils.set_random_seed(66)
    start = keras.Input((512,), name="features")
    hidden = keras.layers.Dense(600, activation="relu", name="hidden")(start)
    model = keras.Model(start, keras.layers.Dense(3, name="scores")(hidden))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(66).normal(size=(16, 512)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=x)
    outcome = convert(
        tmp_path / "model.keras", "--recipe", "static_wi8_ai8", "--calibration", tmp_path / "c.npz"
    )
    answers = ask(outcome.out / "model.tflite", x)
    np.testing.assert_allclose(model.predict(x, verbose=0), answers, atol=0.1)


def test_calibration_goes_row_by_row_where_rows_are_large(
    zoo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few rows fit into memory at a time, the scales and so the file are the same."""
    content = zoo.tflite.read_bytes()
    of = signature.read(content)
    rows = data.fit(data.read(zoo.calibration, with_targets=False), of)
    with quiet():
        at_once = quantize.quantize(content, of, Recipe("static_wi8_ai8"), rows)
        monkeypatch.setattr(quantize, "_WATCHED_BYTES", 1)
        one_by_one = quantize.quantize(content, of, Recipe("static_wi8_ai8"), rows)
    assert at_once == one_by_one


def test_nearly_dead_layer_fits_16_bits(tmp_path: Path) -> None:
    """Activations of a millionth of what RELU6 lets through do not overflow its kernel."""
    start = keras.Input((6, 6, 2), name="picture")
    faint = keras.initializers.Constant(1e-7)
    value = keras.layers.Conv2D(4, 3, kernel_initializer=faint)(start)
    value = keras.layers.ReLU(6.0, name="seen")(value)
    keras.Model(start, value).save(tmp_path / "m.keras")
    x = np.random.default_rng(66).uniform(0, 1, (4, 6, 6, 2)).astype(np.float32)
    made = load(tmp_path / "m.keras", tmp_path)
    rows = Examples(path=tmp_path / "c.npz", inputs={"picture": x}, targets=None)
    with quiet():
        content = quantize.quantize(
            made.float_model, made.signature, Recipe("static_wi8_ai16"), rows
        )
    answers = LiteRtModel(content, made.signature).run({"picture": x})
    np.testing.assert_allclose(made.original({"picture": x})["seen"], answers["seen"], atol=1e-8)


def test_static_recipe_says_why_it_does_not_work_on_loops(tmp_path: Path) -> None:
    """A recurrent layer's loop is named as the reason, not one of the quantizer's tensors."""
    start = keras.Input((None, 3), name="series")
    keras.Model(start, keras.layers.LSTM(4, name="last")(start)).save(tmp_path / "m.keras")
    made = load(tmp_path / "m.keras", tmp_path)
    x = np.random.default_rng(66).normal(size=(4, 5, 3)).astype(np.float32)
    rows = Examples(path=tmp_path / "c.npz", inputs={"series": x}, targets=None)
    with quiet(), pytest.raises(ModelError, match=r"inside loops \(recurrent layers\).*unroll"):
        quantize.quantize(made.float_model, made.signature, Recipe("static_wi8_ai8"), rows)
