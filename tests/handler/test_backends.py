"""Remote backends, against real servers on the loopback: no client can tell them apart."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from handler.errors import StartupError
from handler.messages import Request, Response
from handler.server.dispatcher import Client, Dispatcher
from handler.service import Service, open_service
from tests.handler.serving import serving

Open = Callable[..., Service]


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Scripted(ThreadingHTTPServer):
    """Answers each POST with the next of a script, and keeps what it was asked.

    An answer is a status and a body; None closes the connection without one, a number of seconds
    is slept before it is closed.
    """

    daemon_threads = True

    def __init__(self, *script: tuple[int, bytes] | float | None) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.clients: set[Any] = set()
        super().__init__(("127.0.0.1", 0), _ScriptedConnection)


class _ScriptedConnection(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, dict(self.headers.items()), body))
        self.server.clients.add(self.client_address)
        step = self.server.script.pop(0)
        if not isinstance(step, tuple):
            sleep(step or 0)
            self.close_connection = True
            return
        status, answer = step
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def manifest_only(digits: Path, tmp_path: Path) -> Path:
    """A folder with model.json and no model: all that a gateway needs."""
    (tmp_path / "model.json").write_bytes((digits / "model.json").read_bytes())
    return tmp_path


@pytest.fixture
def open_http(manifest_only: Path) -> Iterator[Open]:
    """Opens a gateway to a URL on a port of the loopback."""
    opened: list[Any] = []

    def open_gateway(port: int, timeout: int = 5000) -> Service:
        service = open_service(
            {
                "MODEL_DIR": str(manifest_only),
                "MODEL_BACKEND": "http",
                "BACKEND_URL": f"http://127.0.0.1:{port}/v1/models/digits",
                "BACKEND_TIMEOUT_MS": str(timeout),
            }
        )
        opened.append(service.predictor.backend)
        return service

    yield open_gateway
    for backend in opened:
        backend.close()


@pytest.fixture
def open_sagemaker(manifest_only: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a gateway to a SageMaker endpoint that boto3 is told to look for on the loopback."""
    opened: list[Any] = []

    def open_gateway(port: int, timeout: int = 5000) -> Service:
        url = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        service = open_service(
            {
                "MODEL_DIR": str(manifest_only),
                "MODEL_BACKEND": "sagemaker",
                "SAGEMAKER_ENDPOINT": "digits-live",
                "BACKEND_TIMEOUT_MS": str(timeout),
            }
        )
        opened.append(service.predictor.backend)
        return service

    yield open_gateway
    for backend in opened:
        backend.close()


@pytest.fixture(params=["http", "sagemaker"])
def open_remote(request: pytest.FixtureRequest, open_http: Open, open_sagemaker: Open) -> Open:
    """Each remote backend in turn."""
    return open_http if request.param == "http" else open_sagemaker


class _Endpoint(Dispatcher):
    """The server as it runs in a container, and SageMaker's own path in front of it."""

    def answer(self, request: Request, client: Client) -> Response | None:
        """Answer for the container."""
        request.path = request.path.replace("/endpoints/digits-live/invocations", "/invocations")
        return super().answer(request, client)


def _zeros(service: Service) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"inputs": [[[[0]] * 8] * 8]}).encode()
    response = service.answer(Request("POST", "/v1/models/digits:predict", {}, body))
    return response.status, json.loads(response.body)


def test_every_backend_gives_the_same_bytes(
    digits_service: Service,
    open_remote: Open,
    image_of_three: list[Any],
    sample: Callable[[int], bytes],
) -> None:
    """Numbers, pictures and errors through a gateway are those of the model itself, to the byte."""
    rows = json.dumps({"instances": [image_of_three, image_of_three]}).encode()
    requests = [
        Request("POST", "/v1/models/digits:predict", {}, rows),
        Request("POST", "/v1/models/digits:image", {"content-type": "image/png"}, sample(5)),
        Request("POST", "/v1/models/digits:predict", {}, b'{"instances": [["a"]]}'),
        Request("GET", "/v1/models/digits", {}),
        Request("GET", "/v1/models/digits/metadata", {}),
        Request("GET", "/ping", {}),
    ]
    with serving(digits_service, kind=_Endpoint) as server:
        gateway = open_remote(server.port)

        for request in requests:
            expected, got = digits_service.answer(request), gateway.answer(request)
            assert (expected.status, expected.body) == (got.status, got.body)


def test_the_request_is_tf_servings_in_columns(open_remote: Open) -> None:
    """The backend gets JSON with `inputs` by name, as TF Serving and our own server take it."""
    answer = json.dumps({"outputs": [[0.1] * 10]}).encode()
    with _running(server := Scripted((200, answer))) as port:
        assert (200, {"outputs": [[0.1] * 10]}) == _zeros(open_remote(port))

    path, headers, body = server.asked[0]
    assert path in ("/v1/models/digits:predict", "/endpoints/digits-live/invocations")
    assert "application/json" == {k.lower(): v for k, v in headers.items()}["content-type"]
    assert {"inputs": {"image": [[[[0.0]] * 8] * 8]}} == json.loads(body)


