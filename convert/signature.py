"""Names, dtypes and shapes of a .tflite file's inputs and outputs: read, and mended in the file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.errors import ModelError

DEFAULT = "serving_default"
FREE = -1
_SMALL = ("int8", "uint8", "int16")

# TensorType in LiteRT's schema -> numpy's name, of inputs and outputs. Strings and complex numbers
# are left out on purpose: nothing between the client and the model carries them.
_DTYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
    12: "uint64",
    15: "uint32",
    16: "uint16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: As clients say it.
        dtype: numpy's name.
        shape: Sizes; -1 is a free dimension.
        quantization: (scale, zero point) where the file holds small integers here and clients speak
            float32, else None.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: tuple[float, int] | None = None

    @property
    def client_dtype(self) -> str:
        """The dtype that clients and data files speak."""
        return self.dtype if self.quantization is None else "float32"

    def to_json(self) -> dict[str, Any]:
        """Renders one entry of model.json's `signature`."""
        entry = {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}
        if self.quantization is None:
            return entry
        scale, zero_point = self.quantization
        return entry | {"quantization": {"scale": scale, "zero_point": zero_point}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a model is called with and what it answers."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_json(self) -> dict[str, Any]:
        """Renders model.json's `signature`."""
        return {
            "name": self.name,
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }


def parse(content: bytes) -> Any:  # noqa: ANN401  the schema's generated classes have no types
    """Turns a .tflite file into objects.

    Raises:
        ModelError: The file is damaged.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    try:
        model = flatbuffer_utils.convert_bytearray_to_object(content)
        for buffer in model.buffers:
            # From 256 KiB on the quantizer appends weights behind the graph, and says where.
            # (read_model_from_bytearray takes them in as bytes, which are slow to write again.)
            if buffer.offset:
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
                buffer.offset = buffer.size = 0
    except Exception as error:  # whatever an offset into nowhere leads to
        raise ModelError(f"damaged .tflite file: {type(error).__name__}: {error}") from error
    if not model.subgraphs:
        raise ModelError("damaged .tflite file: no graph inside")
    return model


def serialize(model: Any) -> bytes:  # noqa: ANN401  see parse
    """Turns objects back into a .tflite file; the same objects always give the same bytes."""
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def is_weight(model: Any, tensor: Any) -> bool:  # noqa: ANN401  see parse
    """Whether a tensor is a float32 matrix that the file holds; a bias has one dimension."""
    content = model.buffers[tensor.buffer].data
    return tensor.type == 0 and len(tensor.shape) > 1 and content is not None and len(content) > 0


def read(content: bytes, wanted: str | None = None) -> Signature:
    """Reads the signature that is served: the one wanted, `serving_default`, or the only one.

    Raises:
        ModelError: There is none such, or a tensor's dtype cannot be served.
    """
    model = parse(content)
    return _read(model, find(model, wanted))


def read_others(content: bytes, served: Signature) -> tuple[Signature, ...]:
    """Reads all signatures but the one that is served, in the order of their names.

    Raises:
        ModelError: A tensor's dtype cannot be served.
    """
    model = parse(content)
    found = {text(entry.signatureKey): entry for entry in model.signatureDefs}
    return tuple(_read(model, found[name]) for name in sorted(found) if name != served.name)


def with_signature(content: bytes) -> bytes:
    """Gives a file without signatures one, named after its tensors; returns others as they are.

    Converters before 2021 wrote none; a tensor called `serving_default_image:0` becomes `image`.
    """
    model = parse(content)
    if model.signatureDefs:
        return content
    from ai_edge_litert.schema_py_generated import SignatureDefT, TensorMapT

    graph = model.subgraphs[0]

    def entries(indices: Any) -> list[Any]:  # noqa: ANN401  a numpy array of the schema's
        made, seen = [], set[str]()
        for index in indices:
            plain = re.sub(rf"^{DEFAULT}_|:\d+$", "", text(graph.tensors[index].name)) or "tensor"
            name = plain if plain not in seen else f"{plain}_{index}"
            seen.add(name)
            entry = TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), int(index)
            made.append(entry)
        return made

    signature = SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = DEFAULT.encode(), 0
    signature.inputs, signature.outputs = entries(graph.inputs), entries(graph.outputs)
    model.signatureDefs = [signature]
    return serialize(model)


def rename_outputs(content: bytes, names: Mapping[str, str]) -> bytes:
    """Renames outputs of the served signature; names that are not there are left alone."""
    model = parse(content)
    for entry in find(model).outputs:
        old = text(entry.name)
        entry.name = names.get(old, old).encode()
    return serialize(model)


def with_free_dimensions(content: bytes, like: bytes) -> bytes:
    """Puts back the free dimensions that `like` has where quantization lost them.

    The quantizer puts a new tensor before a float output and copies only today's shape, batch 1.
    """
    model, before = parse(content), parse(like)
    changed = False
    for entry in model.signatureDefs:
        of = _read(before, find(before, text(entry.signatureKey)))
        shapes = {spec.name: spec.shape for spec in (*of.inputs, *of.outputs)}
        tensors = model.subgraphs[entry.subgraphIndex or 0].tensors
        for port in (*entry.inputs, *entry.outputs):
            tensor, shape = tensors[port.tensorIndex], shapes[text(port.name)]
            if FREE in shape and _shape(tensor) != shape:
                # LiteRT's C API believes a free dimension only of a tensor marked as ranked.
                tensor.shapeSignature, tensor.hasRank = list(shape), True
                changed = True
    return serialize(model) if changed else content


def with_row_shapes(content: bytes, of: Signature, rows: Mapping[str, tuple[int, ...]]) -> bytes:
    """Gives free dimensions a size to start from: one row of the given shape for each input.

    A converter writes 1 for what is free, and a 1 x 1 picture is too small for a convolution:
    LiteRT then refuses the file before it can be told the real size. Free dimensions stay free.
    """
    model = parse(content)
    chosen = find(model, of.name)
    for entry in chosen.inputs:
        tensor = model.subgraphs[chosen.subgraphIndex or 0].tensors[entry.tensorIndex]
        tensor.shape = [tensor.shape[0], *rows[text(entry.name)]]
    return serialize(model)


def with_one_row(content: bytes) -> bytes:
    """Fixes every free first dimension of the served signature's inputs and outputs at 1."""
    model = parse(content)
    chosen = find(model)
    for entry in (*chosen.inputs, *chosen.outputs):
        tensor = model.subgraphs[chosen.subgraphIndex or 0].tensors[entry.tensorIndex]
        shape = _shape(tensor)
        if shape and shape[0] == FREE:
            tensor.shapeSignature = [1, *shape[1:]]
    return serialize(model)


def choose(names: Sequence[str], wanted: str | None) -> str:
    """Picks the signature that is served: the one asked for, `serving_default`, or the only one.

    Raises:
        ModelError: There is none such; all that there are are named.
    """
    listed = ", ".join(names) or "none"
    if wanted is not None:
        if wanted not in names:
            raise ModelError(f"no signature {wanted!r}; there are: {listed}")
        return wanted
    if DEFAULT in names:
        return DEFAULT
    if len(names) == 1:
        return names[0]
    if not names:
        raise ModelError(
            "no signatures: pass `signatures=` to tf.saved_model.save, or use model.export"
        )
    raise ModelError(
        f"several signatures and none called {DEFAULT}: choose with --signature NAME (or "
        f"`signature:` in model.yaml) among {listed}"
    )


def find(model: Any, wanted: str | None = None) -> Any:  # noqa: ANN401  see parse
    """Finds a signature in a parsed file: the one wanted, or the one that is served.

    Raises:
        ModelError: There is none such.
    """
    found = {text(entry.signatureKey): entry for entry in model.signatureDefs or []}
    return found[choose(sorted(found), wanted)]


def _read(model: Any, entry: Any) -> Signature:  # noqa: ANN401  see parse
    tensors = model.subgraphs[entry.subgraphIndex or 0].tensors
    _check_outputs(model, entry)
    return Signature(
        name=text(entry.signatureKey),
        inputs=tuple(_spec(port, tensors) for port in entry.inputs),
        outputs=tuple(_spec(port, tensors) for port in entry.outputs),
    )


def _check_outputs(model: Any, entry: Any) -> None:  # noqa: ANN401  see parse
    """Refuse what no operation gives: LiteRT writes an output's memory only where one does.

    With a constant it ends the process, reading on behind it for as long as the memory is.
    """
    tensors = model.subgraphs[entry.subgraphIndex or 0].tensors
    known = {port.tensorIndex: f"the input {text(port.name)!r}" for port in entry.inputs}
    for port in entry.outputs:
        name, content = text(port.name), model.buffers[tensors[port.tensorIndex].buffer].data
        what = known.setdefault(port.tensorIndex, f"the output {name!r}")
        if content is not None and len(content) > 0:
            what = "a constant, the same for every input"
        if what != f"the output {name!r}":
            raise ModelError(
                f"the output {name!r} is {what}: no operation gives it, and it cannot be served; "
                "leave it out of the model's outputs"
            )


def _spec(entry: Any, tensors: Any) -> TensorSpec:  # noqa: ANN401  see parse
    name, tensor = text(entry.name), tensors[entry.tensorIndex]
    dtype = _DTYPES.get(tensor.type)
    if dtype is None:
        raise ModelError(f"{name!r} has a dtype that cannot be served: expected numbers")
    details = tensor.quantization
    scales = [] if details is None or details.scale is None else details.scale
    quantization = None
    if dtype in _SMALL and len(scales) == 1:
        # The file holds the scale as float32, and the handler computes with the very same number.
        quantization = (float(scales[0]), int(details.zeroPoint[0]))
    return TensorSpec(name=name, dtype=dtype, shape=_shape(tensor), quantization=quantization)


def _shape(tensor: Any) -> tuple[int, ...]:  # noqa: ANN401  see parse
    signature = tensor.shapeSignature
    sizes = tensor.shape if signature is None or len(signature) == 0 else signature
    return tuple(int(size) for size in (() if sizes is None else sizes))


def text(value: bytes | str | None) -> str:
    """Turns a name in a parsed file into text; "" for none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
