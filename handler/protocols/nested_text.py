"""Shortcuts for a tensor in JSON: its text says more, and sooner, than lists of lists do.

For the request that nearly every client sends, and its answer: bare numbers in the shape that the
signature gives. Everything else is for `tensor.from_nested` and `tensor.to_nested`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain

from handler.protocols import strict_json
from handler.tensor import Tensor, lists, shortest, to_nested

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handler.tensor import TensorSpec

_NUMBERS_AND_SPACES = b"0123456789+-.eE \t\n\r"


def flatten(value: Any, text: bytes, spec: TensorSpec) -> Tensor | None:  # noqa: ANN401 - JSON
    """Read nested lists, looking at their text instead of at each list.

    Args:
        value: The lists.
        text: The valid JSON that they were read from, without anything else.
        spec: What they must look like.

    Returns:
        What `from_nested` makes of them; None where that may object, or where the spec leaves more
        than one dimension free.
    """
    sizes = spec.client_shape
    if not sizes or sizes.count(-1) > 1 or spec.client_dtype == "bool":
        return None
    if b'"' in text:  # a picture in base64, perhaps of megabytes
        return None
    # Brackets, commas and whatever is no number. In valid JSON no other lists are written so, but
    # for `[]` in place of `[1]`, which the count shows.
    marks = text.translate(None, _NUMBERS_AND_SPACES)
    count = marks.count(b",") + 1
    row = math.prod(size for size in sizes if size != -1)
    shape = tuple(count // row if size == -1 else size for size in sizes)
    if marks != _marks(shape):
        return None
    for _ in shape[1:]:
        value = chain.from_iterable(value)
    try:
        numbers = list(value)
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
def _marks(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of nested lists of this shape: mostly that of the request before."""
    text = b""
    for size in reversed(shape):
        text = b"[%b]" % b",".join([text] * size)
    return text
