"""LiteRT's C functions as Python sees them: types, arguments, status codes.

The ABI of libLiteRt.so 2.3.0 (headers: google-ai-edge/LiteRT, litert/c/). Every argument type is
declared, because an undeclared int is cut to 32 bits where the library reads a size_t.
"""

from __future__ import annotations

from handler import native
from handler.errors import LiteRtError
from handler.native import (
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_void_p,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float16",
    11: "float64",
    13: "uint64",
    16: "uint32",
    17: "uint16",
}
"""LiteRtElementType: those whose values all take as many bytes."""

UNSERVED = {
    5: "string",
    8: "complex64",
    12: "complex128",
    14: "resource",
    15: "variant",
    18: "int4",
    19: "bfloat16",
    20: "int2",
    21: "uint4",
}
"""The other ones that have a name."""

_STATUS = {
    1: "invalid argument",
    2: "out of memory",
    3: "runtime failure",
    4: "missing input tensor",
    5: "unsupported",
    6: "not found",
    500: "file I/O",
    501: "invalid flatbuffer",
    502: "dynamic loading",
    504: "compilation",
    1000: "index out of bounds",
}


class EnvironmentOption(Structure):
    """LiteRtEnvOption: a tag, and a LiteRtAny spelled out (24 bytes)."""

    _fields_ = (
        ("tag", c_int),
        ("padding", c_int),
        ("type", c_int),
        ("value", c_int64),
    )


class Layout(Structure):
    """LiteRtLayout: the rank in the low seven bits, then up to eight dimensions (68 bytes)."""

    _fields_ = (
        ("rank", c_uint32),
        ("dimensions", c_int32 * 8),
        ("strides", c_uint32 * 8),
    )


class TensorType(Structure):
    """LiteRtRankedTensorType (72 bytes)."""

    _fields_ = (("element", c_int32), ("layout", Layout))


_CALLS: dict[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c_int, c_void_p, c_void_p),
    "CreateModelFromBuffer": (c_void_p, c_void_p, c_size_t, c_void_p),
    "CreateOptions": (c_void_p,),
    "SetOptionsHardwareAccelerators": (c_void_p, c_int),
    "CreateCompiledModel": (c_void_p, c_void_p, c_void_p, c_void_p),
    "GetNumModelSignatures": (c_void_p, c_void_p),
    "GetModelSignature": (c_void_p, c_size_t, c_void_p),
    "GetSignatureKey": (c_void_p, c_void_p),
    "GetNumSignatureInputs": (c_void_p, c_void_p),
    "GetNumSignatureOutputs": (c_void_p, c_void_p),
    "GetSignatureInputName": (c_void_p, c_size_t, c_void_p),
    "GetSignatureOutputName": (c_void_p, c_size_t, c_void_p),
    "GetSignatureInputTensorByIndex": (c_void_p, c_size_t, c_void_p),
    "GetSignatureOutputTensorByIndex": (c_void_p, c_size_t, c_void_p),
    "GetRankedTensorType": (c_void_p, c_void_p),
    "CompiledModelResizeInputTensor": (
        c_void_p,
        c_size_t,
        c_size_t,
        c_void_p,
        c_size_t,
    ),
    "GetCompiledModelOutputTensorLayouts": (
        c_void_p,
        c_size_t,
        c_size_t,
        c_void_p,
        c_bool,
    ),
    "CreateTensorBufferFromHostMemory": (c_void_p, c_void_p, c_size_t, c_void_p, c_void_p),
    "CreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, c_void_p),
    "AddOpaqueOptions": (c_void_p, c_void_p),
    "DestroyTensorBuffer": (c_void_p,),
    "DestroyCompiledModel": (c_void_p,),
    "DestroyOptions": (c_void_p,),
    "DestroyModel": (c_void_p,),
    "DestroyEnvironment": (c_void_p,),
    "RunCompiledModel": (c_void_p, c_size_t, c_size_t, c_void_p, c_size_t, c_void_p),
}


class Library:
    """The shared library, loaded.

    Args:
        path: Path of libLiteRt.so.

    Raises:
        LiteRtError: It cannot be loaded, or lacks a function.
    """

    __slots__ = ("_calls",)

    def __init__(self, path: str) -> None:
        try:
            library = native.Library(path)
            self._calls = {
                # A run may take long, and other threads can go on meanwhile.
                name: library.function(f"LiteRt{name}", arguments, slow=name == "RunCompiledModel")
                for name, arguments in _CALLS.items()
            }
        except OSError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise LiteRtError(
                f"cannot use {path}: {reason}; LITERT_LIBRARY names libLiteRt.so, which is in the "
                "package ai_edge_litert"
            ) from error

    def call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401 - C's
        """Call a function, named without its LiteRt prefix.

        Raises:
            LiteRtError: It answered something else than OK.
        """
        status = self._calls[name](*arguments)
        if status:
            raise LiteRtError(f"LiteRt{name}: {_STATUS.get(status, 'error')} (status {status})")

    def make(self, name: str, *arguments: Any) -> c_void_p:  # noqa: ANN401 - C's
        """Call a function that gives a handle through its last argument."""
        handle = c_void_p()
        self.call(name, *arguments, byref(handle))
        return handle

    def count(self, name: str, *arguments: Any) -> int:  # noqa: ANN401 - C's
        """Call a function that gives a number through its last argument."""
        number = c_size_t()
        self.call(name, *arguments, byref(number))
        return number.value

    def text(self, name: str, *arguments: Any) -> str:  # noqa: ANN401 - C's
        """Call a function that gives a string through its last argument."""
        string = c_char_p()
        self.call(name, *arguments, byref(string))
        return (string.value or b"").decode()

    def cpu_options(self, threads: int) -> c_void_p:
        """How many threads the CPU accelerator may use, as options that a compilation takes over.

        The library has no function for it: its headers write a line of TOML, under XNNPACK's name.
        """
        process = native.Library()
        copied = process.function("strdup", (c_char_p,), c_void_p)(b"num_threads = %d\n" % threads)
        return self.make("CreateOpaqueOptions", b"xnnpack", copied, process.address("free"))

    def destroy(self, kind: str, handle: c_void_p) -> None:
        """Free what a `make` or `cpu_options` gave: a TensorBuffer, a Model, ..."""
        # The only functions without a status: what is in the register means nothing.
        self._calls[f"Destroy{kind}"](handle)
