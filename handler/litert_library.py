"""LiteRT's C functions as ctypes sees them: types, arguments, status codes.

The ABI of libLiteRt.so 2.3.0 (headers: google-ai-edge/LiteRT, litert/c/). Every argument type is
declared, because ctypes would cut a bare int to 32 bits where the library reads a size_t.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p

from handler.errors import LiteRtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


class EnvironmentOption(ctypes.Structure):
    """LiteRtEnvOption: a tag, and a LiteRtAny spelled out (24 bytes)."""

    _fields_ = (
        ("tag", c_int),
        ("padding", c_int),
        ("type", c_int),
        ("value", c_int64),
    )


class Layout(ctypes.Structure):
    """LiteRtLayout: the rank in the low seven bits, then up to eight dimensions (68 bytes)."""

    _fields_ = (
        ("rank", c_uint32),
        ("dimensions", c_int32 * 8),
        ("strides", c_uint32 * 8),
    )


class TensorType(ctypes.Structure):
    """LiteRtRankedTensorType (72 bytes)."""

    _fields_ = (("element", c_int32), ("layout", Layout))


_OUT = ctypes.POINTER(c_void_p)
_COUNT = ctypes.POINTER(c_size_t)
_TEXT = ctypes.POINTER(c_char_p)
_TYPE = ctypes.POINTER(TensorType)
_CALLS: dict[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c_int, ctypes.POINTER(EnvironmentOption), _OUT),
    "CreateModelFromBuffer": (c_void_p, c_void_p, c_size_t, _OUT),
    "CreateOptions": (_OUT,),
    "SetOptionsHardwareAccelerators": (c_void_p, c_int),
    "CreateCompiledModel": (c_void_p, c_void_p, c_void_p, _OUT),
    "GetNumModelSignatures": (c_void_p, _COUNT),
    "GetModelSignature": (c_void_p, c_size_t, _OUT),
    "GetSignatureKey": (c_void_p, _TEXT),
    "GetNumSignatureInputs": (c_void_p, _COUNT),
    "GetNumSignatureOutputs": (c_void_p, _COUNT),
    "GetSignatureInputName": (c_void_p, c_size_t, _TEXT),
    "GetSignatureOutputName": (c_void_p, c_size_t, _TEXT),
    "GetSignatureInputTensorByIndex": (c_void_p, c_size_t, _OUT),
    "GetSignatureOutputTensorByIndex": (c_void_p, c_size_t, _OUT),
    "GetRankedTensorType": (c_void_p, _TYPE),
    "CompiledModelResizeInputTensor": (
        c_void_p,
        c_size_t,
        c_size_t,
        ctypes.POINTER(c_int),
        c_size_t,
    ),
    "GetCompiledModelOutputTensorLayouts": (
        c_void_p,
        c_size_t,
        c_size_t,
        ctypes.POINTER(Layout),
        ctypes.c_bool,
    ),
    "CreateTensorBufferFromHostMemory": (_TYPE, c_void_p, c_size_t, c_void_p, _OUT),
    "CreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, _OUT),
    "AddOpaqueOptions": (c_void_p, c_void_p),
    "DestroyTensorBuffer": (c_void_p,),
    "DestroyCompiledModel": (c_void_p,),
    "DestroyOptions": (c_void_p,),
    "DestroyModel": (c_void_p,),
    "DestroyEnvironment": (c_void_p,),
    "RunCompiledModel": (c_void_p, c_size_t, c_size_t, _OUT, c_size_t, _OUT),
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
            # PyDLL keeps the interpreter lock: most calls take a microsecond, and whoever gives the
            # lock away among busy threads waits milliseconds to have it back.
            library = ctypes.PyDLL(path)
            self._calls = {name: getattr(library, f"LiteRt{name}") for name in _CALLS}
            # A run may take long, and other threads can go on meanwhile.
            self._calls["RunCompiledModel"] = ctypes.CDLL(path).LiteRtRunCompiledModel
        except (OSError, AttributeError) as error:
            raise LiteRtError(f"cannot use {path}: {error}; LITERT_LIBRARY names it") from error
        for name, arguments in _CALLS.items():
            self._calls[name].argtypes = arguments

    def call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401 - ctypes'
        """Call a function, named without its LiteRt prefix.

        Raises:
            LiteRtError: It answered something else than OK.
        """
        status = self._calls[name](*arguments)
        if status:
            raise LiteRtError(f"LiteRt{name}: {_STATUS.get(status, 'error')} (status {status})")

    def make(self, name: str, *arguments: Any) -> c_void_p:  # noqa: ANN401 - ctypes'
        """Call a function that gives a handle through its last argument."""
        handle = c_void_p()
        self.call(name, *arguments, byref(handle))
        return handle

    def count(self, name: str, *arguments: Any) -> int:  # noqa: ANN401 - ctypes'
        """Call a function that gives a number through its last argument."""
        number = c_size_t()
        self.call(name, *arguments, byref(number))
        return number.value

    def text(self, name: str, *arguments: Any) -> str:  # noqa: ANN401 - ctypes'
        """Call a function that gives a string through its last argument."""
        string = c_char_p()
        self.call(name, *arguments, byref(string))
        return (string.value or b"").decode()

    def cpu_options(self, threads: int) -> c_void_p:
        """How many threads the CPU accelerator may use, as options that a compilation takes over.

        The library has no function for it: its headers write a line of TOML, under XNNPACK's name.
        """
        process = ctypes.PyDLL(None)
        process.strdup.restype = c_void_p
        text = process.strdup(b"num_threads = %d\n" % threads)
        return self.make("CreateOpaqueOptions", b"xnnpack", text, process.free)

    def destroy(self, kind: str, handle: c_void_p) -> None:
        """Free what a `make` or `cpu_options` gave: a TensorBuffer, a Model, ..."""
        # The only functions without a status: what is in the register means nothing.
        self._calls[f"Destroy{kind}"](handle)
