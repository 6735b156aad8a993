"""One tensor as a .npy file: what numpy.save writes, read without numpy.

Its header is a Python literal, and read as one: nothing in it is evaluated. Refused by name:
objects (pickles), strings and records, Fortran order, big-endian numbers.
"""

from __future__ import annotations

import ast
import struct

from handler.errors import BadRequestError
from handler.protocols.raw import only
from handler.tensor import Tensor, misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from handler.tensor import TensorSpec

_MAGIC = b"\x93NUMPY"
_DTYPES = {
    "|b1": "bool",
    "|i1": "int8",
    "|u1": "uint8",
    "<i2": "int16",
    "<u2": "uint16",
    "<i4": "int32",
    "<u4": "uint32",
    "<i8": "int64",
    "<u8": "uint64",
    "<f2": "float16",
    "<f4": "float32",
    "<f8": "float64",
}
_DESCRS = {dtype: descr for descr, dtype in _DTYPES.items()}
_LONGEST = 10_000  # numpy's own limit for a header that it is to trust
_ALIGN = 64
_DIMENSIONS, _LARGEST = 8, 10**10  # more of either is no tensor, and long to quote


def parse(data: bytes, inputs: tuple[TensorSpec, ...]) -> dict[str, Tensor]:
    """Read the one input.

    Args:
        data: The file, version 1 to 3.
        inputs: What the model takes.

    Raises:
        BadRequestError: The model takes several inputs, or this is no such file.
    """
    spec = only(inputs)
    descr, fortran, shape, start = _read_header(data)
    dtype = _DTYPES.get(descr)
    if dtype not in (spec.client_dtype, spec.dtype):
        raise misfit(
            spec, f"the .npy file holds '{descr:.64}'; save it with .astype('{spec.client_dtype}')"
        )
    if fortran:
        raise BadRequestError(
            "the .npy file is in Fortran order; save numpy.ascontiguousarray(...) of it"
        )
    return {spec.name: Tensor(dtype, shape, memoryview(data)[start:])}


def render(tensor: Tensor) -> bytes:
    """Write one output as a file of version 1."""
    shape = "".join(f"{size}, " for size in tensor.shape)
    shape = shape.rstrip() if len(tensor.shape) == 1 else shape.removesuffix(", ")
    header = f"{{'descr': '{_DESCRS[tensor.dtype]}', 'fortran_order': False, 'shape': ({shape}), }}"
    # Data starts at a multiple of 64, so that it can be mapped.
    length = -(-(len(_MAGIC) + 4 + len(header) + 1) // _ALIGN) * _ALIGN - len(_MAGIC) - 4
    text = header.ljust(length - 1) + "\n"
    start = _MAGIC + b"\x01\x00" + struct.pack("<H", length)
    return b"".join((start, text.encode(), tensor.data))


def _read_header(data: bytes) -> tuple[str, bool, tuple[int, ...], int]:
    """What the header says, and where the values start."""
    if not data.startswith(_MAGIC):
        raise BadRequestError("the body is not a .npy file: it does not start with \\x93NUMPY")
    version = data[6:8]
    if version not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise BadRequestError(f"the .npy file has version {list(version)}, expected 1, 2 or 3")
    layout = "<H" if version == b"\x01\x00" else "<I"
    begin = len(_MAGIC) + 2 + struct.calcsize(layout)
    if len(data) < begin:
        raise BadRequestError("the .npy file ends within its header")
    (length,) = struct.unpack_from(layout, data, len(_MAGIC) + 2)
    if length > _LONGEST or begin + length > len(data):
        raise BadRequestError(
            f"the .npy file claims a header of {length} bytes, of {len(data) - begin} that follow"
        )
    text = data[begin : begin + length].decode("latin-1").strip()
    try:
        # Python warns of escapes that it does not know, and would quote the client in the log.
        header = None if "\\" in text else ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        header = None
    match header:
        case {"descr": str(descr), "fortran_order": bool(fortran), "shape": tuple(shape), **rest}:
            if not rest and len(shape) <= _DIMENSIONS and all(map(_is_size, shape)):
                return descr, fortran, shape, begin + length
    raise BadRequestError(
        "the .npy file's header is not what numpy.save writes for an array of numbers"
    )


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < _LARGEST
