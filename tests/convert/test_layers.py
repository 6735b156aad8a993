"""Layers that are refused, layers that LiteRT lacks, and models of other shapes."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from convert import screen
from convert.errors import ModelError


def saved(path: Path, *layers: Any, shape: tuple[int | None, ...] = (4,), **of_input: Any) -> Path:
    """Stacks layers on an input called `signal` and saves the model."""
    start = value = keras.Input(shape, name="signal", **of_input)
    for layer in layers:
        value = layer(value)
    keras.Model(start, value).save(path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_layer_is_refused_by_name(convert: Any, tmp_path: Path, suffix: str) -> None:
    """Python code inside a model file is named and never run."""
    layer = keras.layers.Lambda(lambda it: it * 2, name="twice", output_shape=(4,))
    model = saved(tmp_path / f"model{suffix}", layer)
    fault = convert.fails(model, "--recipe", "float32")
    assert "layer 'twice' (Lambda)" in fault


def test_lambda_inside_a_nested_model_is_refused(tmp_path: Path) -> None:
    """A Lambda layer does not hide in a model within the model."""
    inner_start = keras.Input((4,))
    inner = keras.Model(
        inner_start, keras.layers.Lambda(lambda it: it, name="deep", output_shape=(4,))(inner_start)
    )
    model = saved(tmp_path / "model.keras", inner)
    with pytest.raises(ModelError, match="layer 'deep'"):
        screen.kind_of(model)


def test_tfsm_layer_is_refused_by_name(zoo: Any, tmp_path: Path) -> None:
    """A layer that loads a SavedModel from elsewhere is named."""
    layer = keras.layers.TFSMLayer(
        str(zoo.saved_model), call_endpoint="serving_default", name="elsewhere"
    )
    model = saved(tmp_path / "model.keras", layer, shape=(12,))
    with pytest.raises(ModelError, match=r"layer 'elsewhere' \(TFSMLayer\)"):
        screen.kind_of(model)


@keras.saving.register_keras_serializable(package="lab")
class Doubling(keras.layers.Layer):  # type: ignore[misc]  # keras publishes no types
    """A layer whose code only this test has."""

    def call(self, inputs: Any) -> Any:
        """Doubles."""
        return inputs * 2


def test_custom_layer_is_answered_with_a_way_out(tmp_path: Path) -> None:
    """A layer class of the user's own is named, with the call that takes its code along."""
    model = saved(tmp_path / "model.keras", Doubling(name="mine"))
    with pytest.raises(ModelError, match=r"'mine'.*lab>Doubling.*model\.export"):
        screen.kind_of(model)


class Erfinv(keras.layers.Layer):  # type: ignore[misc]  # keras publishes no types
    """An operation that LiteRT lacks."""

    def call(self, inputs: Any) -> Any:
        """Inverts the error function."""
        return keras.ops.erfinv(inputs)


def test_missing_operation_is_named_with_its_layer(convert: Any, tmp_path: Path) -> None:
    """Where the converter stops, the operation and the layer are named, not its MLIR."""
    start = keras.Input((4,))
    keras.Model(start, Erfinv(name="unbending")(start)).export(tmp_path / "model", verbose=False)
    fault = convert.fails(tmp_path / "model", "--recipe", "float32")
    assert "LiteRT has no operation for Erfinv" in fault
    assert "unbending" in fault


def test_free_dimensions_survive(convert: Any, tmp_path: Path) -> None:
    """A model for pictures of any size keeps every free dimension."""
    model = saved(
        tmp_path / "model.keras",
        keras.layers.Conv2D(4, 3, name="edges"),
        keras.layers.GlobalAveragePooling2D(name="mean"),
        shape=(None, None, 3),
    )
    np.savez(
        tmp_path / "pictures.npz",
        x=np.random.default_rng(66).uniform(size=(40, 9, 7, 3)).astype(np.float32),
    )
    outcome = convert(
        model, "--recipe", "static_wi8_ai8", "--calibration", tmp_path / "pictures.npz"
    )
    signature = json.loads((outcome.out / "model.json").read_text())["signature"]
    assert [-1, -1, -1, 3] == signature["inputs"][0]["shape"]
    assert [("mean", [-1, 4])] == [(one["name"], one["shape"]) for one in signature["outputs"]]


