"""The Open Inference Protocol, version 2, with the binary tensor extension both ways.

A body is JSON, or, with the header Inference-Header-Content-Length, so many bytes of JSON followed
by the tensors' raw bytes: little-endian, row-major, in the order in which the JSON names them. With
that header at 0 the whole body is the one input, and the answer comes raw as well.

Left out, each with a 400: BYTES tensors (no model here takes or gives strings), shared memory, and
the classification extension (:classify and :image give labels). Parameters that the protocol leaves
to the server (sequence_id, priority, timeout, ...) change nothing.
"""

from __future__ import annotations

import math

from handler import VERSION as RELEASE
from handler.errors import BadRequestError
from handler.protocols import strict_json
from handler.tensor import Tensor, TensorSpec, from_nested, misfit, to_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from handler.manifest import Manifest

VERSION = "1"
"""One image holds one model."""

DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
"""The protocol's name of a dtype -> numpy's."""

_NAMES = {dtype: datatype for datatype, dtype in DATATYPES.items()}
_MAX_RANK = 8  # LiteRT's own
_MAX_SIZE = 2**31


class Wish:
    """What a request wants back.

    Args:
        identity: Its id, to be sent back; None without.
        outputs: Name of each output wanted, in that order, and whether its data goes as raw bytes.
    """

    __slots__ = ("identity", "outputs")

    def __init__(self, identity: str | None, outputs: dict[str, bool]) -> None:
        self.identity = identity
        self.outputs = outputs


def parse(
    body: bytes, header_length: str | None, manifest: Manifest
) -> tuple[dict[str, Tensor], Wish]:
    """Read an inference request.

    Args:
        body: JSON, and raw tensors after it.
        header_length: The header Inference-Header-Content-Length: bytes of JSON; None where all
            of the body is.
        manifest: Gives names and shapes.

    Returns:
        One tensor per input that was sent, of the dtype and shape it claims, and what is wanted
        back.

    Raises:
        BadRequestError: Not JSON, not this protocol, or data at odds with its own description.
    """
    head, tail = _split(body, header_length)
    if not head:
        from handler.protocols import raw

        _check_bare(manifest.inputs)
        outputs = {spec.name: True for spec in manifest.outputs}
        return raw.parse(body, None, manifest.inputs), Wish(None, outputs)
    try:
        document = strict_json.parse(head)
    except BadRequestError as error:
        raise BadRequestError(f"{error}{_where_json_ends(head, header_length)}") from error
    if not isinstance(document, dict):
        raise BadRequestError("the body is not a JSON object; send 'inputs'")
    wish = _wish(document, manifest)
    entries = _entries(document, "inputs")
    if not entries:
        raise BadRequestError("the body holds no 'inputs'; send at least one tensor")
    specs = {spec.name: spec for spec in manifest.inputs}
    tensors = {}
    for name, entry in _named(entries, specs, "input"):
        size = _binary_size(entry, name)
        if size is None:
            tensors[name] = _from_json(entry, specs[name])
            continue
        if tail is None:
            raise BadRequestError(
                f"input '{name}' has binary_data_size, but the request has no header "
                "Inference-Header-Content-Length to say where its JSON ends"
            )
        if size > len(tail):
            raise BadRequestError(
                f"input '{name}' has binary_data_size {size}, but {len(tail)} bytes are left "
                "in the body"
            )
        tensors[name] = Tensor(_dtype(entry, name), _shape(entry, name), tail[:size])
        tail = tail[size:]
    if tail:
        raise BadRequestError(
            f"{len(tail)} bytes follow the last tensor; check Inference-Header-Content-Length and "
            "each binary_data_size"
        )
    return tensors, wish


