"""TensorFlow Serving's REST protocol: `instances` (rows) or `inputs` (columns) <-> tensors.

Left out, each with a 400: binary values (`{"b64": ...}`, only string tensors take them) and
signatures other than the one the image was made for.
"""

from __future__ import annotations

from handler.errors import BadRequestError
from handler.protocols import strict_json
from handler.tensor import from_nested, to_nested

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from handler.manifest import Manifest
    from handler.tensor import Tensor, TensorSpec

_KEYS = frozenset(("instances", "inputs", "signature_name"))
_VERSION = "1"  # one image holds one model; TF Serving's clients expect a number
_DT = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE"}


def parse(body: bytes, manifest: Manifest) -> tuple[dict[str, Tensor], bool]:
    """Read a :predict body.

    Args:
        body: JSON text.
        manifest: Gives names, ranks and dtypes.

    Returns:
        One tensor per input name, and whether the caller spoke in rows (`instances`).

    Raises:
        BadRequestError: Not JSON, not this protocol, or values of another rank or type.
    """
    document = strict_json.parse(body)
    if not isinstance(document, dict):
        raise BadRequestError("the body is not a JSON object; send 'instances' or 'inputs'")
    for key in document:
        if key not in _KEYS:
            raise BadRequestError(
                f"unknown key '{key:.64}'; expected 'instances' or 'inputs', and 'signature_name'"
            )
    _check_signature(document.get("signature_name", manifest.signature), manifest)
    rows = "instances" in document
    if rows == ("inputs" in document):
        which = "both 'instances' and 'inputs'" if rows else "neither 'instances' nor 'inputs'"
        raise BadRequestError(f"the body holds {which}; send one of them")
    columns = (
        _transpose(document["instances"], manifest.inputs)
        if rows
        else _columns(document["inputs"], manifest.inputs)
    )
    tensors = {spec.name: from_nested(columns[spec.name], spec) for spec in manifest.inputs}
    if rows and len({tensor.shape[:1] for tensor in tensors.values()}) > 1:
        raise BadRequestError("this model's inputs share no batch dimension; send 'inputs'")
    return tensors, rows


def render(tensors: Mapping[str, Tensor], *, rows: bool, batch: int) -> dict[str, object]:
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
    nested = {name: to_nested(tensor) for name, tensor in tensors.items()}
    if len(nested) == 1:
        (values,) = nested.values()
        return {"predictions" if rows else "outputs": values}
    if not rows:
        return {"outputs": nested}
    names = tuple(nested)
    columns: list[Any] = list(nested.values())
    return {
        "predictions": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    }


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
        "version": _VERSION,
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [entry]}


def metadata(manifest: Manifest) -> dict[str, object]:
    """TF Serving's metadata, and under `model` what is deployed: sha256, recipe, labels."""
    signature = {
        "inputs": {spec.name: _describe(spec) for spec in manifest.inputs},
        "outputs": {spec.name: _describe(spec) for spec in manifest.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": manifest.name, "signature_name": "", "version": _VERSION},
        "metadata": {"signature_def": {"signature_def": {manifest.signature: signature}}},
        "model": {
            "sha256": manifest.sha256,
            "recipe": manifest.recipe,
            "labels": manifest.labels,
        },
    }


def _check_signature(name: object, manifest: Manifest) -> None:
    if not isinstance(name, str):
        raise BadRequestError(f"'signature_name' is not a string; expected '{manifest.signature}'")
    if name not in ("", manifest.signature):
        raise BadRequestError(f"unknown signature '{name:.64}'; expected '{manifest.signature}'")


def _columns(value: object, specs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    """Name each column; a lone one may come bare."""
    names = [spec.name for spec in specs]
    if isinstance(value, dict):
        _check_names(value, names, "")
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
    if len(names) == 1 and not any(isinstance(item, dict) for item in instances):
        return {names[0]: instances}
    for i, item in enumerate(instances):
        if not isinstance(item, dict):
            raise BadRequestError(
                f"instances[{i}] is not an object; expected one with {', '.join(names)}"
            )
        _check_names(item, names, f"instances[{i}]: ")
    return {name: [item[name] for item in instances] for name in names}


def _check_names(named: dict[str, Any], names: list[str], where: str) -> None:
    for name in names:
        if name not in named:
            raise BadRequestError(f"{where}missing input '{name}'; expected {', '.join(names)}")
    for name in named:
        if name not in names:
            raise BadRequestError(f"{where}unknown input '{name:.64}'; expected {', '.join(names)}")


def _describe(spec: TensorSpec) -> dict[str, object]:
    dtype = spec.client_dtype
    dims = [{"size": str(size), "name": ""} for size in spec.client_shape]
    return {
        "dtype": _DT.get(dtype, f"DT_{dtype.upper()}"),
        "tensor_shape": {"dim": dims, "unknown_rank": False},
        "name": spec.name,
    }
