"""TensorFlow Serving's REST protocol: `instances` (rows) or `inputs` (columns) <-> tensors.

Where the card has a picture, `{"b64": "<base64 of a picture>"}` stands for one row of its input, as
it does with models that TF Serving feeds pictures as strings. String tensors themselves there are
none, so binary values are refused everywhere else.
"""

from __future__ import annotations

from handler.errors import BadRequestError
from handler.protocols import nested_text, strict_json
from handler.tensor import from_nested, to_nested

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from handler.manifest import Manifest, Signature
    from handler.tensor import Tensor, TensorSpec

VERSION = "1"
"""One image holds one model; TF Serving's clients expect a number."""

LABEL = "live"
"""What a version label may be called: the name of the alias through which all requests come."""

_ROWS, _COLUMNS = b'{"instances"', b'{"inputs"'
_KEYS = frozenset(("instances", "inputs", "signature_name"))
_DT = {"float16": "DT_HALF", "float32": "DT_FLOAT", "float64": "DT_DOUBLE"}


def parse(body: bytes, manifest: Manifest) -> tuple[dict[str, Tensor], str, bool]:
    """Read a :predict body.

    Args:
        body: JSON text.
        manifest: Gives names, ranks and dtypes.

    Returns:
        One tensor per input name, the signature's name, and whether the caller spoke in rows
        (`instances`).

    Raises:
        BadRequestError: Not JSON, not this protocol, or values of another rank or type.
    """
    tensor, rows = _plain(body, manifest)
    if tensor is not None:
        return {manifest.inputs[0].name: tensor}, manifest.signature, rows
    document = strict_json.parse(body)
    if not isinstance(document, dict):
        raise BadRequestError("the body is not a JSON object; send 'instances' or 'inputs'")
    for key in document:
        if key not in _KEYS:
            raise BadRequestError(
                f"unknown key '{key:.64}'; expected 'instances' or 'inputs', and 'signature_name'"
            )
    signature = pick_signature(document.get("signature_name", ""), manifest)
    rows = "instances" in document
    if rows == ("inputs" in document):
        which = "both 'instances' and 'inputs'" if rows else "neither 'instances' nor 'inputs'"
        raise BadRequestError(f"the body holds {which}; send one of them")
    columns = (
        _transpose(document["instances"], signature.inputs)
        if rows
        else _columns(document["inputs"], signature.inputs)
    )
    tensors = {
        spec.name: pictures(columns[spec.name], spec, manifest)
        or from_nested(columns[spec.name], spec)
        for spec in signature.inputs
    }
    if rows and len({tensor.shape[:1] for tensor in tensors.values()}) > 1:
        raise BadRequestError("this model's inputs share no batch dimension; send 'inputs'")
    return tensors, signature.name, rows


def render(tensors: Mapping[str, Tensor], *, rows: bool, batch: int) -> bytes:
    """Answer in the caller's format: `predictions` for rows, `outputs` for columns.

    Args:
        tensors: One tensor per output name.
        rows: What `parse` said.
        batch: How many instances came in.

    Raises:
        BadRequestError: Rows were asked for, but an output does not have one row per instance.
    """
    if rows:
        for name, tensor in tensors.items():
            if tensor.shape[:1] != (batch,):
                raise BadRequestError(
                    f"output '{name}' of shape {list(tensor.shape)} has no row for each of {batch} "
                    "instances; send 'inputs' instead of 'instances'"
                )
    if len(tensors) == 1:
        (tensor,) = tensors.values()
        return f'{{"{"predictions" if rows else "outputs"}":{nested_text.render(tensor)}}}'.encode()
    nested: dict[str, Any] = {name: to_nested(tensor) for name, tensor in tensors.items()}
    if not rows:
        return strict_json.render({"outputs": nested})
    table = zip(*nested.values(), strict=True)
    predictions = [dict(zip(nested, row, strict=True)) for row in table]
    return strict_json.render({"predictions": predictions})


