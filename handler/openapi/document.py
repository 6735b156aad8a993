"""Paths, parameters and answers of one model's API."""

from __future__ import annotations

import math

from handler import VERSION
from handler.messages import JSON, MAX_BYTES
from handler.openapi import schemas
from handler.openapi.schemas import closed
from handler.protocols import classes, tfserving
from handler.protocols.image import MAX_TOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handler.manifest import Manifest
    from handler.openapi.schemas import Schema

    Operation = dict[str, Any]

_RAW = "application/octet-stream"
_NPY = "application/x-npy"
_BYTES: Schema = {"type": "string", "format": "binary"}
_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_TRUE: Schema = {"const": True}

_FAULTS = {
    "400": "The request is wrong, or the model's answer to it is not finite",
    "404": "No such path, model, version or label",
    "405": "The path exists, the method does not; see the header Allow",
    "413": f"The body, or the answer, is over {MAX_BYTES} bytes",
    "415": "A content type or coding that is not read here",
    "500": "A fault of the service's own",
    "503": "Not ready or overloaded, with Retry-After; or too little time is left",
    "504": "The model's backend took too long",
}
# A pixel of grey.
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def describe(manifest: Manifest) -> dict[str, object]:
    """The whole document.

    Args:
        manifest: Of the model that is served.

    Returns:
        OpenAPI 3.1, ready to be written as JSON.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.name,
            "version": VERSION,
            "description": (
                f"Predictions of the model {manifest.name} ({manifest.recipe}, sha256 "
                f"{manifest.sha256}), over TF Serving's REST API and the Open Inference Protocol. "
                'The gateway\'s own refusals (401, 403, 429) read {"message": ...}.'
            ),
        },
        "paths": {
            "/ping": {
                "get": _get("ping", "Whether the service answers", {"status": {"const": "ok"}})
            },
            "/openapi.json": {"get": _get("openapi", "This document", None)},
            **_tf_serving(manifest),
            **_open_inference(manifest),
        },
        "components": {
            "schemas": {"Error": closed({"error": _TEXT})},
            "responses": {
                status: {
                    "description": text,
                    "content": {
                        JSON: {
                            "schema": {"$ref": "#/components/schemas/Error"},
                            "example": {"error": "the body is empty"},
                        }
                    },
                }
                for status, text in _FAULTS.items()
            },
        },
    }


def _tf_serving(manifest: Manifest) -> dict[str, Any]:
    """Each path plain, by version and by label."""
    verbs: dict[str, Operation] = {":predict": _predict(manifest)}
    if _takes_examples(manifest):
        if _gives_scores(manifest):
            verbs[":classify"] = _examples("classify", manifest)
        if math.prod(manifest.outputs[0].client_shape[1:]) == 1:
            verbs[":regress"] = _examples("regress", manifest)
    if manifest.picture is not None and _gives_scores(manifest):
        verbs[":image"] = _image()
    state: dict[str, Schema] = {"model_version_status": {"type": "array", "items": _OBJECT}}
    about: dict[str, Schema] = {"model_spec": _OBJECT, "metadata": _OBJECT, "model": _OBJECT}
    reads = {
        "": _get("status", "TF Serving's model status", state),
        "/metadata": _get("metadata", "Names, dtypes and shapes", about),
    }
    paths: dict[str, Any] = {}
    for kind, value in (("", ""), ("version", tfserving.VERSION), ("label", tfserving.LABEL)):
        base = f"/v1/models/{manifest.name}" + (f"/{kind}s/{{{kind}}}" if kind else "")
        shared = {"parameters": [_choice(kind, value)]} if kind else {}
        for suffix, operation in reads.items():
            paths[base + suffix] = {**shared, "get": _named(operation, kind)}
        for suffix, operation in verbs.items():
            paths[base + suffix] = {**shared, "post": _named(operation, kind)}
    return paths


def _open_inference(manifest: Manifest) -> dict[str, Any]:
    tensors = {"type": "array", "items": _OBJECT}
    about: dict[str, Schema] = {
        "name": {"const": manifest.name},
        "versions": {"type": "array", "items": _TEXT},
        "platform": _TEXT,
        "inputs": tensors,
        "outputs": tensors,
    }
    server: dict[str, Schema] = {
        "name": _TEXT,
        "version": _TEXT,
        "extensions": {"type": "array", "items": _TEXT},
    }
    reads = {
        "": _get("v2_model", "Names, datatypes and shapes", about),
        "/ready": _get(
            "v2_model_ready", "Whether the model is ready", {"name": _TEXT, "ready": _TRUE}
        ),
    }
    paths: dict[str, Any] = {
        "/v2": {"get": _get("v2_server", "What answers here", server)},
        "/v2/health/live": {"get": _get("v2_live", "Whether it is alive", {"live": _TRUE})},
        "/v2/health/ready": {"get": _get("v2_ready", "Whether it is ready", {"ready": _TRUE})},
    }
    for kind in ("", "version"):
        base = f"/v2/models/{manifest.name}" + ("/versions/{version}" if kind else "")
        shared = {"parameters": [_choice(kind, tfserving.VERSION)]} if kind else {}
        for suffix, operation in reads.items():
            paths[base + suffix] = {**shared, "get": _named(operation, kind)}
        paths[f"{base}/infer"] = {**shared, "post": _named(_infer(manifest), kind)}
    return paths


def _predict(manifest: Manifest) -> Operation:
    bodies = {JSON: _content(schemas.predict_request(manifest), _inputs_example(manifest))}
    parameters = [
        _query(
            "output",
            "Which output to send, where Accept asks for bytes",
            {"enum": [spec.name for spec in manifest.outputs]},
        )
    ]
    if len(manifest.inputs) == 1:
        bodies |= {_RAW: _content(_BYTES), _NPY: _content(_BYTES)}
        if manifest.inputs[0].client_shape.count(-1) > 1:
            # Any text: beside other bodies than bare bytes it is not looked at.
            parameters.append(_query("shape", f"Of {_RAW}: sizes such as 1,8,8,1", _TEXT))
    answers = {
        JSON: _content(schemas.predict_answer(manifest)),
        _RAW: _content(_BYTES),
        _NPY: _content(_BYTES),
    }
    operation = _post("predict", "TF Serving's predict; bare tensors", bodies, answers, parameters)
    operation["responses"]["200"]["headers"] = {
        "X-Tensor-Dtype": _header(f"Of {_RAW}: numpy's name of the dtype", _TEXT),
        "X-Tensor-Shape": _header(f"Of {_RAW}: sizes such as 1,10", _TEXT),
    }
    return operation


def _inputs_example(manifest: Manifest) -> object:
    values = schemas.example(manifest.inputs)
    if values is None:
        return None
    return {"inputs": values if len(values) > 1 else next(iter(values.values()))}


def _examples(verb: str, manifest: Manifest) -> Operation:
    score = schemas.number(manifest.outputs[0].client_dtype)
    pair = {"type": "array", "items": {"anyOf": [_TEXT, score]}, "minItems": 2, "maxItems": 2}
    result = score if verb == "regress" else {"type": "array", "items": pair}
    return _post(
        verb,
        f"TF Serving's {verb}",
        {JSON: _content(schemas.examples_request(manifest))},
        {JSON: _content(closed({"results": {"type": "array", "items": result}}))},
        [],
    )


def _image() -> Operation:
    top = {"type": "integer", "minimum": 1, "maximum": MAX_TOP}
    base64 = {"type": "string", "contentEncoding": "base64"}
    form = {
        "type": "object",
        "properties": {"file": _BYTES, "top": top},
        "required": ["file"],
        "additionalProperties": False,
    }
    bodies = {
        **{f"image/{kind}": _content(_BYTES) for kind in ("png", "jpeg", "webp")},
        "text/plain": _content(base64, _PNG),
        JSON: _content(closed({"image": base64}, {"top": top}), {"image": _PNG, "top": 3}),
        "multipart/form-data": _content(form),
    }
    entry = closed({"label": _TEXT, "score": {"type": "number"}})
    answer = closed({"predictions": {"type": "array", "items": entry, "minItems": 1}})
    parameters = [_query("k", "How many labels, 5 without", top)]
    return _post("image", "Labels of a picture", bodies, {JSON: _content(answer)}, parameters)


def _infer(manifest: Manifest) -> Operation:
    signature = manifest.signatures[manifest.signature]
    bodies = {
        JSON: _content(schemas.infer_request(manifest), schemas.infer_example(signature)),
        _RAW: _content(_BYTES),
    }
    answers = {JSON: _content(schemas.infer_answer(manifest)), _RAW: _content(_BYTES)}
    name = "Inference-Header-Content-Length"
    size = {"type": "integer", "minimum": 0}
    length = _header("How many bytes of JSON come before raw tensors", size)
    parameters = [{"name": name, "in": "header", **length}]
    operation = _post(
        "v2_infer", "The Open Inference Protocol's infer", bodies, answers, parameters
    )
    operation["responses"]["200"]["headers"] = {name: length}
    return operation


def _get(name: str, summary: str, keys: dict[str, Schema] | None) -> Operation:
    schema = _OBJECT if keys is None else closed(keys)
    good = {"description": "Good", "content": {JSON: _content(schema)}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": good, **_faults("404", "405", "500")},
    }


def _post(
    name: str,
    summary: str,
    bodies: dict[str, Any],
    answers: dict[str, Any],
    parameters: list[dict[str, Any]],
) -> Operation:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "requestBody": {"required": True, "content": bodies},
        "responses": {
            "200": {"description": "Good", "content": answers},
            **_faults(*_FAULTS),
        },
    }


def _named(operation: Operation, kind: str) -> Operation:
    """The same operation under another path needs another name."""
    if not kind:
        return operation
    return {**operation, "operationId": f"{operation['operationId']}_by_{kind}"}


def _content(schema: Schema, example: object = None) -> dict[str, Any]:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _choice(name: str, value: str) -> dict[str, Any]:
    schema = {"type": "string", "enum": [value]}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, description: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "schema": schema}


def _faults(*statuses: str) -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _takes_examples(manifest: Manifest) -> bool:
    """Whether flat features can fill every input, and there is one output."""
    return len(manifest.outputs) == 1 and all(
        spec.client_shape[:1] == (-1,) and spec.client_shape[1:].count(-1) <= 1
        for spec in manifest.inputs
    )


def _gives_scores(manifest: Manifest) -> bool:
    output, *others = manifest.outputs
    return not others and classes.fit(output.client_shape, manifest)
