"""Tensors without numpy: a dtype's name, a shape, and bytes.

Neither `typing` nor `dataclasses` is imported anywhere at start-up: together they cost more than
loading a small model does (10 ms against 2).
"""

from __future__ import annotations

import math
from array import array
from itertools import chain, compress, count
from operator import ne

from handler.errors import BadRequestError, TooLargeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from _typeshed import ReadableBuffer

TYPECODES = {
    "float16": "e",
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
    "bool": "?",
}
"""dtype name (numpy's) -> typecode of `struct`. Strings are left out: no file of ours runs them."""

ITEM_SIZES = {
    "float16": 2,
    "float32": 4,
    "float64": 8,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "bool": 1,
}
"""dtype name -> bytes a value."""

FLOATS = frozenset(("float16", "float32", "float64"))
"""The dtypes that can hold a fraction, NaN and infinities."""

MAX_TEXTS = 5_500_000
"""Most values that are written as text: sixty times their bytes, for nothing where the answer turns
out to be too large; so many fit only compressed."""

# The top bytes (sign and exponent) that a NaN or an infinity can have; for the wider two dtypes,
# numbers beyond 1e38 and 1e304 have them as well.
_SUSPECTS = {
    "float16": bytes((*range(0x7C, 0x80), *range(0xFC, 0x100))),
    "float32": b"\x7f\xff",
    "float64": b"\x7f\xff",
}
# Significant digits that may do for a value, and those that always do.
_DIGITS = {"float16": ("%.3g", "%.4g", "%.5g"), "float32": ("%.7g", "%.8g", "%.9g")}
_WRITTEN_AT_ONCE = 1024
_FEW = 16
_LISTS = {list}
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

    Attributes:
        client_shape: The dimensions that clients may send: `shape`, but for a batch that the model
            fixes and the predictor splits, which is -1 here.
        client_dtype: The dtype clients send and receive: float32 where the model's own is
            quantized. A protocol that names dtypes may carry the model's own as well, see
            `Predictor.predict`.
    """

    __slots__ = (
        "_accepted",
        "client_dtype",
        "client_shape",
        "dtype",
        "name",
        "quantization",
        "shape",
    )

    def __init__(
        self,
        name: str,
        dtype: str,
        shape: tuple[int, ...],
        quantization: tuple[float, int] | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = self.client_shape = shape
        self._accepted: tuple[int, ...] | None = None  # the last shape that was: mostly the next
        self.quantization = quantization
        self.client_dtype = dtype if quantization is None else "float32"

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether clients may send such a shape, free dimensions taking anything above zero."""
        if shape == self._accepted:
            return True
        if len(shape) != len(self.client_shape):
            return False
        for got, want in zip(shape, self.client_shape, strict=True):
            if got <= 0 or want not in (got, -1):
                return False
        self._accepted = shape
        return True


class Tensor:
    """Values in row-major order, with the shape and the dtype they are to be read as.

    The data is never copied: a slice of a request's body, at whatever offset, is as good as an
    array. Values are little-endian, as on every machine that Lambda offers.

    Args:
        dtype: One of `TYPECODES`.
        shape: Concrete dimensions.
        data: Anything that holds contiguous bytes: bytes, bytearray, memoryview, array. As many
            as shape and dtype say: whoever takes bytes from a client checks that.

    Attributes:
        data: The same memory as flat bytes (a memoryview of format "B").
    """

    __slots__ = ("data", "dtype", "shape")

    def __init__(self, dtype: str, shape: tuple[int, ...], data: ReadableBuffer) -> None:
        self.dtype = dtype
        self.shape = shape
        self.data = memoryview(data).cast("B")

    @classmethod
    def of(cls, dtype: str, shape: tuple[int, ...], numbers: Iterable[Any]) -> Tensor:
        """Make a tensor of Python's numbers (or booleans, for bool).

        Raises:
            OverflowError: A number is outside the dtype's range.
            TypeError: An integer dtype, and something else than an integer.
        """
        if dtype == "float16":
            import struct  # for what array does not know; 0.2 ms of a start

            values = list(map(float, numbers))
            return cls(dtype, shape, struct.pack(f"<{len(values)}e", *values))
        return cls(dtype, shape, array("B" if dtype == "bool" else TYPECODES[dtype], numbers))

    @property
    def size(self) -> int:
        """How many values the shape says there are."""
        return math.prod(self.shape)

    @property
    def values(self) -> Sequence[Any]:
        """The values as numbers, flat: a view where Python has one for the dtype (not float16)."""
        if self.dtype == "float16":
            import struct

            return struct.unpack(f"<{len(self.data) // 2}e", self.data)
        return self.data.cast(TYPECODES[self.dtype])  # type: ignore[call-overload,no-any-return]

    def tolist(self) -> list[Any]:
        """The values as one flat list of Python's numbers, or booleans."""
        return list(self.values)

    def first_non_finite(self) -> int | None:
        """Position of the first NaN or infinity, or None.

        Looks at one byte of each value first, in C: 0.1 ms for a 224x224x3 picture, against 5 for a
        sum.
        """
        suspects = _SUSPECTS.get(self.dtype)
        if suspects is None:
            return None
        size = ITEM_SIZES[self.dtype]
        whole = self.data.obj
        if not isinstance(whole, (bytes, bytearray)) or len(whole) != len(self.data):
            whole = bytes(self.data)  # of these two alone is every n-th taken fast
        top = whole[size - 1 :: size]
        if not any(map(top.__contains__, suspects)):
            return None
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
        if set(map(type, level)) != _LISTS and level:
            raise misfit(spec, f"expected a list{_at(level, shape, list)}")
        lengths = set(map(len, level))
        if len(lengths) > 1:
            first = len(level[0])
            odd = next(i for i, item in enumerate(level) if len(item) != first)
            place = _place(odd, shape)
            raise misfit(
                spec, f"ragged: a list of {len(level[odd])} at {place}, others have {first}"
            )
        shape.append(lengths.pop() if lengths else 0)
        level = list(chain.from_iterable(level))
    dtype = spec.client_dtype
    allowed = (bool,) if dtype == "bool" else (float, int) if dtype in FLOATS else (int,)
    if set(map(type, level)).difference(allowed):
        noun = "numbers" if dtype in FLOATS else "booleans" if dtype == "bool" else "integers"
        raise misfit(spec, f"expected {noun}{_at(level, shape, *allowed)}")
    try:
        return Tensor.of(dtype, tuple(shape), level)
    except OverflowError:
        flat = _first_overflow(dtype, level)
        raise misfit(
            spec,
            f"the number {level[flat]!s:.32} at {_place(flat, shape)} is outside the range of "
            f"{dtype}",
        ) from None