def render(
    tensors: Mapping[str, Tensor], wish: Wish, manifest: Manifest
) -> tuple[bytes, int | None]:
    """Write an inference answer.

    Args:
        tensors: One tensor per output name.
        wish: What `parse` said.
        manifest: Names the model.

    Returns:
        The body, and how many of its bytes are JSON where raw tensors follow; None where none do.
    """
    outputs = []
    parts: list[bytes | memoryview] = [b""]
    for name, binary in wish.outputs.items():
        tensor = tensors[name]
        entry: dict[str, object] = {
            "name": name,
            "datatype": _NAMES[tensor.dtype],
            "shape": tensor.shape,
        }
        if binary:
            entry["parameters"] = {"binary_data_size": len(tensor.data)}
            parts.append(tensor.data)
        else:
            entry["data"] = to_values(tensor)
        outputs.append(entry)
    document: dict[str, object] = {"model_name": manifest.name, "model_version": VERSION}
    if wish.identity is not None:
        document["id"] = wish.identity
    document["outputs"] = outputs
    parts[0] = head = strict_json.render(document)
    if len(parts) == 1:
        return head, None
    return b"".join(parts), len(head)


def server() -> dict[str, object]:
    """What answers here."""
    return {"name": "thimble", "version": RELEASE, "extensions": ["binary_tensor_data"]}


def metadata(manifest: Manifest) -> dict[str, object]:
    """The model's inputs and outputs; -1 for a dimension that the caller chooses."""
    return {
        "name": manifest.name,
        "versions": [VERSION],
        "platform": "litert_tflite",
        "inputs": list(map(_describe, manifest.inputs)),
        "outputs": list(map(_describe, manifest.outputs)),
    }


def _describe(spec: TensorSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "datatype": _NAMES[spec.client_dtype],
        "shape": list(spec.client_shape),
    }


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview | None]:
    if header_length is None:
        return body, None
    text = header_length.strip()
    digits = text.isdecimal() and text.isascii() and len(text) < len(str(_MAX_SIZE))
    if not digits or int(text) > len(body):
        raise BadRequestError(
            f"Inference-Header-Content-Length is '{text:.32}', expected how many of the body's "
            f"{len(body)} bytes are JSON"
        )
    return body[: int(text)], memoryview(body)[int(text) :]


def _check_bare(inputs: tuple[TensorSpec, ...]) -> None:
    """Insist that bytes alone can only be one input, of one shape."""
    if len(inputs) == 1 and inputs[0].client_shape.count(-1) <= 1:
        return
    takes = ", ".join(f"'{spec.name}' of shape {list(spec.client_shape)}" for spec in inputs)
    raise BadRequestError(
        "Inference-Header-Content-Length is 0, so the body is bare bytes, which say neither name "
        f"nor shape; this model takes {takes}: send JSON before the bytes that says both"
    )


def _where_json_ends(head: bytes, header_length: str | None) -> str:
    """What to add to a complaint about JSON that may have been cut at the wrong place."""
    if header_length is not None:
        return f"; Inference-Header-Content-Length says that the first {len(head)} bytes are JSON"
    if b"binary_data_size" in head:
        return "; raw tensors behind it need the header Inference-Header-Content-Length"
    return ""


def _wish(document: dict[str, Any], manifest: Manifest) -> Wish:
    identity = document.get("id")
    if identity is not None and not isinstance(identity, str):
        raise BadRequestError("'id' is not a string")
    parameters = _parameters(document, "the request")
    binary = _flag(parameters, "binary_data_output", "the request", default=False)
    names = [spec.name for spec in manifest.outputs]
    outputs = {}
    for name, entry in _named(_entries(document, "outputs"), names, "output"):
        parameters = _parameters(entry, f"output '{name}'")
        if parameters.get("classification"):
            raise BadRequestError(
                f"output '{name}' asks for classification, which is not served here; "
                "use :classify or :image"
            )
        outputs[name] = _flag(parameters, "binary_data", f"output '{name}'", default=binary)
    return Wish(identity, outputs or dict.fromkeys(names, binary))


