"""Floats <-> the small integers a quantized model holds, by its scale and zero point."""

from __future__ import annotations

from array import array

from handler.errors import StartupError
from handler.tensor import TYPECODES, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handler.manifest import Signature
    from handler.tensor import TensorSpec

_REMEMBERED = 65_536
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
"""The dtypes that a quantized input or output can have, and the least and greatest of each."""


class Translator:
    """One signature whose inputs or outputs the model holds as integers, while clients say floats.

    Args:
        signature: It.

    Raises:
        StartupError: One of its tensors is quantized as a dtype that none of ours is.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        for spec in (*signature.inputs, *signature.outputs):
            if spec.quantization is not None and spec.dtype not in LIMITS:
                raise StartupError(f"model.json: '{spec.name}' is quantized as {spec.dtype}")
        self._quantizers = {
            spec.name: Quantizer(spec) for spec in signature.inputs if spec.quantization is not None
        }

    def run(
        self,
        tensors: Mapping[str, Tensor],
        model: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Run the model on integers.

        Args:
            tensors: Checked inputs.
            model: Answers integers with integers.

        Returns:
            Floats; but integers, where a quantized input came as integers itself.
        """
        own = dict(tensors)
        raw = False
        for name, quantizer in self._quantizers.items():
            quantized = quantizer.quantize(own[name])
            raw = raw or quantized is own[name]
            own[name] = quantized
        answers = model(own)
        if raw:
            return answers
        return {spec.name: dequantize(answers[spec.name], spec) for spec in self._signature.outputs}


class Quantizer(dict[float, int]):
    """Float -> integer, remembered: a picture has 256 different values in 150,000 pixels.

    Args:
        spec: One with a quantization.
    """

    def __init__(self, spec: TensorSpec) -> None:
        super().__init__()
        assert spec.quantization is not None  # noqa: S101 - what the type cannot say
        self._scale, self._zero_point = spec.quantization
        self._dtype = spec.dtype
        self._low, self._high = LIMITS[spec.dtype]

    def __missing__(self, value: float) -> int:
        exact = value / self._scale + self._zero_point
        # A value far outside the calibrated range saturates, as in LiteRT itself.
        number = round(min(max(exact, self._low), self._high))
        self[value] = number
        return number

    def quantize(self, tensor: Tensor) -> Tensor:
        """A float32 tensor as the model's integers; one that holds them already as it is."""
        if tensor.dtype == self._dtype:
            return tensor
        numbers = array(TYPECODES[self._dtype], map(self.__getitem__, tensor.values))
        if len(self) > _REMEMBERED:
            self.clear()
        return Tensor(self._dtype, tensor.shape, numbers)


def dequantize(tensor: Tensor, spec: TensorSpec) -> Tensor:
    """The model's integers as float32; a tensor that is not quantized, or is float32, as it is."""
    if spec.quantization is None or tensor.dtype == "float32":
        return tensor
    scale, zero_point = spec.quantization
    numbers = array("f", [(value - zero_point) * scale for value in tensor.values])
    return Tensor("float32", tensor.shape, numbers)
