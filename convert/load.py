"""Any model -> a float32 .tflite with a signature, and the original itself, ready to be asked.

Keras models go through a SavedModel (`model.export`), as TensorFlow's own converter wants them;
from there on all forms but .tflite share one way.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert import screen, signature
from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.screen import Kind
from convert.signature import Signature

Arrays = dict[str, npt.NDArray[Any]]

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
        float_model: A .tflite file's bytes, float32, with a signature.
        signature: That signature.
        original: Asks the original: inputs by name in, outputs by name out.
        size: Bytes of the file or folder.
        sha256: Of the file, or of the folder's names and contents.
    """

    float_model: bytes
    signature: Signature
    original: Callable[[Arrays], Arrays]
    size: int
    sha256: str


def load(path: Path, scratch: Path) -> Source:
    """Reads a model; `scratch` is a folder to work in.

    Raises:
        ModelError: It cannot be read, is refused, or uses an operation that LiteRT lacks.
    """
    kind = screen.kind_of(path)
    os.environ.update(_ENVIRONMENT)
    try:
        if kind is Kind.TFLITE:
            float_model, original = _load_tflite(path.read_bytes())
        elif kind is Kind.SAVED_MODEL:
            float_model, original = _load_saved_model(path, renames={})
        else:
            renames = _export_keras(path, scratch / "exported")
            float_model, original = _load_saved_model(scratch / "exported", renames=renames)
        signature.refuse_custom_operators(float_model)
        found = signature.read(float_model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    size, sha256 = _measure(path)
    return Source(
        float_model=float_model, signature=found, original=original, size=size, sha256=sha256
    )


def _load_tflite(content: bytes) -> tuple[bytes, Callable[[Arrays], Arrays]]:
    signature.refuse_custom_operators(content)
    signature.refuse_quantized(content)
    float_model = signature.with_signature(content)
    return float_model, LiteRtModel(float_model, signature.read(float_model)).run


def _export_keras(path: Path, folder: Path) -> dict[str, str]:
    """Writes a Keras model as a SavedModel; returns what its outputs are to be called."""
    import keras  # 5 s, and .tflite files need none of it

    # Keras numbers names per process; begun anew, the same model gives the same bytes every time.
    keras.backend.clear_session()
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # layers raise whatever they like
        raise ModelError(f"Keras cannot load it: {_first_sentence(error)}") from error
    try:
        model.export(folder, format="tf_saved_model", verbose=False)
    except Exception as error:
        raise ModelError(f"Keras cannot export it: {_first_sentence(error)}") from error
    if isinstance(model.output, Mapping):
        return {}  # Keras kept the author's names
    # A Sequential has no output names; its last layer's is what a functional model would have.
    names = getattr(model, "output_names", None) or [model.layers[-1].name]
    if len(set(names)) < len(names):
        return {}
    return {f"output_{index}": name for index, name in enumerate(names)}


def _load_saved_model(
    folder: Path, *, renames: dict[str, str]
) -> tuple[bytes, Callable[[Arrays], Arrays]]:
    import tensorflow as tf

    restored = _restore(folder)
    names = sorted(restored.signatures)
    name = signature.DEFAULT if signature.DEFAULT in names else names[0] if names else ""
    if not names or (name != signature.DEFAULT and len(names) > 1):
        raise ModelError(
            f"signatures: {', '.join(names) or 'none'}: expected one called {signature.DEFAULT}, "
            "or only one; pass `signatures=` to tf.saved_model.save"
        )
    served = restored.signatures[name]
    for key, spec in served.structured_input_signature[1].items():
        if spec.shape.rank is None or spec.dtype == tf.string:
            raise ModelError(
                f"input {key!r} is {spec.dtype.name} of shape {spec.shape}: expected numbers of a "
                "known number of dimensions"
            )
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[name])
    try:
        content = bytes(converter.convert())
    except Exception as error:  # ConverterError, and whatever its passes raise
        raise ModelError(_why_not_converted(str(error))) from error

    def ask(inputs: Arrays) -> Arrays:
        try:
            answers = served(**{key: tf.constant(value) for key, value in inputs.items()})
        except tf.errors.OpError as error:  # a size too small, a token number too large
            shapes = ", ".join(f"{key} {list(value.shape)}" for key, value in inputs.items())
            # TensorFlow puts the reason just above the node's mark, below its own stack traces.
            found = re.search(r"([^\n]+)\n\s*\[\[\{\{node", error.message)
            why = found.group(1) if found else _first_line(error.message)
            raise ModelError(f"the model cannot run on this data ({shapes}): {why}") from error
        return {renames.get(key, key): np.asarray(value) for key, value in answers.items()}

    return signature.rename_outputs(content, renames) if renames else content, ask


def _restore(folder: Path) -> Any:  # noqa: ANN401  TensorFlow publishes no types
    import tensorflow as tf

    try:
        # Keras 2 kept its optimizer in there. TensorFlow restores that only where tf_keras is
        # installed, and imports that by itself: hence the dependency that nobody imports.
        return tf.saved_model.load(str(folder))
    except Exception as error:  # a damaged protobuf, a missing variable, an unknown operation
        raise ModelError(f"TensorFlow cannot load it: {_first_sentence(error)}") from error


def _why_not_converted(text: str) -> str:
    """Names the operation and the layer that stopped the converter."""
    found = re.search(r"'tf\.(\w+)' op ([^\n]*)", text)
    if found is None:
        return f"TensorFlow's converter gave up: {_first_line(text)}"
    operation, reason = found.groups()
    place = re.search(rf'fused\["{operation}:", "([^"@]+)', text)
    where = f" in {place.group(1)!r}" if place else ""
    advice = "rebuild that layer from plain operations"
    if operation.startswith("TensorList"):
        advice = "recurrent layers need a known number of steps and unroll=True"
    return f"LiteRT has no operation for {operation}{where} ({reason.strip()}): {advice}"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _first_sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {_first_line(str(error))}"


def _measure(path: Path) -> tuple[int, str]:
    if path.is_file():
        content = path.read_bytes()
        return len(content), hashlib.sha256(content).hexdigest()
    digest, size = hashlib.sha256(), 0
    for file in sorted(it for it in path.rglob("*") if it.is_file()):
        content = file.read_bytes()
        size += len(content)
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(content).digest())
    return size, digest.hexdigest()
