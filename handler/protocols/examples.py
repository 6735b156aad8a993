"""TensorFlow Serving's :classify and :regress: examples of named features <-> tensors.

A feature is a number or a flat list of numbers, as in a tf.Example; its name is the input's. Where
the card has a picture, the feature may be `{"b64": "<base64 of a picture>"}`.
"""

from __future__ import annotations

import math

from handler.errors import BadRequestError, TooLargeError
from handler.messages import MAX_BYTES
from handler.protocols import classes, strict_json
from handler.protocols.tfserving import check_names, pick_signature, pictures
from handler.tensor import Tensor, TensorSpec, from_nested, to_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from handler.manifest import Manifest

_KEYS = frozenset(("examples", "context", "signature_name"))
_MOST_NUMBERS = MAX_BYTES // 2  # a digit and a comma each: what a body can hold without a context


def parse(body: bytes, manifest: Manifest) -> tuple[dict[str, Tensor], str]:
    """Read a :classify or :regress body.

    Args:
        body: JSON text.
        manifest: Gives names, shapes and dtypes.

    Returns:
        One tensor per input, a row for each example, and the signature's name.

    Raises:
        BadRequestError: Not JSON, not this protocol, or values of another number or type.
        TooLargeError: The context makes more of the body than a body could hold.
    """
    document = strict_json.parse(body)
    if not isinstance(document, dict):
        raise BadRequestError("the body is not a JSON object; send 'examples'")
    for key in document:
        if key not in _KEYS:
            raise BadRequestError(
                f"unknown key '{key:.64}'; expected 'examples', 'context' and 'signature_name'"
            )
    signature = pick_signature(document.get("signature_name", ""), manifest)
    columns = _columns(document, [spec.name for spec in signature.inputs])
    tensors = {}
    for spec in signature.inputs:
        column = columns[spec.name]
        tensor = pictures(column, spec, manifest)
        tensors[spec.name] = _features(column, spec) if tensor is None else tensor
    return tensors, signature.name


def render_classes(tensors: Mapping[str, Tensor], manifest: Manifest) -> dict[str, object]:
    """Every label with its score, in the model's order, for each example.

    Raises:
        BadRequestError: The model does not give one row of scores for each example.
    """
    _only(tensors)
    rows = classes.pair(tensors, manifest)
    if rows is None:
        raise BadRequestError(f"this model {classes.misfit(tensors, manifest)}")
    return {"results": [list(map(list, row)) for row in rows]}


def render_numbers(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    """One number for each example.

    Raises:
        BadRequestError: The model gives more than that, or less.
    """
    tensor = _only(tensors)
    if not tensor.shape or math.prod(tensor.shape[1:]) != 1:
        raise BadRequestError(
            f"this model gives {list(tensor.shape)}, not one number for each example; use :predict"
        )
    return {"results": to_values(tensor)}


def _columns(document: dict[str, Any], names: list[str]) -> dict[str, list[Any]]:
    """Each input's features, example by example, those that all share in every one."""
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise BadRequestError("'examples' is missing, empty or not a list; send at least one")
    context = document.get("context", {})
    if not isinstance(context, dict):
        raise BadRequestError("'context' is not an object of features")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for i, example in enumerate(examples):
        if not isinstance(example, dict):
            raise BadRequestError(f"examples[{i}] is not an object of features")
        for name in context:
            if name in example:
                raise BadRequestError(f"examples[{i}]: '{name:.64}' is in 'context' too")
        row = {**context, **example}
        check_names(row, names, f"examples[{i}]: ")
        for name, column in columns.items():
            column.append(row[name])
    return columns


def _only(tensors: Mapping[str, Tensor]) -> Tensor:
    if len(tensors) != 1:
        raise BadRequestError(f"this model has several outputs: {', '.join(tensors)}; use :predict")
    (tensor,) = tensors.values()
    return tensor


def _features(column: list[Any], spec: TensorSpec) -> Tensor:
    """Put the examples' flat lists below each other, in the shape the model takes."""
    batch, *sizes = spec.client_shape or (0,)
    if batch != -1:
        raise BadRequestError(f"input '{spec.name}' has no batch dimension; use :predict")
    lists = [value if isinstance(value, list) else [value] for value in column]
    length = len(lists[0])
    for i, features in enumerate(lists):
        if len(features) != length:
            raise BadRequestError(
                f"examples[{i}]: '{spec.name}' has {len(features)} numbers, examples[0] has "
                f"{length}"
            )
    free = sizes.count(-1)
    fixed = math.prod(size for size in sizes if size != -1)
    if free > 1 or (length % fixed if free else length != fixed):
        wanted = f", expected a flat list of {f'a multiple of {fixed}' if free else fixed}"
        raise BadRequestError(
            f"input '{spec.name}' (expected {spec.client_dtype} of shape "
            f"{list(spec.client_shape)}): got {length} numbers for each example"
            + ("; more than one dimension is free, use :predict" if free > 1 else wanted)
        )
    if len(lists) * length > _MOST_NUMBERS:
        raise TooLargeError(
            f"input '{spec.name}' has {len(lists) * length} numbers, the context in each example "
            f"counted, at most {_MOST_NUMBERS} are taken: send fewer examples at once"
        )
    flat = TensorSpec(spec.name, spec.client_dtype, (-1,))
    flat.client_shape = spec.client_shape  # what a message says is expected
    tensor = from_nested([number for features in lists for number in features], flat)
    shape = (len(lists), *(length // fixed if size == -1 else size for size in sizes))
    return Tensor(tensor.dtype, shape, tensor.data)