def test_data_the_model_cannot_run_on(convert: Any, tmp_path: Path) -> None:
    """Pictures too small for the model's convolution are the data's fault, told in one line."""
    model = saved(
        tmp_path / "model.keras",
        keras.layers.Conv2D(4, 3, name="edges"),
        keras.layers.GlobalAveragePooling2D(name="mean"),
        shape=(None, None, 3),
    )
    np.savez(tmp_path / "e.npz", x=np.zeros((4, 1, 1, 3), np.float32), y=np.zeros(4, int))
    fault = convert.fails(model, "--evaluation", tmp_path / "e.npz")
    assert "cannot run on this data (signal [4, 1, 1, 3]): Computed output size" in fault


def test_several_inputs_and_outputs_keep_their_names(convert: Any, tmp_path: Path) -> None:
    """Inputs and outputs are called what the author called them, not output_0."""
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = keras.layers.Concatenate()([left, right])
    heads = [keras.layers.Dense(size, name=name)(both) for name, size in (("up", 4), ("down", 5))]
    keras.Model([left, right], heads).save(tmp_path / "model.keras")
    rng = np.random.default_rng(66)
    np.savez(
        tmp_path / "rows.npz",
        left=rng.normal(size=(40, 3)).astype(np.float32),
        right=rng.normal(size=(40, 2)).astype(np.float32),
    )
    outcome = convert(
        tmp_path / "model.keras",
        "--recipe",
        "static_wi8_ai8",
        "--calibration",
        tmp_path / "rows.npz",
    )
    signature = json.loads((outcome.out / "model.json").read_text())["signature"]
    assert {"left": [-1, 3], "right": [-1, 2]} == {
        one["name"]: one["shape"] for one in signature["inputs"]
    }
    assert {"up": [-1, 4], "down": [-1, 5]} == {
        one["name"]: one["shape"] for one in signature["outputs"]
    }


def test_keras_2_saved_model_with_its_optimizer(convert: Any) -> None:
    """What Keras 2 saved after training converts; without tf_keras installed it would not.

    The folder was written by tf_keras 2.21: two Dense layers, compiled with its legacy Adam, whose
    slots are what TensorFlow alone cannot restore, fitted once, then saved as a SavedModel.
    """
    outcome = convert(Path(__file__).parent / "keras2_saved_model", "--recipe", "float32")
    assert 0 == outcome.code
    signature = json.loads((outcome.out / "model.json").read_text())["signature"]
    assert [("hidden_input", [-1, 4])] == [
        (one["name"], one["shape"]) for one in signature["inputs"]
    ]
    runner = Interpreter(model_path=str(outcome.out / "model.tflite")).get_signature_runner(
        "serving_default"
    )
    answer = runner(hidden_input=np.array([[0.0, 1.0, 2.0, 3.0]], np.float32))["ends"]
    np.testing.assert_allclose([[0.5317624, -1.4042693]], answer, atol=1e-4)


def test_whole_numbers_in(convert: Any, tmp_path: Path) -> None:
    """A model that takes token numbers is scored on int64 data that fits its int32."""
    keras.utils.set_random_seed(66)
    model = saved(
        tmp_path / "model.keras",
        keras.layers.Embedding(20, 8, name="meaning"),
        keras.layers.GlobalAveragePooling1D(name="mean"),
        keras.layers.Dense(2, activation="softmax", name="scores"),
        shape=(6,),
        dtype="int32",
    )
    tokens = np.random.default_rng(66).integers(0, 20, size=(30, 6))
    np.savez(tmp_path / "e.npz", x=tokens, y=np.zeros(30, int))
    outcome = convert(model, "--evaluation", tmp_path / "e.npz")
    assert 0 == outcome.code
    signature = json.loads((outcome.out / "model.json").read_text())["signature"]
    assert "int32" == signature["inputs"][0]["dtype"]
