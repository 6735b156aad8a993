"""JSON Schemas of tensors, and of the bodies that carry them."""

from __future__ import annotations

import math

from handler.protocols.v2 import DATATYPES
from handler.tensor import FLOATS, to_nested, zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handler.manifest import Manifest, Signature
    from handler.tensor import TensorSpec

    Schema = dict[str, Any]

# From these on a number is nearer to infinity than to the dtype's largest.
_BOUNDS = {"float16": 65520.0, "float32": 3.4028235677973366e38}
_EXAMPLE_VALUES = 512  # larger examples would bury the document
_NAMES = {dtype: datatype for datatype, dtype in DATATYPES.items()}


def number(dtype: str) -> Schema:
    """One value of a dtype."""
    if dtype == "bool":
        return {"type": "boolean"}
    if dtype in FLOATS:
        bound = _BOUNDS.get(dtype)
        limits = {} if bound is None else {"exclusiveMinimum": -bound, "exclusiveMaximum": bound}
        return {"type": "number", **limits}
    bits = int(dtype.lstrip("uint"))
    low, high = (0, 2**bits) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    # To a schema 1.0 is an integer; here, as to TF Serving, it is a float.
    written = "Without a decimal point or an exponent"
    return {"type": "integer", "minimum": low, "maximum": high - 1, "description": written}


def nested(dtype: str, shape: tuple[int, ...]) -> Schema:
    """Nested lists of a shape; -1 is any length above zero."""
    schema = number(dtype)
    for size in reversed(shape):
        schema = {"type": "array", "items": schema, "minItems": max(size, 1)}
        if size != -1:
            schema["maxItems"] = size
    return schema


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def example(specs: tuple[TensorSpec, ...]) -> dict[str, Any] | None:
    """Zeros for each input, one row where the model takes any number; None where that is much."""
    tensors = {spec.name: zeros(spec) for spec in specs}
    if sum(tensor.size for tensor in tensors.values()) > _EXAMPLE_VALUES:
        return None
    return {name: to_nested(tensor) for name, tensor in tensors.items()}


def predict_request(manifest: Manifest) -> Schema:
    """TF Serving's two formats, for each signature."""
    formats = []
    for signature in manifest.signatures.values():
        default = signature.name == manifest.signature
        names = [signature.name, ""] if default else [signature.name]
        label = {"signature_name": {"type": "string", "enum": names}}
        pictures = default and manifest.picture is not None
        keys = {"inputs": _columns(signature.inputs, pictures=pictures)}
        if _batched(signature.inputs):
            keys["instances"] = _rows(signature.inputs, pictures=pictures)
        formats += [
            closed({key: schema}, label) if default else closed({key: schema, **label})
            for key, schema in keys.items()
        ]
    return {"anyOf": formats}


def predict_answer(manifest: Manifest) -> Schema:
    """`predictions` for rows, `outputs` for columns."""
    formats = []
    for signature in manifest.signatures.values():
        outputs = signature.outputs
        formats.append(closed({"outputs": _columns(outputs, pictures=False, bare_only=True)}))
        if _batched(outputs):
            rows = _rows(outputs, pictures=False, bare_only=True)
            formats.append(closed({"predictions": rows}))
    return {"anyOf": formats}


def examples_request(manifest: Manifest) -> Schema:
    """:classify and :regress: flat features by name."""
    features = {}
    for spec in manifest.inputs:
        values = spec.client_shape[1:]
        flat = nested(spec.client_dtype, (-1 if -1 in values else math.prod(values),))
        choices = [flat]
        if math.prod(values) in (1, -1):  # one number, or as many as there are
            choices.append(number(spec.client_dtype))
        if manifest.picture is not None:
            choices.append(_picture())
        features[spec.name] = {"anyOf": choices}
    some = closed({}, features)
    request = closed(
        {"examples": {"type": "array", "items": some, "minItems": 1}},
        {
            "context": some,
            "signature_name": {"type": "string", "enum": [manifest.signature, ""]},
        },
    )
    return {**request, "allOf": [_placed(name) for name in features]}


def infer_request(manifest: Manifest) -> Schema:
    """The Open Inference Protocol's request, where it is JSON alone."""
    tensors = [
        {
            "type": "object",
            "properties": {
                "name": {"const": spec.name},
                "datatype": {"const": _NAMES[dtype]},
                "shape": shape,
                "data": data,
            },
            "required": ["name", "datatype", "shape", "data"],
        }
        for spec in manifest.inputs
        for dtype in _dtypes(spec)
        for shape, data in _forms(spec, dtype)
    ]
    output = {
        "type": "object",
        "properties": {
            "name": {"enum": [spec.name for spec in manifest.outputs]},
            "parameters": _flags("binary_data"),
        },
        "required": ["name"],
    }
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": _flags("binary_data_output"),
            "inputs": {
                "type": "array",
                "items": {"anyOf": tensors},
                "minItems": len(manifest.inputs),
                "maxItems": len(manifest.inputs),
            },
            "outputs": {"type": ["array", "null"], "items": output},
        },
        "required": ["inputs"],
    }


