"""The arithmetic behind a URL that speaks TF Serving's REST protocol: ours, TF Serving, others."""

from __future__ import annotations

import http.client
import threading
from urllib.parse import SplitResult, urlsplit

from handler.backends import remote
from handler.errors import BackendTimeoutError, NotReadyError, StartupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Manifest, Signature
    from handler.tensor import Tensor

_HEADERS = {"content-type": "application/json"}
# What a server that closed an idle connection looks like from here.
_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class HttpBackend:
    """Posts to `BACKEND_URL` + `:predict`, one kept-alive connection per thread.

    Args:
        manifest: What model.json says; model.tflite is not needed here.
        settings: BACKEND_URL, such as http://host:8501/v1/models/digits, and BACKEND_TIMEOUT_MS.

    Raises:
        StartupError: A setting is missing or wrong.
    """

    def __init__(self, manifest: Manifest, settings: Mapping[str, str]) -> None:
        parts = _split(remote.setting(settings, "BACKEND_URL", "http"))
        self._manifest = manifest
        self._https = parts.scheme == "https"
        self._address = parts.netloc.rpartition("@")[2]
        self._path = f"{parts.path.rstrip('/')}:predict"
        self._timeout = remote.timeout_seconds(settings)
        self._local = threading.local()

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Raises:
            BadRequestError: The backend blames the request.
            BackendTimeoutError: It took longer than BACKEND_TIMEOUT_MS.
            NotReadyError: It cannot be reached, or failed.
        """
        body = remote.write_request(tensors, signature, self._manifest)
        kept = getattr(self._local, "connection", None)
        try:
            status, answer = self._post(kept, body)
        except TimeoutError as error:
            raise BackendTimeoutError("the model's backend took too long") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotReadyError("the model's backend cannot be reached; try again") from error
        return remote.read_answer(status, answer, signature)

    def close(self) -> None:
        """Close this thread's connection."""
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            kept.close()
            self._local.connection = None

    def _post(
        self, connection: http.client.HTTPConnection | None, body: bytes
    ) -> tuple[int, bytes]:
        """Post once; and once more on a new connection, should the kept one have been closed."""
        self._local.connection = None
        kept = connection is not None
        if connection is None:
            kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            connection = kind(self._address, timeout=self._timeout)
        try:
            connection.request("POST", self._path, body, _HEADERS)
            response = connection.getresponse()
            answer = response.read()
        except _STALE:
            connection.close()
            if not kept:
                raise
            return self._post(None, body)
        except BaseException:
            connection.close()
            raise
        self._local.connection = connection
        return response.status, answer


def _split(url: str) -> SplitResult:
    """The URL's parts; what no request could be sent to is found here, not by each request."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        # Without a path the whole target would be `:predict`: the backend's 400 to that would pass
        # for a fault of the client's.
        whole = known and parts.path.strip("/")
        if whole and url.isascii() and url.isprintable() and " " not in url:
            return parts
    except ValueError:
        pass  # a port that is no number, or a bracket too few
    raise StartupError(
        f"BACKEND_URL is '{url}', expected such as http://host:8501/v1/models/digits"
    )