@pytest.mark.parametrize(
    ("step", "status", "message"),
    [
        ((503, b'{"error": "secret"}'), 503, "the model's backend "),
        ((500, b"<html>"), 503, "the model's backend "),
        ((200, b"<html>"), 503, "did not answer with this model's outputs"),
        ((200, b'{"predictions": [[1]]}'), 503, "did not answer with this model's outputs"),
        ((200, b'{"outputs": [["1"]]}'), 503, "did not answer with this model's outputs"),
        ((200, b'{"outputs": [[1, 2]]}'), 503, "did not answer with this model's outputs"),
        ((200, b'{"outputs": [[NaN]]}'), 503, "did not answer with this model's outputs"),
        (None, 503, "cannot be reached"),
        (1.0, 504, "took too long"),
    ],
)
def test_a_backend_that_fails_is_not_the_clients_fault(
    open_remote: Open, step: Any, status: int, message: str
) -> None:
    """Its failures are 503, its silence 504, and nothing of its text gets out."""
    with _running(Scripted(step)) as port:
        got, answer = _zeros(open_remote(port, timeout=300))

    assert (status, ["error"]) == (got, list(answer))
    assert message in answer["error"]
    assert "secret" not in answer["error"]


def test_a_backend_that_is_not_there_is_a_503(open_remote: Open) -> None:
    """Nothing listens: the request may be tried again later."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]

    assert 503 == _zeros(open_remote(port))[0]


def test_the_backends_word_on_the_request_goes_on(open_http: Open) -> None:
    """A 400 from over there is a 400 here, with its message on one line and bounded."""
    words = json.dumps({"error": "line one\nline two " + "x" * 5_000}).encode()
    with _running(Scripted((400, words), (422, b"no json"), (404, b"{}"))) as port:
        gateway = open_http(port)

        status, answer = _zeros(gateway)
        assert (400, 500) == (status, len(answer["error"]))
        assert answer["error"].startswith("line one line two xxx")
        assert (400, {"error": "the model's backend refused the request"}) == _zeros(gateway)
        # Our own settings are wrong, then: not the client's fault.
        assert 503 == _zeros(gateway)[0]


def test_sagemaker_passes_the_containers_word_on(open_sagemaker: Open) -> None:
    """A ModelError carries the container's own status and message."""

    def error(code: str, original: int, words: str) -> tuple[int, bytes]:
        message = json.dumps({"error": words})
        body = {"Code": code, "OriginalStatusCode": original, "OriginalMessage": message}
        return 424, json.dumps({**body, "__type": code}).encode()

    with _running(
        Scripted(
            error("ModelError", 400, "input 'image' is odd"),
            error("ModelError", 500, "secret"),
            error("ModelNotReadyException", 400, "secret"),
        )
    ) as port:
        gateway = open_sagemaker(port)

        assert (400, {"error": "input 'image' is odd"}) == _zeros(gateway)
        assert 503 == _zeros(gateway)[0]
        assert 503 == _zeros(gateway)[0]


def test_the_connection_is_kept_and_mended(open_http: Open) -> None:
    """One connection serves many calls; when the backend has closed it, a new one is made."""
    good = (200, json.dumps({"outputs": [[0.5] * 10]}).encode())
    with _running(server := Scripted(good, good, None, good)) as port:
        gateway = open_http(port)

        assert [200, 200, 200] == [_zeros(gateway)[0] for _ in range(3)]
        assert 2 == len(server.clients)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MODEL_BACKEND": "http"}, "BACKEND_URL is not set, and MODEL_BACKEND=http needs it"),
        ({"MODEL_BACKEND": "http", "BACKEND_URL": "host:1"}, "BACKEND_URL is 'host:1', expected"),
        *(
            ({"MODEL_BACKEND": "http", "BACKEND_URL": url}, f"BACKEND_URL is '{re.escape(url)}'")
            for url in (
                "http://h:99999/",
                "http://h:x/",
                "http://[::1/",
                "http://h/a b",
                "http://h/é",
                "http://h",
                "http://h/",
            )
        ),
        ({"MODEL_BACKEND": "sagemaker"}, "SAGEMAKER_ENDPOINT is not set"),
        (
            {"MODEL_BACKEND": "http", "BACKEND_URL": "http://h/m", "BACKEND_TIMEOUT_MS": "soon"},
            "BACKEND_TIMEOUT_MS is 'soon', expected milliseconds",
        ),
    ],
)
def test_a_missing_setting_fails_the_start(
    manifest_only: Path, settings: dict[str, str], message: str
) -> None:
    """The reason names the setting."""
    with pytest.raises(StartupError, match=message):
        open_service({"MODEL_DIR": str(manifest_only), **settings})
