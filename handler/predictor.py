"""One model's predictions: checks what goes in and what comes out. Knows no HTTP and no JSON."""

from __future__ import annotations

from handler.errors import BadRequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from handler.manifest import Manifest
    from handler.tensor import Tensor, TensorSpec

    class Backend(Protocol):
        """Where the arithmetic happens."""

        def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            """Answer with every output of the signature, for checked inputs."""


class Predictor:
    """Checks tensors against the signature, and has a backend do the work.

    Args:
        manifest: Names, shapes and dtypes.
        backend: Where the arithmetic happens.
    """

    __slots__ = ("backend", "manifest")

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self.backend = backend

    def predict(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the model once.

        Args:
            tensors: One tensor per input name, in the dtype clients speak (float32 for quantized
                inputs).

        Returns:
            One tensor per output name, in the signature's order.

        Raises:
            BadRequestError: A tensor is missing, unknown, empty, of another dtype or shape, or not
                finite; or the model's answer to these inputs is not finite.
        """
        self._check_names(tensors)
        for spec in self.manifest.inputs:
            _check_input(spec, tensors[spec.name])
        answers = self.backend.run(tensors)
        for name, tensor in answers.items():
            # JSON has no NaN, and null would pass for a number somewhere. It is the client's to
            # mend: the same model answers other inputs, so alarms on 5xx stay for our own faults.
            position = tensor.first_non_finite()
            if position is not None:
                raise BadRequestError(
                    f"the model's output '{name}' is not finite for this input "
                    f"({tensor.values[position]} at flat position {position}): "
                    "it lies outside what the model can answer"
                )
        return answers

    def _check_names(self, tensors: Mapping[str, Tensor]) -> None:
        expected = [spec.name for spec in self.manifest.inputs]
        missing = [name for name in expected if name not in tensors]
        if missing:
            raise BadRequestError(f"missing input '{missing[0]}'; expected {', '.join(expected)}")
        if len(tensors) != len(expected):
            extra = next(name for name in tensors if name not in expected)
            raise BadRequestError(f"unknown input '{extra:.64}'; expected {', '.join(expected)}")


def _check_input(spec: TensorSpec, tensor: Tensor) -> None:
    want = f"input '{spec.name}' (expected {spec.client_dtype} of shape {list(spec.shape)})"
    if tensor.dtype != spec.client_dtype:
        raise BadRequestError(f"{want}: got {tensor.dtype}")
    if not spec.accepts(tensor.shape):
        empty = "an empty batch, shape" if 0 in tensor.shape else "shape"
        raise BadRequestError(f"{want}: got {empty} {list(tensor.shape)}")
    position = tensor.first_non_finite()
    if position is not None:
        raise BadRequestError(
            f"{want}: the number at flat position {position} is outside the range of {tensor.dtype}"
        )
