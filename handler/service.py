"""Requests in, answers out, whatever carries them: routes, size caps, and errors to statuses.

`app.py` (Lambda) and `serve.py` (a socket) only translate their own idea of a request.
"""

from __future__ import annotations

import sys

from handler import routes
from handler.errors import RequestError, StartupError, TooLargeError
from handler.manifest import read_manifest
from handler.messages import MAX_BINARY_BYTES, MAX_BYTES, Request, Response
from handler.model_file import map_model
from handler.predictor import Predictor
from handler.protocols import strict_json
from handler.telemetry import Record, Telemetry, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Manifest
    from handler.model_file import ModelFile
    from handler.predictor import Backend

__all__ = ["MAX_BYTES", "Request", "Response", "Service", "open_service"]

# Below that the headers alone would eat what is saved.
_WORTH_COMPRESSING = 1_000


class Service:
    """One model behind its routes.

    Args:
        manifest: What model.json says.
        backend: Where the arithmetic happens.
        telemetry: Where records of requests go; by default to the log, with metrics.

    Attributes:
        predictor: The model itself, without HTTP around it.
    """

    def __init__(
        self, manifest: Manifest, backend: Backend, telemetry: Telemetry | None = None
    ) -> None:
        self.manifest = manifest
        self.telemetry = telemetry or Telemetry(manifest, {})
        self.predictor = Predictor(manifest, backend)

    def answer(self, request: Request) -> Response:
        """Answer a request; never raises. The one place where errors become statuses."""
        record = Record(self.telemetry, request.request_id, request.deadline)
        # Its name alone: the error itself would hold this frame, and with it the body and tensors,
        # until the garbage collector came by.
        error: str | None = None
        try:
            response = routes.answer(request, self.predictor, record)
            if "infer_ms" in record.fields:
                record.lap("encode_ms")
            _pack(response, request)
        except RequestError as caught:
            error = type(caught).__name__
            response = _error_response(caught)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the client gets a 500
            error = type(caught).__name__
            import traceback  # only our own bugs come this way

            # The frames, not the message: it may quote what the client sent.
            frames = "".join(traceback.format_tb(caught.__traceback__))
            put(sys.stderr, f"{error} in\n{frames}")
            response = Response(500, strict_json.render({"error": "internal error"}))
        record.write(response.status, error)
        return response

    def refuse(self, error: RequestError) -> Response:
        """Answer what cannot be read, or comes at a bad time; the log has it like any other."""
        response = _error_response(error)
        Record(self.telemetry).write(response.status, type(error).__name__)
        return response


def open_service(settings: Mapping[str, str], file: ModelFile | None = None) -> Service:
    """Make the service that the environment describes; loads the model.

    Args:
        settings: MODEL_DIR, MODEL_BACKEND and what the backend needs, TELEMETRY.
        file: The model's file, where somebody has begun with it before.

    Raises:
        StartupError: A setting, model.json, the model or the library is wrong.
    """
    directory = settings.get("MODEL_DIR", "/opt/model")
    manifest = read_manifest(directory)
    telemetry = Telemetry(manifest, settings)
    return Service(manifest, _open_backend(manifest, settings, file), telemetry)


def _error_response(error: RequestError) -> Response:
    """The answer to a request that failed."""
    line = " ".join(str(error).split())
    return Response(error.status, strict_json.render({"error": line}), error.headers())


def _open_backend(
    manifest: Manifest, settings: Mapping[str, str], file: ModelFile | None
) -> Backend:
    # Each backend is imported where it is chosen: the others cost a Lambda nothing.
    kind = settings.get("MODEL_BACKEND", "litert")
    if kind == "litert":
        from handler.backends.litert import LiteRtBackend, thread_count

        library = settings.get("LITERT_LIBRARY", "/opt/litert/libLiteRt.so")
        return LiteRtBackend(manifest, file or map_model(settings), library, thread_count(settings))
    if kind == "sagemaker":
        from handler.backends.sagemaker import SageMakerBackend

        return SageMakerBackend(manifest, settings)
    if kind == "http":
        from handler.backends.http import HttpBackend

        return HttpBackend(manifest, settings)
    raise StartupError(f"MODEL_BACKEND is '{kind}', expected litert, sagemaker or http")


def _pack(response: Response, request: Request) -> None:
    """Compress an answer where the client takes that; insist that it can be carried."""
    size = len(response.body)
    if size > _WORTH_COMPRESSING:
        response.headers["vary"] = "accept-encoding"
        accepted = request.headers.get("accept-encoding")
        if accepted:
            from handler import coding  # zlib is half a millisecond of a cold start

            coding.deflate(response, accepted)
            size = len(response.body)
    limit = MAX_BINARY_BYTES
    if response.is_text:
        limit = MAX_BYTES
        if size > limit // 2:
            # Lambda wraps the text into JSON of its own, where each of these takes two bytes.
            size += response.body.count(b'"') + response.body.count(b"\\")
    if size > limit:
        raise TooLargeError(
            f"the answer has {size} bytes, at most {limit} can be sent: ask for less at once"
        )
