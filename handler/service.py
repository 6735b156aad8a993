"""Requests in, answers out, whatever carries them: routes, size caps, and errors to statuses.

`app.py` (Lambda) and `serve.py` (a socket) only translate their own idea of a request.
"""

from __future__ import annotations

import re
import sys

from handler.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    StartupError,
    TooLargeError,
    UnsupportedMediaError,
)
from handler.manifest import read_manifest
from handler.predictor import Predictor
from handler.protocols import image, strict_json, tfserving
from handler.telemetry import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Manifest
    from handler.predictor import Backend

MAX_BYTES = 5_500_000
"""Largest body, of a request and of an answer: Lambda takes 6 MB, its own envelope included."""

_ROUTE = re.compile(r"/v1/models/([^/:]+)(:predict|:image|/metadata)?")
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


class Request:
    """One HTTP request, as far as this service cares.

    Args:
        method: GET, POST, ...
        path: Without query string and stage.
        headers: Names in lower case.
        body: Raw bytes.
        request_id: Lambda's id, or "".
    """

    __slots__ = ("body", "headers", "method", "path", "request_id")

    def __init__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        request_id: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.request_id = request_id

    @property
    def media(self) -> str:
        """Media type, lower case, without parameters; "" when not given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Response:
    """One HTTP answer: a status, JSON on one line, and headers beside the content type."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = {"content-type": "application/json", **(headers or {})}


class Service:
    """One model behind its routes.

    Args:
        manifest: What model.json says.
        backend: Where the arithmetic happens.

    Attributes:
        predictor: The model itself, without HTTP around it.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self.predictor = Predictor(manifest, backend)

    def answer(self, request: Request) -> Response:
        """Answer a request; never raises. The one place where errors become statuses."""
        record = Record(request.request_id)
        error: Exception | None = None
        try:
            response = self._route(request, record)
        except RequestError as caught:
            error = caught
            response = error_response(caught)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the client gets a 500
            error = caught
            import traceback  # only our own bugs come this way

            # The frames, not the message: it may quote what the client sent.
            frames = "".join(traceback.format_tb(caught.__traceback__))
            sys.stderr.write(f"{type(caught).__name__} in\n{frames}")
            response = Response(500, strict_json.render({"error": "internal error"}))
        record.write(response.status, None if error is None else type(error).__name__)
        return response

    def _route(self, request: Request, record: Record) -> Response:
        path = request.path
        if path == "/ping":
            _allow(request, "GET")
            record.fields["route"] = "ping"
            return _ok({"status": "ok"})
        match = _ROUTE.fullmatch(path)
        if match is None:
            raise NotFoundError(
                f"no such path: {path:.128}; try GET /v1/models/{self.manifest.name}"
            )
        name, action = match.groups()
        record.fields["route"] = _NAMES[action]
        if name != self.manifest.name:
            raise NotFoundError(f"no model '{name:.64}' here, only '{self.manifest.name}'")
        _allow(request, _METHODS[action])
        if action == ":predict":
            return self._predict(request, record)
        if action == ":image":
            return self._image(request, record)
        if action == "/metadata":
            return _ok(tfserving.metadata(self.manifest))
        return _ok(tfserving.status())

    def _predict(self, request: Request, record: Record) -> Response:
        _check_body(request)
        if request.media not in _JSON_MEDIA and not request.media.endswith("+json"):
            raise UnsupportedMediaError(
                f"content type '{request.media:.64}' is not read here; send application/json"
            )
        tensors, rows = tfserving.parse(request.body, self.manifest)
        record.lap("decode_ms")
        answers = self.predictor.predict(tensors)
        record.lap("infer_ms")
        batch = next((t.shape[0] for t in tensors.values() if t.shape), 0)
        response = _ok(tfserving.render(answers, rows=rows, batch=batch))
        record.lap("encode_ms")
        return response

    def _image(self, request: Request, record: Record) -> Response:
        _check_body(request)
        tensors = image.parse(request.body, request.media, self.manifest)
        record.lap("decode_ms")
        answers = self.predictor.predict(tensors)
        record.lap("infer_ms")
        response = _ok(image.render(answers, self.manifest))
        record.lap("encode_ms")
        return response


def open_service(settings: Mapping[str, str]) -> Service:
    """Make the service that the environment describes; loads the model.

    Args:
        settings: MODEL_DIR, LITERT_LIBRARY, MODEL_BACKEND and what the backend needs.

    Raises:
        StartupError: A setting, model.json, the model or the library is wrong.
    """
    directory = settings.get("MODEL_DIR", "/opt/model")
    manifest = read_manifest(directory)
    return Service(manifest, _open_backend(manifest, directory, settings))


def error_response(error: RequestError) -> Response:
    """The answer to a request that failed."""
    line = " ".join(str(error).split())
    return Response(error.status, strict_json.render({"error": line}), error.headers())


def _open_backend(manifest: Manifest, directory: str, settings: Mapping[str, str]) -> Backend:
    # Each backend is imported where it is chosen: the others cost a Lambda nothing.
    kind = settings.get("MODEL_BACKEND", "litert")
    if kind == "litert":
        from handler.backends.litert import LiteRtBackend

        library = settings.get("LITERT_LIBRARY", "/opt/litert/libLiteRt.so")
        return LiteRtBackend(manifest, directory, library)
    if kind == "sagemaker":
        from handler.backends.sagemaker import SageMakerBackend

        return SageMakerBackend(manifest, settings)
    if kind == "http":
        from handler.backends.http import HttpBackend

        return HttpBackend(manifest, settings)
    raise StartupError(f"MODEL_BACKEND is '{kind}', expected litert, sagemaker or http")


def _allow(request: Request, method: str) -> None:
    if request.method != method:
        raise MethodNotAllowedError(request.method, request.path, method)


def _check_body(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaError("content-encoding is not read here; send the body as it is")
    if len(request.body) > MAX_BYTES:
        raise TooLargeError(
            f"the body has {len(request.body)} bytes, at most {MAX_BYTES} are taken"
        )
    if not request.body:
        raise BadRequestError("the body is empty")


def _ok(document: object) -> Response:
    body = strict_json.render(document)
    if len(body) > MAX_BYTES:
        raise TooLargeError(
            f"the answer has {len(body)} bytes, at most {MAX_BYTES} can be sent: "
            "ask for less at once"
        )
    return Response(200, body)
