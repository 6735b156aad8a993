"""A model loaded once and run many times, through LiteRT's C library and nothing else.

The stock Python binding needs numpy and a second runtime, 121 MB and 260 ms of cold start; the C
library alone is 8 MB and 6 ms.

Memory: each input and output has a range of its own for as long as the model lives. A run copies
each input into its range once (LiteRT wants 64-byte alignment, which hardly any request's body
has), and each output out of it once, so that answers outlive the next run.
"""

from __future__ import annotations

import math

from handler.errors import BadRequestError, LiteRtError
from handler.litert_library import DTYPES, UNSERVED, EnvironmentOption, Layout, TensorType
from handler.native import Memory, byref, c_int, c_void_p
from handler.tensor import ITEM_SIZES, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from handler.litert_library import Library

_ELEMENTS = {name: code for code, name in DTYPES.items()}
_CPU = 1
_ANY_INT = 2
_OPTION_ACCELERATORS = 24
_OPTION_LOG_SEVERITY = 25
_WARNING = 2
# An output's shape is known only after the run: where a model works it out as it runs (Keras'
# Flatten does, once the batch is free), LiteRT announces the shape of the *last* run, and a larger
# batch overruns a buffer of that size: the process dies, or rows are missing. So each output is
# given an address range that no answer can fill.
_OUTPUT_ROOM = 1 << 30
_MOST_LENT = 32  # handles of others' memory, for each input
_SMALL_INPUT = 4096  # memory comes in pages, so that less costs no less
_RANK_BITS = 0x7F  # the eighth bit says that there are strides

ALIGNMENT = 64
"""Bytes: an input begins on a multiple of it."""

SLACK = 64
"""Bytes that must be readable behind an input: XNNPACK reads up to 16 of them."""

UNTOUCHED = b"\x9d\x5a\xe3\x7f"
"""What an output's memory begins with until a run writes to it: NaN, as a float32."""


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


class _Room:
    """Memory that LiteRT reads an input from, or writes an output to.

    Args:
        size: Bytes; those never touched take no memory.

    Attributes:
        handle: LiteRT's, of this memory.
        lent: LiteRT's, of other memory at these addresses, that inputs of this size were read from
            where they were.
    """

    __slots__ = ("handle", "lent", "memory")

    def __init__(self, size: int) -> None:
        self.memory = Memory(size)
        self.handle: c_void_p | None = None
        self.lent: dict[int, c_void_p] = {}


