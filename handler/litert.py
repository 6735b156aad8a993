"""LiteRT through its C library and ctypes: a model loaded once, run many times.

The stock Python binding needs numpy and a second runtime, 121 MB and 260 ms of cold start; the C
library alone is 8 MB and 6 ms. This file follows the ABI of libLiteRt.so 2.3.0 (its headers are in
google-ai-edge/LiteRT, litert/c/). Every argument type is declared, because ctypes would cut a bare
int to 32 bits where the library reads a size_t.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from array import array
from ctypes import byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p, memmove

from handler.errors import BadRequestError, LiteRtError
from handler.tensor import TYPECODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
_DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    11: "float64",
    13: "uint64",
    16: "uint32",
    17: "uint16",
}
_ELEMENTS = {name: code for code, name in _DTYPES.items()}
_CPU = 1
_ANY_INT = 2
_OPTION_ACCELERATORS = 24
_OPTION_LOG_SEVERITY = 25
_WARNING = 2
_WRITE = 1
_MAP_NORESERVE = 0x4000  # Linux; Python has no name for it
_OUTPUT_ROOM = 1 << 30
_RANK_BITS = 0x7F  # the eighth bit says that there are strides


class _EnvironmentOption(ctypes.Structure):
    _fields_ = (
        ("tag", c_int),
        ("padding", c_int),
        ("type", c_int),
        ("value", c_int64),
    )


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", c_uint32),
        ("dimensions", c_int32 * 8),
        ("strides", c_uint32 * 8),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element", c_int32), ("layout", _Layout))


_OUT = ctypes.POINTER(c_void_p)
_COUNT = ctypes.POINTER(c_size_t)
_TEXT = ctypes.POINTER(c_char_p)
_TYPE = ctypes.POINTER(_TensorType)
_CALLS: dict[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c_int, ctypes.POINTER(_EnvironmentOption), _OUT),
    "CreateModelFromFile": (c_void_p, c_char_p, _OUT),
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
    "GetCompiledModelInputBufferRequirements": (c_void_p, c_size_t, c_size_t, _OUT),
    "GetCompiledModelOutputTensorLayouts": (
        c_void_p,
        c_size_t,
        c_size_t,
        ctypes.POINTER(_Layout),
        ctypes.c_bool,
    ),
    "CreateManagedTensorBufferFromRequirements": (c_void_p, _TYPE, c_void_p, _OUT),
    "CreateTensorBufferFromHostMemory": (_TYPE, c_void_p, c_size_t, c_void_p, _OUT),
    "GetTensorBufferPackedSize": (c_void_p, _COUNT),
    "LockTensorBuffer": (c_void_p, _OUT, c_int),
    "UnlockTensorBuffer": (c_void_p,),
    "RunCompiledModel": (c_void_p, c_size_t, c_size_t, _OUT, c_size_t, _OUT),
}


class Port:
    """One input or output as the model file itself declares it.

    Args:
        name: Its name in the signature.
        dtype: numpy's name for its element type.
        shape: Dimensions, -1 for a free one.
    """

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape


class _Input:
    """A managed buffer (64-byte aligned, as XNNPACK wants it) for one concrete shape."""

    __slots__ = ("handle", "size")

    def __init__(self, handle: c_void_p, size: int) -> None:
        self.handle = handle
        self.size = size


class _Output:
    """Room for an output of any shape, because its shape is known only after the run.

    Where a model works out a shape as it runs (Keras' Flatten does, once the batch is free), LiteRT
    announces the shape of the *last* run, and a larger batch overruns a buffer of that size: the
    process dies, or rows are missing. So each output is given an address range that no answer can
    fill. Pages of it take memory only once written.
    """

    __slots__ = ("address", "handle", "memory")

    def __init__(self) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        self.memory = mmap.mmap(-1, _OUTPUT_ROOM, flags=flags)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.handle = c_void_p()


class Model:
    """A compiled model. Not safe for two threads at once: the caller holds a lock.

    Args:
        library: Path of libLiteRt.so.
        path: Path of the .tflite file.
        signature: Name of the signature to run.

    Attributes:
        inputs: What the file takes, in the signature's order.
        outputs: What the file gives, in the signature's order.

    Raises:
        LiteRtError: The library cannot be loaded, or refuses the file; or it has no such signature.
    """

    def __init__(self, library: str, path: str, signature: str) -> None:
        self._calls = _load(library)
        # Warnings and errors still reach stderr. One INFO line of TensorFlow Lite's own remains:
        # the C API has no setting for that logger.
        options = (_EnvironmentOption * 2)(
            _EnvironmentOption(_OPTION_LOG_SEVERITY, 0, _ANY_INT, _WARNING),
            _EnvironmentOption(_OPTION_ACCELERATORS, 0, _ANY_INT, _CPU),
        )
        self._environment = self._make("CreateEnvironment", 2, options)
        self._model = self._make("CreateModelFromFile", self._environment, path.encode())
        self._index, handle = self._find(signature)
        self.inputs = self._ports(handle, "Input")
        self.outputs = self._ports(handle, "Output")
        compilation = self._make("CreateOptions")
        self._call("SetOptionsHardwareAccelerators", compilation, _CPU)
        self._compiled = self._make(
            "CreateCompiledModel", self._environment, self._model, compilation
        )
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        self._in: list[_Input] = []
        self._out = [self._output(port) for port in self.outputs]
        self._handles_in = (c_void_p * len(self.inputs))()
        self._handles_out = (c_void_p * len(self._out))(*[out.handle.value for out in self._out])
        self._layouts = (_Layout * len(self._out))()

    def run(
        self, values: Mapping[str, tuple[tuple[int, ...], array[Any]]]
    ) -> dict[str, tuple[tuple[int, ...], array[Any]]]:
        """Run the model once.

        Buffers live on between calls; input buffers are made anew when a shape differs from the
        last call's.

        Args:
            values: For every input its concrete shape and its values, in the file's own dtype.

        Returns:
            For every output its concrete shape and its values, in the file's own dtype.

        Raises:
            BadRequestError: The shapes fit the signature one by one, but the model cannot run on
                them together.
            LiteRtError: The library refused a call for another reason.
        """
        shapes = tuple(values[port.name][0] for port in self.inputs)
        new = shapes != self._shapes
        try:
            if new:
                self._resize(shapes)
            for port, room in zip(self.inputs, self._in, strict=True):
                self._write(room, values[port.name][1])
            self._call(
                "RunCompiledModel",
                self._compiled,
                self._index,
                len(self._in),
                self._handles_in,
                len(self._out),
                self._handles_out,
            )
            self._layout(update=False)
        except LiteRtError as error:
            # Whatever state the failure left behind must not reach the next request.
            self._shapes = None
            if new and any(-1 in port.shape for port in self.inputs):
                sizes = ", ".join(
                    f"'{port.name}' {list(shape)}"
                    for port, shape in zip(self.inputs, shapes, strict=True)
                )
                raise BadRequestError(f"the model cannot run on these shapes: {sizes}") from error
            raise
        return {
            port.name: _read(port, out, layout)
            for port, out, layout in zip(self.outputs, self._out, self._layouts, strict=True)
        }

    def _find(self, signature: str) -> tuple[int, c_void_p]:
        names = []
        for index in range(self._count("GetNumModelSignatures", self._model)):
            handle = self._make("GetModelSignature", self._model, index)
            names.append(self._text("GetSignatureKey", handle))
            if names[-1] == signature:
                return index, handle
        raise LiteRtError(f"the model has no signature '{signature}', it has {', '.join(names)}")

    def _ports(self, signature: c_void_p, side: str) -> tuple[Port, ...]:
        ports = []
        for index in range(self._count(f"GetNumSignature{side}s", signature)):
            name = self._text(f"GetSignature{side}Name", signature, index)
            tensor = self._make(f"GetSignature{side}TensorByIndex", signature, index)
            kind = _TensorType()
            self._call("GetRankedTensorType", tensor, byref(kind))
            dtype = _DTYPES.get(kind.element)
            if dtype is None:
                raise LiteRtError(f"'{name}' has LiteRT element type {kind.element}, not served")
            ports.append(Port(name, dtype, _shape(kind.layout)))
        return tuple(ports)

    def _resize(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self._shapes = None
        self._free()
        for index, (port, shape) in enumerate(zip(self.inputs, shapes, strict=True)):
            if -1 in port.shape:
                self._call(
                    "CompiledModelResizeInputTensor",
                    self._compiled,
                    self._index,
                    index,
                    (c_int * len(shape))(*shape),
                    len(shape),
                )
        # Plans memory for the new shapes, which a buffer's requirements depend on.
        self._layout(update=True)
        for index, (port, shape) in enumerate(zip(self.inputs, shapes, strict=True)):
            self._in.append(self._input(index, port, shape))
            self._handles_in[index] = self._in[-1].handle.value
        self._shapes = tuple(shapes)

    def _layout(self, *, update: bool) -> None:
        self._call(
            "GetCompiledModelOutputTensorLayouts",
            self._compiled,
            self._index,
            len(self._layouts),
            self._layouts,
            update,
        )

    def _input(self, index: int, port: Port, shape: tuple[int, ...]) -> _Input:
        requirements = self._make(
            "GetCompiledModelInputBufferRequirements", self._compiled, self._index, index
        )
        handle = self._make(
            "CreateManagedTensorBufferFromRequirements",
            self._environment,
            byref(_tensor_type(port, shape)),
            requirements,
        )
        return _Input(handle, self._count("GetTensorBufferPackedSize", handle))

    def _output(self, port: Port) -> _Output:
        out = _Output()
        # Any shape will do here: the library only looks at the size of the memory.
        kind = _tensor_type(port, tuple(1 for _ in port.shape))
        out.handle = self._make(
            "CreateTensorBufferFromHostMemory", byref(kind), out.address, _OUTPUT_ROOM, None
        )
        return out

    def _free(self) -> None:
        for room in self._in:
            self._calls["DestroyTensorBuffer"](room.handle)
        self._in = []

    def _write(self, room: _Input, values: array[Any]) -> None:
        source, count = values.buffer_info()
        if count * values.itemsize != room.size:
            raise LiteRtError(f"{count} values of {values.itemsize} B for {room.size} B")
        memory = c_void_p()
        self._call("LockTensorBuffer", room.handle, byref(memory), _WRITE)
        memmove(memory, source, room.size)
        self._call("UnlockTensorBuffer", room.handle)

    def _call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401 - ctypes'
        status = self._calls[name](*arguments)
        if status:
            raise LiteRtError(f"LiteRt{name}: {_STATUS.get(status, 'error')} (status {status})")

    def _make(self, name: str, *arguments: Any) -> c_void_p:  # noqa: ANN401 - as ctypes takes them
        """Call a function that gives a handle through its last argument."""
        handle = c_void_p()
        self._call(name, *arguments, byref(handle))
        return handle

    def _count(self, name: str, *arguments: Any) -> int:  # noqa: ANN401 - ctypes'
        count = c_size_t()
        self._call(name, *arguments, byref(count))
        return count.value

    def _text(self, name: str, *arguments: Any) -> str:  # noqa: ANN401 - ctypes'
        text = c_char_p()
        self._call(name, *arguments, byref(text))
        return (text.value or b"").decode()


def _load(path: str) -> dict[str, Callable[..., int]]:
    try:
        library = ctypes.CDLL(path)
        calls = {}
        for name, arguments in _CALLS.items():
            call = getattr(library, f"LiteRt{name}")
            call.argtypes = arguments
            calls[name] = call
        destroy = library.LiteRtDestroyTensorBuffer
    except (OSError, AttributeError) as error:
        raise LiteRtError(f"cannot use {path}: {error}; LITERT_LIBRARY names it") from error
    destroy.argtypes = (c_void_p,)
    destroy.restype = None
    calls["DestroyTensorBuffer"] = destroy
    return calls


def _tensor_type(port: Port, shape: tuple[int, ...]) -> _TensorType:
    kind = _TensorType()
    kind.element = _ELEMENTS[port.dtype]
    kind.layout.rank = len(shape)
    kind.layout.dimensions[: len(shape)] = shape
    return kind


def _read(port: Port, out: _Output, layout: _Layout) -> tuple[tuple[int, ...], array[Any]]:
    shape = _shape(layout)
    code = TYPECODES[port.dtype]
    values = array(code, bytes(array(code).itemsize * math.prod(shape)))
    memmove(values.buffer_info()[0], out.address, len(values) * values.itemsize)
    return shape, values


def _shape(layout: _Layout) -> tuple[int, ...]:
    return tuple(layout.dimensions[: layout.rank & _RANK_BITS])