def _entries(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects that may be missing."""
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadRequestError(f"'{key}' is not a list of objects, one per tensor")
    return value


def _named(
    entries: list[dict[str, Any]], known: Mapping[str, object] | list[str], side: str
) -> list[tuple[str, dict[str, Any]]]:
    """Each tensor's name and entry, every name known and there once."""
    named: dict[str, dict[str, Any]] = {}
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str):
            raise BadRequestError(f"an {side} has no 'name'; expected {', '.join(known)}")
        if name not in known:
            raise BadRequestError(f"unknown {side} '{name:.64}'; expected {', '.join(known)}")
        if name in named:
            raise BadRequestError(f"{side} '{name}' is given twice")
        named[name] = entry
    return list(named.items())


def _parameters(holder: dict[str, Any], where: str) -> dict[str, Any]:
    value = holder.get("parameters")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequestError(f"'parameters' of {where} is not an object")
    if "shared_memory_region" in value:
        raise BadRequestError(f"{where} names shared memory, which is not served; send the data")
    return value


def _flag(parameters: dict[str, Any], key: str, where: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise BadRequestError(f"'{key}' of {where} is neither true nor false")
    return value


def _binary_size(entry: dict[str, Any], name: str) -> int | None:
    given = _parameters(entry, f"input '{name}'").get("binary_data_size")
    if (given is None) == ("data" not in entry):
        has = "neither 'data' nor" if given is None else "both 'data' and"
        raise BadRequestError(f"input '{name}' has {has} binary_data_size; send one of them")
    if given is None:
        return None
    size = strict_json.whole(given)
    if size is None or not 0 <= size < _MAX_SIZE:
        raise BadRequestError(
            f"binary_data_size of input '{name}' is not a number of bytes below {_MAX_SIZE}"
        )
    return size


def _dtype(entry: dict[str, Any], name: str) -> str:
    datatype = entry.get("datatype")
    dtype = DATATYPES.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        found = f"'{datatype:.32}'" if isinstance(datatype, str) else "missing or not a string"
        raise BadRequestError(
            f"datatype of input '{name}' is {found}, expected one of {', '.join(DATATYPES)}"
        )
    return dtype


def _shape(entry: dict[str, Any], name: str) -> tuple[int, ...]:
    """The shape a tensor claims; small enough to be multiplied."""
    given = entry.get("shape")
    shape = []
    for size in map(strict_json.whole, given) if isinstance(given, list) else (None,):
        if size is None or not 0 <= size < _MAX_SIZE:
            raise BadRequestError(
                f"shape of input '{name}' is not a list of sizes, each from 0 to {_MAX_SIZE - 1}"
            )
        shape.append(size)
    if len(shape) > _MAX_RANK:
        raise BadRequestError(
            f"shape of input '{name}' has {len(shape)} dimensions, at most {_MAX_RANK} are served"
        )
    return tuple(shape)


def _from_json(entry: dict[str, Any], spec: TensorSpec) -> Tensor:
    """Read 'data', nested as the shape says or flat."""
    shape = _shape(entry, spec.name)
    dtype = _dtype(entry, spec.name)
    if dtype not in (spec.client_dtype, spec.dtype):
        # Before the data: whether it fits a claim that is wrong says nothing to anybody.
        raise misfit(spec, f"got {dtype}")
    data = entry["data"]
    nested = isinstance(data, list) and any(isinstance(item, list) for item in data)
    claimed = TensorSpec(spec.name, dtype, shape if nested else (-1,))
    claimed.client_shape = spec.client_shape  # what a message says is expected
    tensor = from_nested(data, claimed)
    if nested and tensor.shape != shape:
        raise BadRequestError(
            f"input '{spec.name}' has data of shape {list(tensor.shape)}, but its 'shape' is "
            f"{list(shape)}"
        )
    if not nested and tensor.size != math.prod(shape):
        raise BadRequestError(
            f"input '{spec.name}' has {tensor.size} numbers, but its 'shape' {list(shape)} needs "
            f"{math.prod(shape)}"
        )
    return Tensor(tensor.dtype, shape, tensor.data)
