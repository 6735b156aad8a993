"""Models that are no good, and a disk that is full: one line that names it, nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from convert import keras_file, unfit
from convert.errors import ModelError
from convert.saved_model import Served

ROOT = Path(__file__).parents[2]


def test_nan_weight_is_named(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A Keras model whose training diverged is refused, with the weight's name."""
    model = keras.models.clone_model(zoo.model)
    kernel, bias = model.get_layer("deep").get_weights()
    kernel[3, 4] = np.nan
    model.get_layer("deep").set_weights([kernel, bias])
    model.save(tmp_path / "model.keras")
    fault = convert.fails(tmp_path / "model.keras", "--recipe", "float32")
    assert "weight 'deep/kernel' has NaN or infinite numbers" in fault


def test_nan_variable_is_named(tmp_path: Path) -> None:
    """So is a SavedModel, with the variable's name."""
    module = tf.Module()
    module.scale = tf.Variable([1.0, np.inf], name="scale")

    @tf.function(input_signature=[tf.TensorSpec((None, 2))])  # type: ignore[untyped-decorator]  # tensorflow publishes no types
    def serve(x: Any) -> Any:
        return {"y": x * module.scale}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": serve})
    with pytest.raises(ModelError, match="variable 'scale:0' has NaN or infinite"):
        Served(tmp_path / "model")


def test_nan_in_a_tflite_file_is_named(zoo: Any) -> None:
    """So is a .tflite file, with the tensor's name."""
    kernel = zoo.model.get_layer("deep").get_weights()[0].T
    content = zoo.tflite.read_bytes()
    where = content.index(kernel.tobytes())
    broken = content[:where] + np.float32(np.nan).tobytes() + content[where + 4 :]
    with pytest.raises(ModelError, match=r"weight '.*deep.*' has NaN"):
        unfit.refuse(broken)


def test_custom_class_of_keras_2_is_named(zoo: Any, tmp_path: Path) -> None:
    """An .h5 file of Keras 2 does not say where a class comes from; it is named all the same."""
    path = tmp_path / "model.h5"
    path.write_bytes(zoo.h5.read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = config["config"]["layers"][1]
        layer["class_name"] = "Attention2016"
        layer.pop("module", None)
        layer.pop("registered_name", None)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match=r"'Attention2016' is a custom class.*model\.export"):
        keras_file.read(path)


def test_operation_of_another_library_is_named(tmp_path: Path) -> None:
    """A SavedModel with an operation that TensorFlow does not know is told by its name."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, 2))])  # type: ignore[untyped-decorator]  # tensorflow publishes no types
    def serve(x: Any) -> Any:
        return {"y": tf.math.erfinv(x)}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": serve})
    graph = tmp_path / "model" / "saved_model.pb"
    # A name of the same length: the file stays a whole protobuf.
    graph.write_bytes(graph.read_bytes().replace(b"Erfinv", b"Myop42"))
    with pytest.raises(ModelError, match="needs the operation Myop42"):
        Served(tmp_path / "model")


def test_full_disk(zoo: Any, tmp_path: Path) -> None:
    """Where a file cannot be written whole, one line says so and nothing of it is left.

    A limit on the size of files stands for the full disk: what it raises takes the same way.
    """
    code = (
        "import resource, sys; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "from convert.__main__ import main; sys.exit(main(sys.argv[1:], isolated=True))"
    )
    command = [sys.executable, "-c", code, str(zoo.tflite), "--recipe", "float32"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 2 == done.returncode
    *_, fault = done.stderr.splitlines()
    assert fault.startswith("convert: File too large while working in --out ")
    assert "Traceback" not in done.stderr
    assert [] == list(tmp_path.iterdir())