def infer_answer(manifest: Manifest) -> Schema:
    """The Open Inference Protocol's answer, where it is JSON alone."""
    tensors = [
        closed(
            {
                "name": {"const": spec.name},
                "datatype": {"const": _NAMES[dtype]},
                "shape": _shape(spec),
                "data": nested(dtype, (-1,)),
            }
        )
        for spec in manifest.outputs
        for dtype in _dtypes(spec)
    ]
    return closed(
        {
            "model_name": {"const": manifest.name},
            "model_version": {"type": "string"},
            "outputs": {"type": "array", "items": {"anyOf": tensors}},
        },
        {"id": {"type": "string"}},
    )


def infer_example(signature: Signature) -> dict[str, Any] | None:
    """Zeros as the Open Inference Protocol has them."""
    values = example(signature.inputs)
    if values is None:
        return None
    inputs = [
        {
            "name": spec.name,
            "shape": list(zeros(spec).shape),
            "datatype": _NAMES[spec.client_dtype],
            "data": values[spec.name] if spec.client_shape else [values[spec.name]],
        }
        for spec in signature.inputs
    ]
    return {"id": "1", "inputs": inputs}


def _placed(feature: str) -> Schema:
    """A feature is in each example or in the context, never in both."""
    there: Schema = {"required": [feature]}
    absent: Schema = {"not": there}
    return {
        "anyOf": [
            {"properties": {"examples": {"items": there}, "context": absent}},
            {
                "properties": {"examples": {"items": absent}, "context": there},
                "required": ["context"],
            },
        ]
    }


def _flags(name: str) -> Schema:
    return {"type": ["object", "null"], "properties": {name: {"type": "boolean"}}}


def _shape(spec: TensorSpec) -> Schema:
    rank = len(spec.client_shape)
    sizes = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
    return {"type": "array", "items": sizes, "minItems": rank, "maxItems": rank}


def _dtypes(spec: TensorSpec) -> dict[str, None]:
    """What this protocol carries: floats, and the integers that a quantized model holds."""
    return dict.fromkeys((spec.client_dtype, spec.dtype))


def _forms(spec: TensorSpec, dtype: str) -> list[tuple[Schema, Schema]]:
    """One row flat, where its size is known; anything that fits the shape it claims."""
    shape = spec.client_shape
    forms: list[tuple[Schema, Schema]] = []
    row = tuple(1 if i == 0 and size == -1 else size for i, size in enumerate(shape))
    if -1 not in row:
        forms.append(({"const": list(row)}, nested(dtype, (math.prod(row),))))
    data = [nested(dtype, (-1,))]
    if shape:  # a lone number comes in a list, too
        data.append(nested(dtype, shape))
    return [*forms, (_shape(spec), {"anyOf": data})]


def _batched(specs: tuple[TensorSpec, ...]) -> bool:
    return all(spec.client_shape[:1] == (-1,) for spec in specs)


def _picture() -> Schema:
    return closed({"b64": {"type": "string", "contentEncoding": "base64"}})


def _columns(specs: tuple[TensorSpec, ...], *, pictures: bool, bare_only: bool = False) -> Schema:
    columns = {}
    for spec in specs:
        column = nested(spec.client_dtype, spec.client_shape)
        if pictures:
            column = {"anyOf": [column, {"type": "array", "items": _picture(), "minItems": 1}]}
        columns[spec.name] = column
    if len(specs) > 1:
        return closed(columns)
    (bare,) = columns.values()
    return bare if bare_only else {"anyOf": [bare, closed(columns)]}


def _rows(specs: tuple[TensorSpec, ...], *, pictures: bool, bare_only: bool = False) -> Schema:
    def rows(item: Schema) -> Schema:
        return {"type": "array", "items": item, "minItems": 1}

    values = {spec.name: nested(spec.client_dtype, spec.client_shape[1:]) for spec in specs}
    if len(specs) > 1:
        return rows(closed(values))
    ((name, bare),) = values.items()
    if bare_only:
        return rows(bare)
    choices = [rows(bare), rows(closed({name: bare}))]
    if pictures:
        choices += [rows(_picture()), rows(closed({name: _picture()}))]
    return {"anyOf": choices}
