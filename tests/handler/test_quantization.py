"""Floats as a quantized model's integers."""

from handler.quantization import Quantizer
from handler.tensor import Tensor, TensorSpec


def test_what_many_different_values_took_is_given_back() -> None:
    """A picture's few values are remembered; a million others would take 200 MB until the next."""
    quantizer = Quantizer(TensorSpec("x", "int16", (-1,), (0.5, 0)))

    few = quantizer.quantize(Tensor.of("float32", (3,), [1, 2, 1]))
    assert ([2, 4, 2], 2) == (few.tolist(), len(quantizer))

    many = quantizer.quantize(Tensor.of("float32", (70_000,), range(70_000)))
    assert ([0, 2, 4], 0) == (many.tolist()[:3], len(quantizer))
