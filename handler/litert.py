"""A model loaded once and run many times, through LiteRT's C library and nothing else.

The stock Python binding needs numpy and a second runtime, 121 MB and 260 ms of cold start; the C
library alone is 8 MB and 6 ms.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from array import array
from ctypes import byref, c_int, c_void_p, memmove

from handler.errors import BadRequestError, LiteRtError
from handler.litert_library import EnvironmentOption, Layout, Library, TensorType
from handler.tensor import TYPECODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

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
        self._library = Library(library)
        # Warnings and errors still reach stderr. One INFO line of TensorFlow Lite's own remains:
        # the C API has no setting for that logger.
        options = (EnvironmentOption * 2)(
            EnvironmentOption(_OPTION_LOG_SEVERITY, 0, _ANY_INT, _WARNING),
            EnvironmentOption(_OPTION_ACCELERATORS, 0, _ANY_INT, _CPU),
        )
        self._environment = self._library.make("CreateEnvironment", 2, options)
        self._model = self._library.make("CreateModelFromFile", self._environment, path.encode())
        self._index, handle = self._find(signature)
        self.inputs = self._ports(handle, "Input")
        self.outputs = self._ports(handle, "Output")
        compilation = self._library.make("CreateOptions")
        self._library.call("SetOptionsHardwareAccelerators", compilation, _CPU)
        self._compiled = self._library.make(
            "CreateCompiledModel", self._environment, self._model, compilation
        )
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        self._in: list[_Input] = []
        self._out = [self._output(port) for port in self.outputs]
        self._handles_in = (c_void_p * len(self.inputs))()
        self._handles_out = (c_void_p * len(self._out))(*[out.handle.value for out in self._out])
        self._layouts = (Layout * len(self._out))()

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
            self._library.call(
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
        for index in range(self._library.count("GetNumModelSignatures", self._model)):
            handle = self._library.make("GetModelSignature", self._model, index)
            names.append(self._library.text("GetSignatureKey", handle))
            if names[-1] == signature:
                return index, handle
        raise LiteRtError(f"the model has no signature '{signature}', it has {', '.join(names)}")

    def _ports(self, signature: c_void_p, side: str) -> tuple[Port, ...]:
        ports = []
        for index in range(self._library.count(f"GetNumSignature{side}s", signature)):
            name = self._library.text(f"GetSignature{side}Name", signature, index)
            tensor = self._library.make(f"GetSignature{side}TensorByIndex", signature, index)
            kind = TensorType()
            self._library.call("GetRankedTensorType", tensor, byref(kind))
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
                self._library.call(
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
        self._library.call(
            "GetCompiledModelOutputTensorLayouts",
            self._compiled,
            self._index,
            len(self._layouts),
            self._layouts,
            update,
        )

    def _input(self, index: int, port: Port, shape: tuple[int, ...]) -> _Input:
        requirements = self._library.make(
            "GetCompiledModelInputBufferRequirements", self._compiled, self._index, index
        )
        handle = self._library.make(
            "CreateManagedTensorBufferFromRequirements",
            self._environment,
            byref(_tensor_type(port, shape)),
            requirements,
        )
        return _Input(handle, self._library.count("GetTensorBufferPackedSize", handle))

    def _output(self, port: Port) -> _Output:
        out = _Output()
        # Any shape will do here: the library only looks at the size of the memory.
        kind = _tensor_type(port, tuple(1 for _ in port.shape))
        out.handle = self._library.make(
            "CreateTensorBufferFromHostMemory", byref(kind), out.address, _OUTPUT_ROOM, None
        )
        return out

    def _free(self) -> None:
        for room in self._in:
            self._library.destroy(room.handle)
        self._in = []

    def _write(self, room: _Input, values: array[Any]) -> None:
        source, count = values.buffer_info()
        if count * values.itemsize != room.size:
            raise LiteRtError(f"{count} values of {values.itemsize} B for {room.size} B")
        memory = c_void_p()
        self._library.call("LockTensorBuffer", room.handle, byref(memory), _WRITE)
        memmove(memory, source, room.size)
        self._library.call("UnlockTensorBuffer", room.handle)


def _tensor_type(port: Port, shape: tuple[int, ...]) -> TensorType:
    kind = TensorType()
    kind.element = _ELEMENTS[port.dtype]
    kind.layout.rank = len(shape)
    kind.layout.dimensions[: len(shape)] = shape
    return kind


def _read(port: Port, out: _Output, layout: Layout) -> tuple[tuple[int, ...], array[Any]]:
    shape = _shape(layout)
    code = TYPECODES[port.dtype]
    values = array(code, bytes(array(code).itemsize * math.prod(shape)))
    memmove(values.buffer_info()[0], out.address, len(values) * values.itemsize)
    return shape, values


def _shape(layout: Layout) -> tuple[int, ...]:
    return tuple(layout.dimensions[: layout.rank & _RANK_BITS])
