"""Tensors without numpy: an `array.array`, a shape and a dtype name.

Neither `typing` nor `dataclasses` is imported anywhere at start-up: together they cost more than
loading a small model does (10 ms against 2).
"""

from __future__ import annotations

import math
from array import array
from itertools import chain

from handler.errors import BadRequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

TYPECODES = {
    "float32": "f",
    "float64": "d",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "bool": "B",
}
"""dtype name (numpy's) -> array typecode. float16 and strings are left out: no array holds them."""

_FLOATS = frozenset(("float32", "float64"))
_JSON_NAMES = {
    "str": "a string",
    "bool": "a boolean",
    "NoneType": "null",
    "dict": "an object",
    "list": "a list",
    "int": "an integer",
    "float": "a number with a fraction",
}


class TensorSpec:
    """What a model says of one input or output.

    Args:
        name: The name in the signature.
        dtype: Name of the dtype inside the model, one of `TYPECODES`.
        shape: Dimensions, -1 for one that the caller chooses.
        quantization: `(scale, zero_point)` when the model holds small integers here while clients
            speak floats; None when both speak `dtype`.
    """

    __slots__ = ("dtype", "name", "quantization", "shape")

    def __init__(
        self,
        name: str,
        dtype: str,
        shape: tuple[int, ...],
        quantization: tuple[float, int] | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.quantization = quantization

    @property
    def client_dtype(self) -> str:
        """The dtype clients send and receive: float32 where the model's own is quantized."""
        return self.dtype if self.quantization is None else "float32"

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether a concrete shape fits, free dimensions taking anything above zero."""
        return len(shape) == len(self.shape) and all(
            got > 0 and want in (got, -1) for got, want in zip(shape, self.shape, strict=True)
        )


class Tensor:
    """Values in row-major order, with the shape and the dtype they are to be read as.

    Args:
        dtype: One of `TYPECODES`.
        shape: Concrete dimensions; their product is the number of values.
        values: An array with that dtype's typecode.
    """

    __slots__ = ("dtype", "shape", "values")

    def __init__(self, dtype: str, shape: tuple[int, ...], values: array[Any]) -> None:
        self.dtype = dtype
        self.shape = shape
        self.values = values

    def first_non_finite(self) -> int | None:
        """Position of the first NaN or infinity, or None. One C-speed sum in the usual case."""
        if self.dtype not in _FLOATS or math.isfinite(sum(self.values)):
            return None
        # A sum of large finite float64 may overflow on its own: look at each.
        return next((i for i, v in enumerate(self.values) if not math.isfinite(v)), None)


def from_nested(value: object, spec: TensorSpec) -> Tensor:
    """Read nested lists, as JSON gives them, strictly as one tensor.

    Booleans, strings and null never pass as numbers, and numbers with a fraction never as integers.

    Args:
        value: Nested lists of numbers (or one number, for a scalar).
        spec: Gives the rank, the dtype and the name for messages.

    Raises:
        BadRequestError: Ragged, of another rank, of other types, or out of the dtype's range.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    for _ in spec.shape:
        if set(map(type, level)) - {list}:
            _fail(spec, f"expected a list{_at(level, shape, list)}")
        lengths = set(map(len, level))
        if len(lengths) > 1:
            first = len(level[0])
            odd = next(i for i, item in enumerate(level) if len(item) != first)
            place = _place(odd, shape)
            _fail(spec, f"ragged: a list of {len(level[odd])} at {place}, others have {first}")
        shape.append(lengths.pop() if lengths else 0)
        level = list(chain.from_iterable(level))
    dtype = spec.client_dtype
    allowed = (bool,) if dtype == "bool" else (float, int) if dtype in _FLOATS else (int,)
    if set(map(type, level)).difference(allowed):
        noun = "numbers" if dtype in _FLOATS else "booleans" if dtype == "bool" else "integers"
        _fail(spec, f"expected {noun}{_at(level, shape, *allowed)}")
    try:
        values = array(TYPECODES[dtype], level)
    except OverflowError:
        _fail(spec, f"holds a number outside the range of {dtype}")
    return Tensor(dtype, tuple(shape), values)


def to_values(tensor: Tensor) -> list[Any]:
    """The values as one flat list of Python's own numbers."""
    if tensor.dtype == "float32":
        return _shortest(tensor.values)
    if tensor.dtype == "bool":
        return list(map(bool, tensor.values))
    return tensor.values.tolist()


def to_nested(tensor: Tensor) -> object:
    """Write a tensor as nested lists that JSON renders; the inverse of `from_nested`."""
    level = to_values(tensor)
    if not tensor.shape:
        return level[0]
    for size in reversed(tensor.shape[1:]):
        level = [level[i : i + size] for i in range(0, len(level), size)]
    return level


def zeros(spec: TensorSpec) -> Tensor:
    """A tensor of zeros a spec accepts, free dimensions set to 1."""
    shape = tuple(1 if size == -1 else size for size in spec.shape)
    dtype = spec.client_dtype
    code = TYPECODES[dtype]
    return Tensor(dtype, shape, array(code, [0]) * math.prod(shape))


def _shortest(values: array[float]) -> list[float]:
    """Floats whose text is short and gives back the same float32: 0.1, not 0.10000000149011612."""
    short = [float(f"{value:.7g}") for value in values]
    for digits in (8, 9):
        again = array("f", short)
        if again == values:
            break
        for i, (got, want) in enumerate(zip(again, values, strict=True)):
            if got != want:
                short[i] = float(f"{want:.{digits}g}")
    return short


def _fail(spec: TensorSpec, what: str) -> None:
    raise BadRequestError(
        f"input '{spec.name}' (expected {spec.client_dtype} of shape {list(spec.shape)}): {what}"
    )


def _at(level: Sequence[Any], shape: Sequence[int], *allowed: type) -> str:
    """Say what stands, and where, in place of one of the allowed types."""
    i, item = next((i, item) for i, item in enumerate(level) if type(item) not in allowed)
    found = _JSON_NAMES.get(type(item).__name__, "something else")
    return f", found {found} at {_place(i, shape)}"


def _place(flat: int, shape: Sequence[int]) -> str:
    """The JSON index, like [0][3], of a flat position within lists of these lengths."""
    indices = []
    for size in reversed(shape):
        flat, index = divmod(flat, size)
        indices.append(f"[{index}]")
    return "".join(reversed(indices)) or "the top"
