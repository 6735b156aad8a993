"""One tensor as its bare bytes, little-endian and row-major: `application/octet-stream`.

For models with one input. Its shape is the signature's; where more than one dimension is free, the
caller gives it, as in `1,8,8,1`.
"""

from __future__ import annotations

import math
import re

from handler.errors import BadRequestError
from handler.tensor import ITEM_SIZES, Tensor, misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.tensor import TensorSpec

_SHAPE = r"\d{1,10}(?:,\d{1,10}){0,7}"


def parse(data: bytes, shape: str | None, inputs: tuple[TensorSpec, ...]) -> dict[str, Tensor]:
    """Read the one input.

    Args:
        data: The bytes.
        shape: Its dimensions with commas between them, or None for the signature's.
        inputs: What the model takes.

    Raises:
        BadRequestError: The model takes several inputs, or the bytes do not fill the shape.
    """
    spec = only(inputs)
    sizes = spec.client_shape if shape is None else _read_shape(shape)
    free = sizes.count(-1)
    if free > 1:
        raise misfit(spec, f"{free} dimensions are free; add ?shape= such as 1,8,8,1")
    row = ITEM_SIZES[spec.client_dtype] * math.prod([size for size in sizes if size != -1])
    if len(data) != row and (not free or len(data) % row):
        takes = f"a multiple of {row}" if free else f"{row}"
        # What a client gets that sends JSON and says nothing of it.
        hint = "; send JSON as application/json" if data[:1] in (b"{", b"[") else ""
        raise misfit(spec, f"got {len(data)} bytes, expected {takes}{hint}")
    concrete = tuple([len(data) // row if size == -1 else size for size in sizes])
    return {spec.name: Tensor(spec.client_dtype, concrete, data)}


def render(tensor: Tensor) -> tuple[bytes, dict[str, str]]:
    """One output's bytes, and the headers that say how to read them."""
    headers = {
        "content-type": "application/octet-stream",
        "x-tensor-dtype": tensor.dtype,
        "x-tensor-shape": ",".join(map(str, tensor.shape)),
    }
    return bytes(tensor.data), headers


def only(inputs: tuple[TensorSpec, ...]) -> TensorSpec:
    """The one input that a body without names can be.

    Raises:
        BadRequestError: There are more.
    """
    if len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise BadRequestError(
            f"the body is one tensor, and this model takes several: {names}; send JSON, or /v2"
        )
    return inputs[0]


def pick(tensors: Mapping[str, Tensor], name: str | None) -> Tensor:
    """The one output that a body without names can be.

    Args:
        tensors: The model's answer.
        name: Which one is wanted; None for the only one.

    Raises:
        BadRequestError: There are several and none is named, or none of that name.
    """
    if name is None and len(tensors) == 1:
        (tensor,) = tensors.values()
        return tensor
    if name is None or name not in tensors:
        wrong = "several outputs" if name is None else f"no output '{name:.64}'"
        raise BadRequestError(
            f"this model has {wrong}; add ?output= with one of {', '.join(tensors)}"
        )
    return tensors[name]


def _read_shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(_SHAPE, text, re.ASCII):  # compiled here: few requests have a shape
        raise BadRequestError(f"the shape is '{text:.32}', expected up to 8 sizes such as 1,8,8,1")
    return tuple(map(int, text.split(",")))