def shortest(tensor: Tensor) -> list[str] | None:
    """Each value's shortest text that gives back the same bits: 0.1, not 0.10000000149011612.

    Returns:
        Texts as "%g" writes them, 1 for 1.0 and 1e-05; None for a dtype that Python's own numbers
        give back as it is.

    Raises:
        TooLargeError: There are more than `MAX_TEXTS`.
    """
    if tensor.size > MAX_TEXTS:
        raise TooLargeError(
            f"{tensor.size} numbers would be written as JSON, at most {MAX_TEXTS} are: ask for "
            "less at once, or for bytes"
        )
    formats = _DIGITS.get(tensor.dtype)
    if formats is None:
        return None
    values = tensor.tolist()
    if len(values) <= _FEW and tensor.dtype == "float32":
        return _shortest_few(values)
    texts: list[str] = []
    for start in range(0, len(values), _WRITTEN_AT_ONCE):
        texts += _shortest(values[start : start + _WRITTEN_AT_ONCE], tensor.dtype, formats)
    return texts


def _shortest_few(values: list[float]) -> list[str]:
    """Two lengths of all of them at once: for a few float32, going over some again takes longer."""
    row = tuple(values)
    short = ("%.7g " * len(row) % row).split()
    longer = ("%.8g " * len(row) % row).split()
    read = zip(array("f", map(float, short)), array("f", map(float, longer)), strict=True)
    return [
        text if first == value else more if second == value else f"{value:.9g}"
        for text, more, (first, second), value in zip(short, longer, read, values, strict=True)
    ]


def _shortest(values: list[float], dtype: str, formats: Sequence[str]) -> list[str]:
    """All of them with few digits, and those alone that this says wrong with more."""
    form, *longer = formats
    texts = (f"{form} " * len(values) % tuple(values)).split()
    if longer:
        numbers = map(float, texts)
        # The array alone for the usual dtype: a tensor around it costs a small answer a fifth more.
        read = (
            array("f", numbers)
            if dtype == "float32"
            else Tensor.of(dtype, (len(texts),), numbers).values
        )
        wrong = list(compress(count(), map(ne, read, values)))
        if wrong:
            more = _shortest([values[i] for i in wrong], dtype, longer)
            for i, text in zip(wrong, more, strict=True):
                texts[i] = text
    return texts


def to_values(tensor: Tensor) -> list[Any]:
    """The values as one flat list of Python's own numbers, floats as short as they can be said."""
    texts = shortest(tensor)
    return tensor.tolist() if texts is None else list(map(float, texts))


def to_nested(tensor: Tensor) -> object:
    """Write a tensor as nested lists that JSON renders; the inverse of `from_nested`."""
    level = to_values(tensor)
    if not tensor.shape:
        return level[0]
    for size, starts in lists(tensor.shape):
        level = [level[i : i + size] for i in starts]
    return level


def lists(shape: tuple[int, ...]) -> Iterator[tuple[int, Sequence[int]]]:
    """How flat values are put into nested lists: the innermost ones first, not the outermost.

    Yields:
        How long each list is, and where in what was made before each begins.
    """
    for axis in range(len(shape) - 1, 0, -1):
        size = shape[axis]
        # By their number: an answer with no rows in it may still have lists, all of them empty.
        count = math.prod(shape[:axis])
        yield size, range(0, count * size, size) if size else [0] * count


def zeros(spec: TensorSpec) -> Tensor:
    """A tensor of zeros a spec accepts, free dimensions set to 1."""
    shape = tuple(1 if size == -1 else size for size in spec.shape)
    dtype = spec.client_dtype
    return Tensor(dtype, shape, bytes(ITEM_SIZES[dtype] * math.prod(shape)))


def misfit(spec: TensorSpec, what: str) -> BadRequestError:
    """What to raise for an input that is not what the signature says."""
    return BadRequestError(
        f"input '{spec.name}' (expected {spec.client_dtype} of shape {list(spec.client_shape)}): "
        f"{what}"
    )


def _first_overflow(dtype: str, numbers: list[Any]) -> int:
    """Position of the first number that the dtype cannot hold; there is one."""
    start, stop = 0, len(numbers)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            Tensor.of(dtype, (middle - start,), numbers[start:middle])
            start = middle
        except OverflowError:
            stop = middle
    return start


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
