"""Runs a .tflite file on the machine that converts, as the image will: LiteRT, one thread."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import ModelError
from convert.signature import FREE, Signature, TensorSpec

THREADS = 1


class LiteRtModel:
    """A .tflite file, loaded; inputs by name in, outputs by name out.

    Args:
        content: The file's bytes.
        signature: The signature to call.
        delegates: Whether XNNPACK does the work, as in the image; otherwise LiteRT's own kernels.

    Raises:
        ModelError: LiteRT refuses the file.
    """

    def __init__(self, content: bytes, signature: Signature, *, delegates: bool = True) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._signature = signature
        kind = OpResolverType
        resolver = kind.AUTO if delegates else kind.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._interpreter: Any = Interpreter(
                model_content=content,
                num_threads=THREADS,
                experimental_op_resolver_type=resolver,
            )
            self._runner: Any = self._interpreter.get_signature_runner(signature.name)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"LiteRT cannot load it: {error}") from error

    def run(self, inputs: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Runs once; the first dimension's size is whatever the arrays have.

        Where the file holds small integers for float32, they are made and read here, as the handler
        does it.
        """
        taken = {spec.name: _quantized(inputs[spec.name], spec) for spec in self._signature.inputs}
        try:
            answers: dict[str, npt.NDArray[Any]] = self._runner(**taken)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"LiteRT cannot run it: {error}") from error
        # The runner keeps its own arrays.
        return {
            spec.name: _dequantized(np.array(answers[spec.name]), spec)
            for spec in self._signature.outputs
        }


def _quantized(values: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    if spec.quantization is None or values.dtype == spec.dtype:
        return values
    scale, zero_point = spec.quantization
    bounds = np.iinfo(spec.dtype)
    exact = values.astype(np.float64) / scale + zero_point
    return exact.clip(bounds.min, bounds.max).round().astype(spec.dtype)


def _dequantized(values: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    if spec.quantization is None:
        return values
    scale, zero_point = spec.quantization
    return ((values.astype(np.float64) - zero_point) * scale).astype(np.float32)


def bytes_of_all_tensors(
    content: bytes, signature: Signature, shapes: Mapping[str, tuple[int, ...]]
) -> int:
    """Adds up what a model computes in one call: every tensor, whether it is needed later or not.

    Args:
        content: The file's bytes.
        signature: The signature to call.
        shapes: Of its inputs, by name.

    Raises:
        ModelError: LiteRT refuses the file or the shapes.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter: Any = Interpreter(model_content=content, num_threads=THREADS)
        places = interpreter.get_signature_runner(signature.name).get_input_details()
        for name, shape in shapes.items():
            interpreter.resize_tensor_input(places[name]["index"], shape)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot load it: {error}") from error
    return sum(
        math.prod(one["shape"]) * np.dtype(one["dtype"]).itemsize
        for one in interpreter.get_tensor_details()
    )


def batch_of(signature: Signature) -> int:
    """Returns how many rows a call takes: -1 when that is free.

    Raises:
        ModelError: Inputs disagree, or one has no dimension to put rows in.
    """
    sizes = {spec.shape[0] if spec.shape else None for spec in signature.inputs}
    batch = sizes.pop() if len(sizes) == 1 else None
    if batch is None:
        shapes = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in signature.inputs)
        raise ModelError(f"inputs without a common first dimension ({shapes}) cannot be scored")
    return batch if batch > 0 else FREE
