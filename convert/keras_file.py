"""A .keras or .h5 file -> a Keras model -> a SavedModel, as TensorFlow's converter wants it."""

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.errors import ModelError, first_sentence

_UNKNOWN = re.compile(r"(?:Unknown \w+:|Could not locate (?:class|function)) '([^']+)'")

_LONGEST = 300  # a layer's whole config is in some


def read(path: Path) -> Any:  # noqa: ANN401  Keras publishes no types
    """Loads a model that `screen` has let through; nothing in the file is run.

    Layers of mixed precision compute in float32, as their weights are.

    Raises:
        ModelError: Keras cannot load it, a weight is NaN or infinite, or a layer is stateful.
    """
    import keras  # 5 s, and .tflite files need none of it

    # Keras numbers names per process; begun anew, the same model gives the same bytes every time.
    keras.backend.clear_session()
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # layers raise whatever they like
        # What Keras 2 saved does not say where a class comes from; only here does it turn out.
        found = _UNKNOWN.search(str(error))
        if found is not None:
            raise ModelError(
                f"{found.group(1)!r} is a custom class or function, whose code is not here: save "
                "with model.export(FOLDER), where that code is, and convert that SavedModel"
            ) from error
        raise ModelError(
            f"Keras {keras.__version__} cannot load it: {first_sentence(error)[:_LONGEST]}: save "
            "with model.export(FOLDER), where it does load, and convert that SavedModel"
        ) from error
    for weight in model.weights:
        values = np.asarray(weight)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelError(
                f"weight {weight.path!r} has NaN or infinite numbers: training diverged; "
                "take an earlier checkpoint"
            )
    # Keras' own list: no public one has the layers inside of wrappers and attention.
    for layer in model._flatten_layers():  # noqa: SLF001
        if getattr(layer, "stateful", False):
            raise ModelError(
                f"layer {layer.name!r} is stateful, so that one client's request would change the "
                "next one's answer: build the model with stateful=False, give it this one's "
                "weights with set_weights, and convert that"
            )
        if layer.dtype_policy.name.startswith("mixed_"):
            layer.dtype_policy = "float32"  # LiteRT has few operations in half precision
    return model


def ends(model: Any) -> tuple[Any, Any]:  # noqa: ANN401  see read
    """What a model takes and what it gives, nested as it wants them.

    Raises:
        AttributeError: It is a Sequential that has never been built.
    """
    import keras

    if isinstance(model, keras.Sequential):
        # Of one that is read from a file Keras says that it has no `input`.
        [taken], [given] = model.inputs, model.outputs
        return taken, given
    return model.input, model.output


def export(model: Any, folder: Path) -> dict[str, str]:  # noqa: ANN401  see read
    """Writes a model as a SavedModel whose outputs are called output_000, output_001, ...

    Inputs keep their names. Names of outputs are given later, for TensorFlow would sort by them.

    Returns:
        What each output is to be called.

    Raises:
        ModelError: Keras cannot trace it.
    """
    import keras
    import tensorflow as tf

    def serve(inputs: Any) -> dict[str, Any]:  # noqa: ANN401
        answers = keras.tree.flatten(model(inputs, training=False))
        return {_place(index): answer for index, answer in enumerate(answers)}

    def describe(it: Any) -> Any:  # noqa: ANN401
        # A Sequential that was given no Input has the batch that it was trained with for its own.
        shape = (None, *it.shape[1:]) if isinstance(model, keras.Sequential) else it.shape
        return tf.TensorSpec(shape, it.dtype, name=it.name)

    try:
        taken = keras.tree.map_structure(describe, ends(model)[0])
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serve", serve, input_signature=[taken])
        archive.write_out(folder, verbose=False)
        return {_place(index): name for index, name in enumerate(_output_names(model))}
    except Exception as error:  # layers raise whatever they like
        if os.strerror(errno.ENOSPC) in str(error):  # TensorFlow's own error is none of the system
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise ModelError(f"Keras cannot export it: {first_sentence(error)}") from error


def _place(index: int) -> str:
    return f"output_{index:03}"


def _output_names(model: Any) -> list[str]:  # noqa: ANN401  see read
    """Names the outputs in order: the author's keys, joined by `/` where nested; else the layers'.

    Two outputs of one layer are output_0 and output_1.
    """
    import keras

    given = ends(model)[1]
    paths = [path for path, _ in keras.tree.flatten_with_path(given)]
    if isinstance(given, Mapping) or any(len(path) > 1 for path in paths):
        return ["/".join(map(str, path)) for path in paths]
    # A Sequential has no output names; its last layer's is what a functional model would have.
    names = list(getattr(model, "output_names", None) or [model.layers[-1].name])
    if len(names) == len(paths) == len(set(names)):
        return names
    return [f"output_{index}" for index in range(len(paths))]
