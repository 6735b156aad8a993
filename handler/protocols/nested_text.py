"""Shortcuts for a tensor in JSON: its text says more, and sooner, than lists of lists do.

For the request that nearly every client sends, and its answer: bare numbers in the shape that the
signature gives. Everything else is for `tensor.from_nested` and `tensor.to_nested`.
"""

from __future__ import annotations

import math
from functools import lru_cache

from handler.protocols import strict_json
from handler.tensor import Tensor, lists, shortest, to_nested

TYPE_CHECKING = False
if TYPE_CHECKING:
    from handler.tensor import TensorSpec

SPACES = b" \t\n\r"
"""JSON's own; Python would strip others too."""

_NUMBERS = b"0123456789+-.eE"
_NO_MARKS = _NUMBERS + SPACES
_TO_ZEROS = bytes.maketrans(_NUMBERS, b"0" * len(_NUMBERS))
_BRACKETS_TO_SPACES = bytes.maketrans(b"[]", b"  ")


def read(text: bytes, spec: TensorSpec) -> Tensor | None:
    """Read nested lists as one flat one: no list is made, or looked at, for each of theirs.

    Args:
        text: What may be JSON, or not.
        spec: What it must look like.

    Returns:
        What `from_nested` makes of the lists; None where that or the JSON parser may object, or
        where the spec leaves more than one dimension free.
    """
    sizes = spec.client_shape
    picture = b'"' in text  # in base64, perhaps of megabytes
    if picture or not sizes or sizes.count(-1) > 1 or spec.client_dtype == "bool":
        return None
    # Brackets, commas and whatever is no number.
    marks = text.translate(None, _NO_MARKS)
    count = marks.count(b",") + 1
    shape, expected = _expect(count, sizes)
    if marks != expected:
        return None
    # The commas part as many numbers as there should be, each at its depth: what is left to see is
    # that none stands before a bracket that opens, or after one that closes.
    places = text.translate(_TO_ZEROS, SPACES)
    # Of two bytes that both are frequent, Python finds the last place in a third of the time that
    # the first takes it.
    if places.rfind(b"0[") >= 0 or places.rfind(b"]0") >= 0:
        return None
    numbers = strict_json.read_list(text.translate(_BRACKETS_TO_SPACES))
    try:
        # No commas may also be no numbers.
        return Tensor.of(spec.client_dtype, shape, numbers) if len(numbers) == count else None
    except (OverflowError, TypeError):
        return None


def render(tensor: Tensor) -> str:
    """Write nested lists, floats as short as they can be said.

    Raises:
        ValueError: A float is not finite, for which JSON has no text.
    """
    texts = shortest(tensor)
    if texts is None or not tensor.shape:
        return strict_json.render(to_nested(tensor)).decode()
    # 1.0, not 1: a list of integers would make an array of integers somewhere.
    level = [text if "." in text or "e" in text else f"{text}.0" for text in texts]
    for size, starts in lists(tensor.shape):
        level = [f"[{','.join(level[i : i + size])}]" for i in starts]
    whole = f"[{','.join(level)}]"
    if "n" in whole:  # nan, inf
        raise ValueError("a number is not finite")
    return whole


@lru_cache(maxsize=2)
def _expect(count: int, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], bytes | None]:
    """The shape of so many numbers, and the brackets and commas of their lists; None without one.

    Kept, since mostly it is that of the request before.
    """
    row = math.prod([size for size in sizes if size != -1]) or 1
    shape = tuple([count // row if size == -1 else size for size in sizes])
    if math.prod(shape) != count:
        return shape, None
    text = b""
    for size in reversed(shape):
        text = b"[%b]" % b",".join([text] * size)
    return shape, text
