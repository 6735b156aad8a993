"""The Open Inference Protocol's paths."""

from __future__ import annotations

import re

from handler.errors import BadRequestError, NotFoundError
from handler.messages import JSON, Response
from handler.protocols import v2
from handler.routes import allow, check_model, ok, read_body, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from handler.messages import Request
    from handler.predictor import Predictor
    from handler.telemetry import Record

_SERVER = re.compile(r"/v2/?(health/live|health/ready)?")
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/infer|/ready)?")
_NAMES = {"/infer": "v2_infer", "/ready": "v2_ready", None: "v2_metadata"}
_LENGTH = "inference-header-content-length"


def answer(request: Request, predictor: Predictor, record: Record) -> Response | None:
    """Answer a request, or None where the protocol has no such path.

    Raises:
        RequestError: It cannot be answered, for the reason that its class and text give.
    """
    match = _SERVER.fullmatch(request.path)
    if match is not None:
        record.fields["route"] = "v2_server"
        allow(request, "GET")
        # Without its model the server does not start: that it answers says all of this.
        state = (match[1] or "").rpartition("/")[2]
        return ok({state: True} if state else v2.server())
    match = _MODEL.fullmatch(request.path)
    if match is None:
        return None
    name, version, action = match.groups()
    record.fields["route"] = _NAMES[action]
    check_model(name, predictor)
    if version not in (None, v2.VERSION):
        raise NotFoundError(f"model '{name}' has no version '{version:.64}', only '{v2.VERSION}'")
    allow(request, "POST" if action == "/infer" else "GET")
    if action == "/infer":
        return _infer(request, predictor, record)
    if action == "/ready":
        return ok({"name": name, "ready": True})
    return ok(v2.metadata(predictor.manifest))


def _infer(request: Request, predictor: Predictor, record: Record) -> Response:
    body = read_body(request)
    before = request.headers.get(_LENGTH)
    if before is not None and request.media == JSON and not before.strip(" 0"):
        # Text of the right length would pass for numbers.
        raise BadRequestError(
            f"{_LENGTH} is 0, so the body is bare bytes, but content-type says {JSON}; "
            "send application/octet-stream"
        )
    tensors, wish = v2.parse(body, before, predictor.manifest)
    answers = run(tensors, predictor, record)
    rendered, length = v2.render(answers, wish, predictor.manifest)
    if length is None:
        return Response(200, rendered)
    headers = {"content-type": "application/octet-stream", _LENGTH: str(length)}
    return Response(200, rendered, headers)
