"""A SavedModel folder -> a float32 .tflite, and the original itself, ready to be asked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert import signature
from convert.errors import LoopError, ModelError, first_line, first_sentence

Arrays = dict[str, npt.NDArray[Any]]


class Served:
    """One signature of a SavedModel, loaded.

    Args:
        folder: The SavedModel.
        wanted: The signature's name; None for `serving_default`, or the only one.
        renames: What outputs are to be called; others keep their names.

    Attributes:
        name: The signature's name.

    Raises:
        ModelError: TensorFlow cannot load it, there is no such signature, an input cannot be
            served, or a weight is NaN or infinite.
    """

    def __init__(
        self, folder: Path, wanted: str | None = None, renames: Mapping[str, str] | None = None
    ) -> None:
        import tensorflow as tf

        self._folder = folder
        self._renames = renames or {}
        # Kept: its variables live as long as it does.
        self._restored = _restore(folder)
        self.name = signature.choose(sorted(self._restored.signatures), wanted)
        self._call = self._restored.signatures[self.name]
        for key, spec in self._call.structured_input_signature[1].items():
            if spec.shape.rank is None or spec.dtype == tf.string:
                raise ModelError(
                    f"input {key!r} is {spec.dtype.name} of shape {spec.shape}: expected numbers "
                    "of a known number of dimensions"
                )
        for variable in self._call.variables:
            if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
                raise ModelError(
                    f"variable {variable.name!r} has NaN or infinite numbers: training diverged; "
                    "take an earlier checkpoint"
                )

    def ask(self, inputs: Arrays) -> Arrays:
        """Runs the original.

        Raises:
            ModelError: It cannot run on these arrays.
        """
        import tensorflow as tf

        try:
            answers = self._call(**{key: tf.constant(value) for key, value in inputs.items()})
        except tf.errors.OpError as error:  # a size too small, a token number too large
            shapes = ", ".join(f"{key} {list(value.shape)}" for key, value in inputs.items())
            # TensorFlow puts the reason just above the node's mark, below its own stack traces.
            found = re.search(r"([^\n]+)\n\s*\[\[\{\{node", error.message)
            why = found.group(1) if found else first_line(error.message)
            raise ModelError(f"the model cannot run on this data ({shapes}): {why}") from error
        return {self._renames.get(key, key): np.asarray(value) for key, value in answers.items()}

    def to_tflite(self, *, one_row: bool = False) -> bytes:
        """Converts the signature.

        Args:
            one_row: Fix the batch at one row, with which LiteRT has every recurrent loop.

        Raises:
            LoopError: A recurrent layer's loop stopped the converter.
            ModelError: Some other operation did.
        """
        content = to_tflite(self._folder, self.name, self._renames, one_row=one_row)
        return signature.with_one_row(content) if one_row else content


def to_tflite(
    folder: Path, name: str, renames: Mapping[str, str], *, one_row: bool = False
) -> bytes:
    """Converts one signature of a SavedModel, and names its outputs.

    Raises:
        LoopError: A recurrent layer's loop stopped the converter.
        ModelError: Some other operation did.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[name])
    # What a recurrent layer keeps of each step is then taken to be one row.
    converter._experimental_default_to_single_batch_in_tensor_list_ops = one_row  # noqa: SLF001
    try:
        content = bytes(converter.convert())
    except Exception as error:  # ConverterError, and whatever its passes raise
        raise _not_converted(str(error)) from error
    return signature.rename_outputs(content, renames) if renames else content


def _restore(folder: Path) -> Any:  # noqa: ANN401  TensorFlow publishes no types
    import tensorflow as tf

    try:
        # Keras 2 kept its optimizer in there. TensorFlow restores that only where tf_keras is
        # installed, and imports that by itself: hence the dependency that nobody imports.
        return tf.saved_model.load(str(folder))
    except Exception as error:  # a damaged protobuf, a missing variable, an unknown operation
        unknown = re.search(r"Op type not registered '([^']+)'", str(error))
        if unknown is not None:
            raise ModelError(
                f"needs the operation {unknown.group(1)}, which is not TensorFlow's own, so that "
                "LiteRT lacks it too: rebuild the layer that makes it from plain operations"
            ) from error
        raise ModelError(f"TensorFlow cannot load it: {first_sentence(error)}") from error


def _not_converted(text: str) -> ModelError:
    """Names the operation and the layer that stopped the converter."""
    found = re.search(r"'tf\.(\w+)' op ([^\n]*)", text)
    if found is None:
        return ModelError(f"TensorFlow's converter gave up: {first_line(text)}")
    operation, reason = found.groups()
    place = re.search(rf'fused\["{operation}:", "([^"@]+)', text)
    where = f" in {place.group(1)!r}" if place else ""
    said = f"LiteRT has no operation for {operation}{where} ({reason.strip()})"
    if operation.startswith("TensorList"):
        return LoopError(f"{said}: fix the batch size, or unroll the recurrent layer (unroll=True)")
    return ModelError(f"{said}: rebuild that layer from plain operations, in float32")