class _Call:
    """One signature of the file, and what its runs need.

    Buffers are made when it is first run: a signature that nobody calls costs nothing.
    """

    __slots__ = (
        "handles_in",
        "handles_out",
        "index",
        "inputs",
        "layouts",
        "outputs",
        "rooms_in",
        "rooms_out",
        "shapes",
    )

    def __init__(self, index: int, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
        self.index = index
        self.inputs = inputs
        self.outputs = outputs
        self.shapes: tuple[tuple[int, ...], ...] | None = None
        self.rooms_in: list[_Room] = []
        self.rooms_out: list[_Room] = []
        self.handles_in = (c_void_p * len(inputs))()
        self.handles_out = (c_void_p * len(outputs))()
        self.layouts = (Layout * len(outputs))()


class Model:
    """A compiled model. Not safe for two threads at once: the caller holds a lock.

    The interpreter lock is given up while the model runs.

    Args:
        library: LiteRT, loaded.
        content: The .tflite file. LiteRT trusts it: a damaged one may well end the process, so
            whoever opens one knows its digest.
        signatures: Names of the signatures that will be run.
        threads: How many threads a run may use.

    Raises:
        LiteRtError: The library refuses the file; it has no such signature; or a tensor of one is
            of a dtype that cannot be served.
    """

    def __init__(
        self, library: Library, content: Memory, signatures: Iterable[str], threads: int = 1
    ) -> None:
        self._library = library
        self._owned: list[tuple[str, c_void_p]] = []
        self._calls: dict[str, _Call] = {}
        # LiteRT reads the weights where they are: the memory stays until the model is closed.
        self._content: Memory | None = content
        try:
            self._open(content.address, len(content), threads)
            self._calls = self._read_signatures(signatures)
        except LiteRtError:
            self.close()
            raise

    def inputs(self, signature: str) -> tuple[Port, ...]:
        """What a signature takes, in the file's order."""
        return self._calls[signature].inputs

    def outputs(self, signature: str) -> tuple[Port, ...]:
        """What a signature gives, in the file's order."""
        return self._calls[signature].outputs

    def run(self, signature: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the model once.

        Buffers live on between calls; the model is laid out anew only when a shape differs from
        this signature's last call.

        Args:
            signature: One of those the model was opened with.
            tensors: Every input, in the file's own dtype and of a shape its port allows. Data that
                is the whole of an object with an `address` other than 0 is read where it is: that
                is a multiple of `ALIGNMENT`, and behind the last byte are `SLACK` more.

        Returns:
            Every output, in the file's own dtype; theirs is memory of their own.

        Raises:
            BadRequestError: Each input fits the signature, but the model cannot run on them: their
                shapes do not go together, or a number is none for it (an index outside a table).
            LiteRtError: The library refused a call for another reason.
        """
        call = self._calls[signature]
        shapes = tuple(tensors[port.name].shape for port in call.inputs)
        new = shapes != call.shapes
        running = False
        try:
            if new:
                self._resize(call, shapes)
            for index, port in enumerate(call.inputs):
                room, tensor = call.rooms_in[index], tensors[port.name]
                call.handles_in[index] = self._put(port, room, tensor)
            running = True
            self._library.call(
                "RunCompiledModel",
                self._compiled,
                call.index,
                len(call.inputs),
                call.handles_in,
                len(call.outputs),
                call.handles_out,
            )
            running = False
            self._read_layouts(call, plan=False)
        except LiteRtError as error:
            # Whatever state the failure left behind must not reach the next request.
            call.shapes = None
            sent = [(port.name, tensors[port.name]) for port in call.inputs]
            if running and (not new or self._is_planned(call)):
                spans = ", ".join(f"'{name}' {_span(tensor)}" for name, tensor in sent)
                raise BadRequestError(
                    f"the model cannot run on this: {spans}; is a number an index outside a table, "
                    "such as a token beyond the vocabulary, or is it more than memory holds?"
                ) from error
            if new and any(-1 in port.shape for port in call.inputs):
                sizes = ", ".join(f"'{name}' {list(tensor.shape)}" for name, tensor in sent)
                raise BadRequestError(f"the model cannot run on these shapes: {sizes}") from error
            raise
        return {
            port.name: _read(port, room, layout)
            for port, room, layout in zip(call.outputs, call.rooms_out, call.layouts, strict=True)
        }

    def close(self) -> None:
        """Free everything; the model cannot be run any more. Closing twice does nothing."""
        for call in self._calls.values():
            for room in (*call.rooms_in, *call.rooms_out):
                self._release(room)
        self._calls = {}
        while self._owned:
            self._library.destroy(*self._owned.pop())
        self._content = None

    def _read_layouts(self, call: _Call, *, plan: bool) -> None:
        self._library.call(
            "GetCompiledModelOutputTensorLayouts",
            self._compiled,
            call.index,
            len(call.outputs),
            call.layouts,
            plan,
        )

    def _is_planned(self, call: _Call) -> bool:
        """Whether the library can lay the model out for the shapes it has now."""
        try:
            self._read_layouts(call, plan=True)
        except LiteRtError:
            return False
        return True

    def _own(self, kind: str, name: str, *arguments: object) -> c_void_p:
        handle = self._library.make(name, *arguments)
        self._owned.append((kind, handle))
        return handle

    def _open(self, address: int, size: int, threads: int) -> None:
        # Warnings and errors still reach stderr. One INFO line of TensorFlow Lite's own remains:
        # the C API has no setting for that logger.
        settings = (EnvironmentOption * 2)(
            EnvironmentOption(_OPTION_LOG_SEVERITY, 0, _ANY_INT, _WARNING),
            EnvironmentOption(_OPTION_ACCELERATORS, 0, _ANY_INT, _CPU),
        )
        self._environment = self._own("Environment", "CreateEnvironment", 2, settings)
        self._model = self._own("Model", "CreateModelFromBuffer", self._environment, address, size)
        options = self._own("Options", "CreateOptions")
        self._library.call("SetOptionsHardwareAccelerators", options, _CPU)
        if threads > 1:
            self._library.call("AddOpaqueOptions", options, self._library.cpu_options(threads))
        self._compiled = self._own(
            "CompiledModel", "CreateCompiledModel", self._environment, self._model, options
        )

    def _read_signatures(self, wanted: Iterable[str]) -> dict[str, _Call]:
        count = self._library.count("GetNumModelSignatures", self._model)
        found = {}
        for index in range(count):
            handle = self._library.make("GetModelSignature", self._model, index)
            found[self._library.text("GetSignatureKey", handle)] = (index, handle)
        calls = {}
        for name in wanted:
            if name not in found:
                names = ", ".join(found)
                raise LiteRtError(f"the model has no signature '{name}', it has {names}")
            index, handle = found[name]
            calls[name] = _Call(index, self._ports(handle, "Input"), self._ports(handle, "Output"))
        return calls

    def _ports(self, signature: c_void_p, side: str) -> tuple[Port, ...]:
        ports = []
        for index in range(self._library.count(f"GetNumSignature{side}s", signature)):
            name = self._library.text(f"GetSignature{side}Name", signature, index)
            tensor = self._library.make(f"GetSignature{side}TensorByIndex", signature, index)
            kind = TensorType()
            self._library.call("GetRankedTensorType", tensor, byref(kind))
            dtype = DTYPES.get(kind.element)
            if dtype is None:
                other = UNSERVED.get(kind.element, f"of LiteRT element type {kind.element}")
                raise LiteRtError(
                    f"{side.lower()} '{name}' is {other}, which cannot be served; "
                    f"expected one of {', '.join(ITEM_SIZES)}"
                )
            ports.append(Port(name, dtype, _shape(kind.layout)))
        return tuple(ports)

    def _resize(self, call: _Call, shapes: tuple[tuple[int, ...], ...]) -> None:
        before, call.shapes = call.shapes, None
        if not call.rooms_out:
            # Any shape will do here: the library only looks at the size of the memory.
            call.rooms_out = [_Room(_OUTPUT_ROOM) for _ in call.outputs]
            for index, (port, room) in enumerate(zip(call.outputs, call.rooms_out, strict=True)):
                self._bind(room, port, (1,) * len(port.shape))
                call.handles_out[index] = room.handle
                room.memory.view[: len(UNTOUCHED)] = UNTOUCHED
            call.rooms_in = [_Room(_SMALL_INPUT) for _ in call.inputs]
        for index, (port, shape) in enumerate(zip(call.inputs, shapes, strict=True)):
            if before is not None and before[index] == shape:
                continue
            if -1 in port.shape:
                sizes = (c_int * len(shape))(*shape)
                self._library.call(
                    "CompiledModelResizeInputTensor",
                    self._compiled,
                    call.index,
                    index,
                    sizes,
                    len(shape),
                )
            room = call.rooms_in[index]
            self._release(room)
            need = math.prod(shape) * ITEM_SIZES[port.dtype] + SLACK
            if need > len(room.memory):
                room = call.rooms_in[index] = _Room(need)
            self._bind(room, port, shape)
            call.handles_in[index] = room.handle
        call.shapes = shapes

    def _put(self, port: Port, room: _Room, tensor: Tensor) -> c_void_p | None:
        """Have LiteRT read a tensor where it is, or put it into its room."""
        size = tensor.size * ITEM_SIZES[port.dtype]
        if tensor.dtype != port.dtype or len(tensor.data) != size:
            raise LiteRtError(
                f"input '{port.name}': {len(tensor.data)} bytes of {tensor.dtype} for {size} bytes "
                f"of {port.dtype}"
            )
        owner: Any = tensor.data.obj
        address: int = getattr(owner, "address", 0)
        if not address or len(owner) != size:
            room.memory.view[:size] = tensor.data
            return room.handle
        handle = room.lent.get(address)
        if handle is None:
            if len(room.lent) == _MOST_LENT:
                self._release_lent(room)
            handle = room.lent[address] = self._buffer(port, tensor.shape, address, size + SLACK)
        return handle

    def _bind(self, room: _Room, port: Port, shape: tuple[int, ...]) -> None:
        room.handle = self._buffer(port, shape, room.memory.address, len(room.memory))

    def _buffer(self, port: Port, shape: tuple[int, ...], address: int, size: int) -> c_void_p:
        kind = TensorType()
        kind.element = _ELEMENTS[port.dtype]
        kind.layout.rank = len(shape)
        kind.layout.dimensions[: len(shape)] = shape
        return self._library.make(
            "CreateTensorBufferFromHostMemory",
            byref(kind),
            address,
            size,
            None,  # nothing to call when it is destroyed
        )

    def _release(self, room: _Room) -> None:
        self._release_lent(room)
        if room.handle is not None:
            self._library.destroy("TensorBuffer", room.handle)
            room.handle = None

    def _release_lent(self, room: _Room) -> None:
        while room.lent:
            self._library.destroy("TensorBuffer", room.lent.popitem()[1])


def _read(port: Port, room: _Room, layout: Layout) -> Tensor:
    shape = _shape(layout)
    size = math.prod(shape) * ITEM_SIZES[port.dtype]
    return Tensor(port.dtype, shape, bytes(room.memory.view[:size]))


def _span(tensor: Tensor) -> str:
    low, high = min(tensor.values), max(tensor.values)
    return f"{tensor.dtype} {list(tensor.shape)} from {low:.7g} to {high:.7g}"


def _shape(layout: Layout) -> tuple[int, ...]:
    return tuple(layout.dimensions[: layout.rank & _RANK_BITS])
