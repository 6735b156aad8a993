"""Any model -> a float32 .tflite with a signature, and the original itself, ready to be asked.

Keras models go through a SavedModel, as TensorFlow's own converter wants them. The safe route comes
first: the model exactly as it is. Only where a recurrent layer's loop stops that one is the loop
written another way (Keras), or the batch fixed at one row (SavedModel); the original that results
are judged against stays the model as it is.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import given, keras2, keras_file, recurrent, screen, signature, unfit
from convert.errors import LoopError, ModelError
from convert.litert import LiteRtModel
from convert.measure import measure
from convert.recipe import Recipe
from convert.saved_model import Arrays, Served, to_tflite
from convert.screen import Kind
from convert.signature import Signature

# One thread, so that latencies compare; no oneDNN and no GPU, so that the original gives the same
# numbers on every machine. Read once, when TensorFlow is imported.
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_USE_LEGACY_KERAS": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model, read.

    Attributes:
        float_model: A .tflite file with a signature; float32 unless `given` says otherwise.
        signature: The signature that is served.
        others: All other signatures of that file.
        given: What a .tflite file was made by that was quantized before; then there is nothing left
            to do but to judge it. None: its numbers are plain floats.
        original: Asks the original: inputs by name in, outputs by name out.
        size: Bytes of the file or folder.
        sha256: Of the file, or of the folder's names and contents.
    """

    float_model: bytes
    signature: Signature
    others: tuple[Signature, ...]
    given: Recipe | None
    original: Callable[[Arrays], Arrays]
    size: int
    sha256: str


def load(
    path: Path,
    scratch: Path,
    wanted: str | None = None,
    *,
    change: Callable[[Any], None] | None = None,
) -> Source:
    """Reads a model.

    Args:
        path: The file or folder.
        scratch: A folder to work in.
        wanted: The signature to serve; None for `serving_default`, or the only one.
        change: Called with the Keras model before it is converted; other forms have none.

    Raises:
        ModelError: It cannot be read, is refused, or uses an operation that LiteRT lacks.
    """
    kind = screen.kind_of(path)
    os.environ.update(_ENVIRONMENT)
    try:
        if kind is Kind.TFLITE:
            float_model, original = _load_tflite(path.read_bytes(), wanted)
        elif kind is Kind.SAVED_MODEL:
            float_model, original = _load_saved_model(path, wanted)
        else:
            signature.choose([signature.DEFAULT], wanted)  # a Keras file has no other
            float_model, original = _load_keras(path, kind, scratch, change)
        unfit.refuse(float_model)
        found = signature.read(float_model, wanted)
        others = signature.read_others(float_model, found)
        recipe = given.recipe_of(float_model) if kind is Kind.TFLITE else None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    size, sha256 = measure(path)
    return Source(
        float_model=float_model,
        signature=found,
        others=others,
        given=recipe,
        original=original,
        size=size,
        sha256=sha256,
    )


def _load_tflite(content: bytes, wanted: str | None) -> tuple[bytes, Callable[[Arrays], Arrays]]:
    unfit.refuse(content)
    signed = signature.with_signature(content)
    return signed, LiteRtModel(signed, signature.read(signed, wanted)).run


def _load_keras(
    path: Path, kind: Kind, scratch: Path, change: Callable[[Any], None] | None
) -> tuple[bytes, Callable[[Arrays], Arrays]]:
    model = keras_file.read(keras2.mended(path, scratch) if kind is Kind.H5 else path)
    if change is not None:
        change(model)
    renames = keras_file.export(model, scratch / "exported")
    served = Served(scratch / "exported", renames=renames)
    try:
        return served.to_tflite(), served.ask
    except LoopError:
        with recurrent.loops():
            keras_file.export(model, scratch / "rewritten")
        return to_tflite(scratch / "rewritten", served.name, renames), served.ask


def _load_saved_model(folder: Path, wanted: str | None) -> tuple[bytes, Callable[[Arrays], Arrays]]:
    served = Served(folder, wanted)
    try:
        return served.to_tflite(), served.ask
    except LoopError:
        return served.to_tflite(one_row=True), served.ask