def render_request(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    """The columnar request for these tensors, for a backend that speaks this protocol."""
    return {"inputs": {name: to_nested(tensor) for name, tensor in tensors.items()}}


def parse_answer(document: object, outputs: tuple[TensorSpec, ...]) -> dict[str, Tensor]:
    """Read a columnar answer; the inverse of `render(..., rows=False)`.

    Raises:
        BadRequestError: The document is not such an answer.
    """
    if not isinstance(document, dict) or "outputs" not in document:
        raise BadRequestError("the answer holds no 'outputs'")
    columns = _columns(document["outputs"], outputs)
    return {spec.name: from_nested(columns[spec.name], spec) for spec in outputs}


def status() -> dict[str, object]:
    """TF Serving's model status, for a model that is loaded."""
    entry = {
        "version": VERSION,
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [entry]}


def metadata(manifest: Manifest) -> dict[str, object]:
    """TF Serving's metadata, and under `model` what is deployed: sha256, recipe, labels."""
    signatures = {
        name: {
            "inputs": {spec.name: _describe(spec) for spec in signature.inputs},
            "outputs": {spec.name: _describe(spec) for spec in signature.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        for name, signature in manifest.signatures.items()
    }
    return {
        "model_spec": {"name": manifest.name, "signature_name": "", "version": VERSION},
        "metadata": {"signature_def": {"signature_def": signatures}},
        "model": {
            "sha256": manifest.sha256,
            "recipe": manifest.recipe,
            "labels": manifest.labels,
        },
    }


def pick_signature(name: object, manifest: Manifest) -> Signature:
    """The signature that a body names; the default one for "".

    Raises:
        BadRequestError: There is none of that name.
    """
    if not isinstance(name, str):
        raise BadRequestError(f"'signature_name' is not a string; expected '{manifest.signature}'")
    signature = manifest.signatures.get(name or manifest.signature)
    if signature is None:
        names = ", ".join(f"'{known}'" for known in manifest.signatures)
        raise BadRequestError(f"unknown signature '{name:.64}'; expected {names}")
    return signature


def pictures(column: object, spec: TensorSpec, manifest: Manifest) -> Tensor | None:
    """The rows of an input that are given as pictures; None where they are given as numbers.

    Raises:
        BadRequestError: This input takes no picture, some rows are none, or one is damaged.
    """
    if not isinstance(column, list) or not column or not _is_binary(column[0]):
        return None
    if manifest.picture is None or spec is not manifest.inputs[0]:
        raise BadRequestError(
            f"input '{spec.name}' takes {spec.client_dtype}; {{\"b64\": ...}} is for pictures, "
            "which this input is not, and for strings, which are not served"
        )
    for i, item in enumerate(column):
        if not _is_binary(item):
            raise BadRequestError(
                f"row {i} of input '{spec.name}' is not {{\"b64\": ...}} as row 0 is"
            )
    from handler.protocols import image  # Pillow's room; numbers never need it

    return image.decode_rows([item["b64"] for item in column], manifest)


def check_names(named: dict[str, Any], names: list[str], where: str) -> None:
    """Insist on exactly these names.

    Raises:
        BadRequestError: One is missing, or unknown.
    """
    for name in names:
        if name not in named:
            raise BadRequestError(f"{where}missing input '{name}'; expected {', '.join(names)}")
    for name in named:
        if name not in names:
            raise BadRequestError(f"{where}unknown input '{name:.64}'; expected {', '.join(names)}")


def _plain(body: bytes, manifest: Manifest) -> tuple[Tensor | None, bool]:
    """Read what nearly every client sends, one tensor of bare numbers and nothing beside it.

    Returns:
        The tensor, or None where the long way has to look; and whether it came in rows.
    """
    if len(manifest.inputs) != 1:
        return None, False
    head, _, text = body.partition(b":")
    key = head.strip(nested_text.SPACES)  # a bytearray where the body is one: not to be hashed
    if key not in (_ROWS, _COLUMNS):
        return None, False
    text, brace, rest = text.rpartition(b"}")
    if not brace or rest.strip(nested_text.SPACES):
        return None, False
    return nested_text.read(text, manifest.inputs[0]), key == _ROWS


def _is_binary(item: object) -> bool:
    return isinstance(item, dict) and len(item) == 1 and isinstance(item.get("b64"), str)


def _columns(value: object, specs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    """Name each column; a lone one may come bare."""
    names = [spec.name for spec in specs]
    if isinstance(value, dict):
        check_names(value, names, "")
        return value
    if len(names) > 1:
        raise BadRequestError(f"several tensors are expected by name: {', '.join(names)}")
    return {names[0]: value}


def _transpose(instances: object, specs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    """Turn rows into columns."""
    names = [spec.name for spec in specs]
    if not isinstance(instances, list):
        raise BadRequestError("'instances' is not a list; send one item per instance")
    if not instances:
        raise BadRequestError("'instances' is empty; send at least one instance")
    if len(names) == 1 and not any(
        isinstance(item, dict) and not _is_binary(item) for item in instances
    ):
        return {names[0]: instances}
    for i, item in enumerate(instances):
        if not isinstance(item, dict):
            raise BadRequestError(
                f"instances[{i}] is not an object; expected one with {', '.join(names)}"
            )
        check_names(item, names, f"instances[{i}]: ")
    return {name: [item[name] for item in instances] for name in names}


def _describe(spec: TensorSpec) -> dict[str, object]:
    dtype = spec.client_dtype
    dims = [{"size": str(size), "name": ""} for size in spec.client_shape]
    return {
        "dtype": _DT.get(dtype, f"DT_{dtype.upper()}"),
        "tensor_shape": {"dim": dims, "unknown_rank": False},
        "name": spec.name,
    }
