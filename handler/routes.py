"""Which path does what. Each protocol reads and writes bytes; here they meet the model.

Whatever the common request, TF Serving's JSON, does not need is imported by the route that does.
"""

from __future__ import annotations

import re

from handler.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    TooLargeError,
    UnsupportedMediaError,
)
from handler.messages import MAX_BYTES, Response
from handler.protocols import strict_json, tfserving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.messages import Request
    from handler.predictor import Predictor
    from handler.telemetry import Record
    from handler.tensor import Tensor

_MODEL = re.compile(r"/v1/models/([^/:]+)(:predict|:image|/metadata)?")
_METHODS = {":predict": "POST", ":image": "POST", "/metadata": "GET", None: "GET"}
_NAMES = {":predict": "predict", ":image": "image", "/metadata": "metadata", None: "status"}
_JSON_MEDIA = frozenset(
    (
        "",
        "application/json",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",  # what curl -d says, and TF Serving never minded
    )
)


def answer(request: Request, predictor: Predictor, record: Record) -> Response:
    """Answer a request.

    Raises:
        RequestError: It cannot be answered, for the reason that its class and text give.
    """
    path = request.path
    match = _MODEL.fullmatch(path)
    if match is not None:
        return _model(request, match, predictor, record)
    if path == "/ping":
        allow(request, "GET")
        record.fields["route"] = "ping"
        return ok({"status": "ok"})
    if path.startswith("/v2"):
        from handler import routes_v2

        response = routes_v2.answer(request, predictor, record)
        if response is not None:
            return response
    raise NotFoundError(f"no such path: {path:.128}; try GET /v1/models/{predictor.manifest.name}")


def allow(request: Request, method: str) -> None:
    """Insist on a method.

    Raises:
        MethodNotAllowedError: The request has another.
    """
    if request.method != method:
        raise MethodNotAllowedError(request.method, request.path, method)


def check_model(name: str, predictor: Predictor) -> None:
    """Insist on the one model there is.

    Raises:
        NotFoundError: The path names another.
    """
    if name != predictor.manifest.name:
        raise NotFoundError(f"no model '{name:.64}' here, only '{predictor.manifest.name}'")


def read_body(request: Request) -> bytes:
    """The request's body, inflated.

    Raises:
        UnsupportedMediaError: It has a content coding other than gzip and deflate.
        TooLargeError: It has more than `MAX_BYTES`, before or after inflating.
        BadRequestError: It is empty, or not what its content coding says.
    """
    if len(request.body) > MAX_BYTES:
        raise TooLargeError(
            f"the body has {len(request.body)} bytes, at most {MAX_BYTES} are taken"
        )
    if not request.body:
        raise BadRequestError("the body is empty")
    encoding = request.headers.get("content-encoding", "")
    if encoding.lower() in ("", "identity"):
        return request.body
    from handler import coding

    return coding.inflate(request.body, encoding)


def run(tensors: Mapping[str, Tensor], predictor: Predictor, record: Record) -> dict[str, Tensor]:
    """Have the model answer, between decoding and encoding."""
    record.lap("decode_ms")
    answers = predictor.predict(tensors)
    record.lap("infer_ms")
    return answers


def ok(document: object) -> Response:
    """A JSON answer."""
    return Response(200, strict_json.render(document))


def _model(
    request: Request, match: re.Match[str], predictor: Predictor, record: Record
) -> Response:
    name, action = match.groups()
    record.fields["route"] = _NAMES[action]
    check_model(name, predictor)
    allow(request, _METHODS[action])
    if action == ":predict":
        return _predict(request, predictor, record)
    if action == ":image":
        return _image(request, predictor, record)
    if action == "/metadata":
        return ok(tfserving.metadata(predictor.manifest))
    return ok(tfserving.status())


def _predict(request: Request, predictor: Predictor, record: Record) -> Response:
    body = read_body(request)
    if request.media not in _JSON_MEDIA and not request.media.endswith("+json"):
        raise UnsupportedMediaError(
            f"content type '{request.media:.64}' is not read here; send application/json"
        )
    tensors, rows = tfserving.parse(body, predictor.manifest)
    answers = run(tensors, predictor, record)
    batch = next((t.shape[0] for t in tensors.values() if t.shape), 0)
    return ok(tfserving.render(answers, rows=rows, batch=batch))


def _image(request: Request, predictor: Predictor, record: Record) -> Response:
    from handler.protocols import image

    body = read_body(request)
    tensors = image.parse(body, request.media, predictor.manifest)
    answers = run(tensors, predictor, record)
    return ok(image.render(answers, predictor.manifest))
