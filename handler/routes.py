"""Which path does what. Each protocol reads and writes bytes; here they meet the model.

Whatever the common request, TF Serving's JSON, does not need is imported by the route that does.
"""

from __future__ import annotations

from handler import batches
from handler.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    TooLargeError,
    UnsupportedMediaError,
)
from handler.messages import JSON, MAX_BYTES, RAW, Response
from handler.protocols import strict_json, tfserving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.messages import Request
    from handler.predictor import Predictor
    from handler.telemetry import Record
    from handler.tensor import Tensor

_MODELS = "/v1/models/"
_VERBS = frozenset(("predict", "classify", "regress", "image"))
_VERSIONS = {"versions": "version", "labels": "label"}
# What a body without a content type, or with a wrong one, is taken for: TF Serving never looks.
_JSON_MEDIA = frozenset(
    (
        "",
        JSON,
        "text/plain",
        "application/x-www-form-urlencoded",  # what curl -d says
    )
)
_NPY = frozenset(("application/x-npy", "application/npy"))


def answer(request: Request, predictor: Predictor, record: Record) -> Response:
    """Answer a request.

    Raises:
        RequestError: It cannot be answered, for the reason that its class and text give.
    """
    path = request.path
    place = _place(path)
    if place is not None:
        return _model(request, place, predictor, record)
    if path == "/ping":
        allow(request, "GET")
        record.fields["route"] = "ping"
        return ok({"status": "ok"})
    if path == "/openapi.json":
        from handler.openapi import describe

        allow(request, "GET")
        record.fields["route"] = "openapi"
        return ok(describe(predictor.manifest))
    if path.startswith("/v2"):
        from handler import routes_v2

        response = routes_v2.answer(request, predictor, record)
        if response is not None:
            return response
    raise NotFoundError(f"no such path: {path:.128}; try GET /v1/models/{predictor.manifest.name}")


def allow(request: Request, method: str) -> None:
    """Insist on a method; HEAD is GET, and whoever carries the answer leaves its body out.

    Raises:
        MethodNotAllowedError: The request has another.
    """
    if request.method != method and (request.method, method) != ("HEAD", "GET"):
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


def run(
    tensors: Mapping[str, Tensor], predictor: Predictor, record: Record, signature: str = ""
) -> dict[str, Tensor]:
    """Have the model answer, between decoding and encoding."""
    record.lap("decode_ms")
    answers = predictor.predict(tensors, signature, record.deadline)
    record.lap("infer_ms")
    record.answered(batches.rows(tensors), answers)
    return answers


def ok(document: object) -> Response:
    """A JSON answer."""
    return Response(200, strict_json.render(document))


def _place(path: str) -> tuple[str, str, str, str] | None:
    """Take /v1/models/NAME[/versions/N|/labels/L][:VERB|/metadata] apart; None for another path.

    By hand: compiling a regular expression for it took a twentieth of the whole cold start.

    Returns:
        Name, `version` or `label` or "", which one, and a verb, `metadata` or "".
    """
    if not path.startswith(_MODELS):
        return None
    rest, colon, verb = path[len(_MODELS) :].partition(":")
    parts = rest.split("/")
    if colon:
        if verb not in _VERBS:
            return None
    elif parts[-1] == "metadata" and len(parts) in (2, 4):
        verb = parts.pop()
    if not all(parts):
        return None
    if len(parts) == 1:
        return parts[0], "", "", verb
    if len(parts) != 3 or parts[1] not in _VERSIONS:  # noqa: PLR2004
        return None
    return parts[0], _VERSIONS[parts[1]], parts[2], verb


def _model(
    request: Request, place: tuple[str, str, str, str], predictor: Predictor, record: Record
) -> Response:
    name, kind, given, action = place
    record.fields["route"] = action or "status"
    check_model(name, predictor)
    known = tfserving.VERSION if kind == "version" else tfserving.LABEL
    if kind and given != known:
        raise NotFoundError(f"model '{name}' has no {kind} '{given:.64}', only '{known}'")
    allow(request, "POST" if action in _VERBS else "GET")
    if action == "predict":
        return _predict(request, predictor, record)
    if action == "image":
        return _image(request, predictor, record)
    if action == "metadata":
        return ok(tfserving.metadata(predictor.manifest))
    if not action:
        return ok(tfserving.status())
    return _examples(request, predictor, record, classify=action == "classify")


def _predict(request: Request, predictor: Predictor, record: Record) -> Response:
    """The content type says what comes in, Accept what goes out."""
    media = request.media
    if media not in _JSON_MEDIA and not media.endswith("+json"):
        return _predict_tensor(request, predictor, record)
    tensors, signature, rows = tfserving.parse(read_body(request), predictor.manifest)
    answers = run(tensors, predictor, record, signature)
    response = _bare(request, answers)
    if response is None:
        batch = next((t.shape[0] for t in tensors.values() if t.shape), 0)
        response = Response(200, tfserving.render(answers, rows=rows, batch=batch))
    return response


def _predict_tensor(request: Request, predictor: Predictor, record: Record) -> Response:
    """The body is the model's one input; in JSON the answer is as to TF Serving's `inputs`."""
    media = request.media
    inputs = predictor.manifest.inputs
    # Names, not modules: to look through a package for a module takes a microsecond.
    if media == RAW:
        from handler.protocols.raw import parse as parse_raw

        tensors = parse_raw(read_body(request), request.parameter("shape"), inputs)
    elif media in _NPY:
        from handler.protocols.npy import parse as parse_npy

        tensors = parse_npy(read_body(request), inputs)
    else:
        raise UnsupportedMediaError(
            f"content type '{media:.64}' is not read here; send {JSON}, {RAW} or application/x-npy"
        )
    answers = run(tensors, predictor, record)
    response = _bare(request, answers)
    return response or Response(200, tfserving.render(answers, rows=False, batch=0))


def _bare(request: Request, answers: Mapping[str, Tensor]) -> Response | None:
    """One output without JSON around it, where that is what the client likes best."""
    accept = request.headers.get("accept", JSON)
    name = request.parameter("output")
    if accept in (JSON, "*/*") and name is None:
        return None
    kind = RAW if accept == RAW else _negotiate(accept)
    # A name that is wrong is wrong in JSON too, where it changes nothing.
    if name is None and kind == JSON:
        return None
    from handler.protocols.raw import pick, render

    tensor = pick(answers, name)
    if kind == JSON:
        return None
    if kind == RAW:
        body, headers = render(tensor)
        return Response(200, body, headers)
    from handler.protocols.npy import render as render_npy

    return Response(200, render_npy(tensor), {"content-type": kind})


def _negotiate(accept: str) -> str:
    from handler.negotiation import choose

    return choose(accept, (JSON, RAW, *_NPY)) or JSON


def _examples(
    request: Request, predictor: Predictor, record: Record, *, classify: bool
) -> Response:
    from handler.protocols import examples

    manifest = predictor.manifest
    tensors, signature = examples.parse(read_body(request), manifest)
    answers = run(tensors, predictor, record, signature)
    if classify:
        return ok(examples.render_classes(answers, manifest))
    return ok(examples.render_numbers(answers))


def _image(request: Request, predictor: Predictor, record: Record) -> Response:
    from handler.protocols import image

    asked = request.parameter("k")
    top = None if asked is None else image.read_top(asked)
    media = request.headers.get("content-type", "")
    tensors, wished = image.parse(read_body(request), media, predictor.manifest)
    answers = run(tensors, predictor, record)
    return ok(image.render(answers, predictor.manifest, wished if top is None else top))
