"""The server on a real socket."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handler.manifest import Signature
from handler.serve import Server
from handler.service import Service
from handler.tensor import Tensor

PROJECT = Path(__file__).parents[2]
PREDICT = "/v1/models/digits:predict"


@pytest.fixture(scope="module")
def server(digits_service: Service) -> Iterator[Server]:
    """A server of the digits model on a free port."""
    with Server("127.0.0.1", 0, digits_service) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    """One client connection."""
    client = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    yield client
    client.close()


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    media: str = "application/json",
) -> tuple[int, dict[str, Any]]:
    connection.request(method, path, body, {"content-type": media})
    response = connection.getresponse()
    assert "application/json" == response.headers["content-type"]
    return response.status, json.loads(response.read())


def _raw(server: Server, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_one_connection_carries_many_requests(
    connection: http.client.HTTPConnection, image_of_three: list[Any]
) -> None:
    """Keep-alive: good, bad and good again arrive on the same socket."""
    good = json.dumps({"instances": [image_of_three]}).encode()
    first = _ask(connection, "POST", PREDICT, good)
    kept = connection.sock

    assert 200 == first[0]
    assert 400 == _ask(connection, "POST", PREDICT, b"{")[0]
    assert 404 == _ask(connection, "POST", "/elsewhere", b"{}")[0]
    assert first == _ask(connection, "POST", PREDICT, good)
    assert kept is connection.sock


def test_invocations_reads_json_and_pictures(
    connection: http.client.HTTPConnection,
    image_of_three: list[Any],
    sample: Callable[[int], bytes],
) -> None:
    """SageMaker's one route serves both, by content type."""
    body = json.dumps({"inputs": [image_of_three]}).encode()

    assert _ask(connection, "POST", PREDICT, body) == _ask(connection, "POST", "/invocations", body)
    status, answer = _ask(connection, "POST", "/invocations", sample(8), "image/png")
    assert (200, "8") == (status, answer["predictions"][0]["label"])


def test_ping_and_status_answer(connection: http.client.HTTPConnection) -> None:
    """What SageMaker asks before it sends anything."""
    assert (200, {"status": "ok"}) == _ask(connection, "GET", "/ping?x=1")
    assert 200 == _ask(connection, "GET", "/v1/models/digits")[0]


def test_head_is_get_without_the_body(connection: http.client.HTTPConnection) -> None:
    """RFC 9110: HEAD wherever there is GET."""
    connection.request("HEAD", "/ping")
    response = connection.getresponse()

    assert (200, "15", b"") == (
        response.status,
        response.headers["content-length"],
        response.read(),
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(connection: http.client.HTTPConnection, method: str) -> None:
    """A path that exists answers 405 with Allow to any other method."""
    connection.request(method, "/ping", b"x")
    response = connection.getresponse()
    response.read()

    assert (405, "GET") == (response.status, response.headers["allow"])


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"POST %s HTTP/1.1\r\nContent-Length: 5500001\r\n\r\n", b"413"),
        (b"POST %s HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", b"413"),
        (b"POST %s HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}", b"400"),
        (b"POST %s HTTP/1.1\r\n\r\n", b"400"),
        (b"BREW %s HTTP/1.1\r\n\r\n", b"405"),
        (b"POST %s HTTP/9.9\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"400"),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else None,
)
def test_malformed_http_gets_an_answer_of_ours(
    server: Server,
    connection: http.client.HTTPConnection,
    request_text: bytes,
    status: bytes,
) -> None:
    """Even what is hardly HTTP gets one line of JSON, and the server lives on."""
    answer = _raw(server, request_text.replace(b"%s", PREDICT.encode()))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 " + status == head[:12]
    assert ["error"] == list(json.loads(body))
    assert 200 == _ask(connection, "GET", "/ping")[0]


def test_a_client_that_leaves_early_harms_nobody(
    server: Server,
    connection: http.client.HTTPConnection,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A reset connection leaves no traceback, and the server lives on."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        # Linger 0 makes the close a reset.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert 200 == _ask(connection, "GET", "/ping")[0]
    assert "Traceback" not in capfd.readouterr().err


def test_many_clients_get_their_own_answers(server: Server, sample: Callable[[int], bytes]) -> None:
    """Threads share one model: with every client's batch different, no answer is mixed up."""

    def recognise(digit: int) -> list[str]:
        client = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
        found = [
            _ask(client, "POST", "/invocations", sample(digit), "image/png")[1]["predictions"][0]
            for _ in range(20)
        ]
        client.close()
        return [entry["label"] for entry in found]

    with ThreadPoolExecutor(10) as pool:
        for digit, labels in enumerate(pool.map(recognise, range(10))):
            assert [str(digit)] * 20 == labels


def test_a_stop_waits_for_what_is_under_way(digits_service: Service) -> None:
    """drain() returns once the last request is answered, not before."""
    entered, release = threading.Event(), threading.Event()

    class Slow:
        def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
            entered.set()
            assert release.wait(10)
            return digits_service.predictor.backend.run(tensors, signature)

    with Server("127.0.0.1", 0, Service(digits_service.manifest, Slow())) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
        body = json.dumps({"instances": [[[[0.0]] * 8] * 8]}).encode()
        client.request("POST", PREDICT, body)
        assert entered.wait(10)
        server.shutdown()
        thread.join()
        drained = threading.Thread(target=server.drain, args=(10.0,))
        drained.start()
        drained.join(0.1)

        assert drained.is_alive()
        release.set()
        drained.join(10)
        assert not drained.is_alive()
        assert 200 == client.getresponse().status
        client.close()


def test_sigterm_ends_the_process_cleanly(environment: Mapping[str, str]) -> None:
    """The command serves until it is told to stop, then exits 0 even with a connection open."""
    command = [sys.executable, "-m", "handler.serve", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        lines = iter(process.stderr.readline, "")
        found = next(filter(None, (re.search(r"serving digits on .*:(\d+)", at) for at in lines)))
        client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)

        assert (200, {"status": "ok"}) == _ask(client, "GET", "/ping")
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(10)
        client.close()
        assert '"route":"ping"' in process.stdout.read()


def test_a_model_that_cannot_be_served_ends_the_process(tmp_path: Path) -> None:
    """Exit status 1 and one line that says why."""
    done = subprocess.run(
        [sys.executable, "-m", "handler.serve", "--port", "0"],
        cwd=PROJECT,
        env={**os.environ, "MODEL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 1 == done.returncode
    assert done.stderr.startswith("cannot serve: cannot read ")
    assert 1 == len(done.stderr.splitlines())
