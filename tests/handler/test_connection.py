"""HTTP on a real socket: what a client may send, and what it gets for everything else."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest

from handler.manifest import Signature
from handler.server import connection as connection_module
from handler.service import Service
from handler.tensor import Tensor
from tests.handler.serving import Serving, read_all, serving

PREDICT = "/v1/models/digits:predict"
ZEROS = json.dumps({"instances": [[[[0.0]] * 8] * 8]}).encode()


@pytest.fixture(scope="module")
def server(digits_service: Service) -> Iterator[Serving]:
    """A server of the digits model."""
    with serving(digits_service) as running:
        yield running


@pytest.fixture
def client(server: Serving) -> Iterator[http.client.HTTPConnection]:
    """One client connection."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield client
    client.close()


class Slow:
    """A model that answers when it is told to.

    Args:
        service: Whose model it is.
    """

    def __init__(self, service: Service) -> None:
        self.entered, self.release = threading.Event(), threading.Event()
        self.runs = 0
        self._backend = service.predictor.backend

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Wait, then run."""
        self.runs += 1
        self.entered.set()
        assert self.release.wait(10)
        return self._backend.run(tensors, signature)


def _ask(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    media: str = "application/json",
) -> tuple[int, dict[str, Any]]:
    client.request(method, path, body, {"content-type": media})
    response = client.getresponse()
    assert "application/json" == response.headers["content-type"]
    return response.status, json.loads(response.read())


def _post(body: bytes, headers: str = "") -> bytes:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def test_one_connection_carries_many_requests(
    client: http.client.HTTPConnection, image_of_three: list[Any]
) -> None:
    """Keep-alive: good, bad and good again arrive on the same socket."""
    good = json.dumps({"instances": [image_of_three]}).encode()
    first = _ask(client, "POST", PREDICT, good)
    kept = client.sock

    assert 200 == first[0]
    assert 400 == _ask(client, "POST", PREDICT, b"{")[0]
    assert 404 == _ask(client, "POST", "/elsewhere", b"{}")[0]
    assert first == _ask(client, "POST", PREDICT, good)
    assert kept is client.sock


def test_invocations_reads_json_and_pictures(
    client: http.client.HTTPConnection,
    image_of_three: list[Any],
    sample: Callable[[int], bytes],
) -> None:
    """SageMaker's one route serves both, by content type."""
    body = json.dumps({"inputs": [image_of_three]}).encode()

    assert _ask(client, "POST", PREDICT, body) == _ask(client, "POST", "/invocations", body)
    status, answer = _ask(client, "POST", "/invocations", sample(8), "image/png")
    assert (200, "8") == (status, answer["predictions"][0]["label"])
    part = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + sample(8) + b"\r\n--x--"
    form = _ask(client, "POST", "/invocations", part, "multipart/form-data; boundary=x")
    assert (status, answer) == form


def test_ping_and_status_answer(client: http.client.HTTPConnection) -> None:
    """What SageMaker asks before it sends anything."""
    assert (200, {"status": "ok"}) == _ask(client, "GET", "/ping?x=1")
    assert 200 == _ask(client, "GET", "/v1/models/digits")[0]


@pytest.mark.parametrize("target", ["/v1/models/%64igits", "http://a.example/v1/models/digits?q"])
def test_a_target_may_be_escaped_or_absolute(
    client: http.client.HTTPConnection, target: str
) -> None:
    """A proxy's absolute form and percent escapes mean the same path."""
    assert 200 == _ask(client, "GET", target)[0]


def test_head_is_get_without_the_body(client: http.client.HTTPConnection) -> None:
    """RFC 9110: HEAD wherever there is GET."""
    client.request("HEAD", "/ping")
    response = client.getresponse()

    assert (200, "15", b"") == (
        response.status,
        response.headers["content-length"],
        response.read(),
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(client: http.client.HTTPConnection, method: str) -> None:
    """A path that exists answers 405 with Allow to any other method."""
    client.request(method, "/ping", b"x")
    response = client.getresponse()
    response.read()

    assert (405, "GET") == (response.status, response.headers["allow"])


def test_a_chunked_body_is_a_body(client: http.client.HTTPConnection) -> None:
    """A client that does not know the length beforehand sends chunks."""
    client.request("POST", PREDICT, iter([ZEROS[:100], ZEROS[100:]]), encode_chunked=True)

    assert 200 == client.getresponse().status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"POST %s HTTP/1.1\r\nContent-Length: 5500001\r\n\r\n", b"413"),
        (b"POST %s HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
        (
            b"POST %s HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}", b"400"),
        (b"POST %s HTTP/1.1\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nContent-Le", b"400"),
        (b"BREW %s HTTP/1.1\r\n\r\n", b"405"),
        (b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /ping HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"200"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"POST %s HTTP/9.9\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"405"),
        (b"nonsense\r\n\r\n", b"405"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"400"),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else None,
)
def test_malformed_http_gets_an_answer_of_ours(
    server: Serving, client: http.client.HTTPConnection, text: bytes, status: bytes
) -> None:
    """Even what is hardly HTTP gets one line of JSON, and the server lives on."""
    answer = server.ask(text.replace(b"%s", PREDICT.encode()))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 " + status == head[:12]
    assert 1 == len(json.loads(body))
    assert 200 == _ask(client, "GET", "/ping")[0]


def test_too_much_is_refused_before_it_is_read(server: Serving) -> None:
    """The 413 reaches a client that goes on sending: the connection is not reset under it."""
    with server.connect() as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n")
        assert b"HTTP/1.1 413" == client.recv(12)
        client.sendall(bytes(1_000_000))
        assert b'{"error":' in read_all(client)


def test_chunks_that_never_end_are_refused(server: Serving) -> None:
    """Without a Content-Length the sum of the chunks is held to the same cap."""
    chunk = b"%x\r\n%s\r\n" % (100_000, bytes(100_000))
    with server.connect() as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(chunk * 60)

        assert read_all(client).startswith(b"HTTP/1.1 413")


def test_headers_that_never_end_are_refused(server: Serving) -> None:
    """One endless header takes no more memory than the cap."""
    with server.connect() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nX: ")
        client.sendall(b"y" * 100_000)

        assert b"longer than 32768 bytes" in read_all(client)


def test_100_continue_is_sent_unless_the_body_is_refused(server: Serving) -> None:
    """A client may ask before it sends much, as curl does."""
    head = "POST /ping HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.format(2).encode())
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == client.recv(100)
    with server.connect() as client:
        client.sendall(head.format(6_000_000).encode())
        assert read_all(client).startswith(b"HTTP/1.1 413")


def test_pipelined_requests_are_answered_in_order(digits_service: Service) -> None:
    """Requests sent ahead wait for the one that a thread is at, and none is lost."""
    slow = Slow(digits_service)
    text = (
        _post(ZEROS) + b"GET /ping HTTP/1.1\r\n\r\n" * 3000 + _post(b"{", "Connection: close\r\n")
    )
    patient = Service(digits_service.manifest, slow)
    with serving(patient, at_once=False) as server, server.connect() as client:
        client.sendall(text)
        assert slow.entered.wait(10)
        slow.release.set()
        answers = read_all(client).split(b"HTTP/1.1 ")[1:]

    assert [b"200"] * 3001 + [b"400"] == [answer[:3] for answer in answers]
    assert b"predictions" in answers[0]


def test_bad_http_after_a_good_request_waits_its_turn(digits_service: Service) -> None:
    """The answer to what was fine is not lost to what follows."""
    slow = Slow(digits_service)
    patient = Service(digits_service.manifest, slow)
    with serving(patient, at_once=False) as server, server.connect() as client:
        client.sendall(_post(ZEROS) + b"nonsense\r\n\r\n")
        assert slow.entered.wait(10)
        slow.release.set()
        answers = read_all(client).split(b"HTTP/1.1 ")[1:]

    assert [b"200", b"405"] == [answer[:3] for answer in answers]


def test_a_slow_request_is_given_up(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that trickles in is answered 400 when its time is over."""
    monkeypatch.setattr(connection_module, "ARRIVAL_SECONDS", 0.1)
    with server.connect() as client:
        client.sendall(_post(ZEROS)[:-1])

        assert b"did not arrive within" in read_all(client)


def test_a_silent_client_is_closed(
    digits_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that sends nothing is closed, before its first request as after it."""
    monkeypatch.setattr("handler.server.worker.IDLE_SECONDS", 0.1)
    with serving(digits_service) as server:
        with server.connect() as client:
            assert b"" == client.recv(1)
        with server.connect() as client:
            client.sendall(b"GET /ping HTTP/1.1\r\n\r\n")
            assert read_all(client).endswith(b'{"status":"ok"}')


def test_a_client_that_does_not_read_is_closed(
    digits_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers nobody reads do not pile up, and their connection does not stay."""
    monkeypatch.setattr("handler.server.worker.IDLE_SECONDS", 0.3)
    with serving(digits_service) as server, server.connect() as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.sendall(b"GET /v1/models/digits/metadata HTTP/1.1\r\n\r\n" * 1_000_000)
        for _ in range(100):
            if server.closed:
                break
            sleep(0.05)

        assert 1 == server.closed


def test_a_client_that_leaves_early_harms_nobody(
    server: Serving, client: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    """A reset connection leaves no traceback, and the server lives on."""
    with server.connect() as leaving:
        leaving.sendall(b"POST /ping HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        # Linger 0 makes the close a reset.
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert 200 == _ask(client, "GET", "/ping")[0]
    assert "Traceback" not in capfd.readouterr().err


def test_nothing_is_computed_for_a_client_that_left(digits_service: Service) -> None:
    """Of two requests that wait, the one whose client is gone is not run."""
    slow = Slow(digits_service)
    patient = Service(digits_service.manifest, slow)
    with (
        serving(patient, at_once=False) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        first.sendall(_post(ZEROS, "Connection: close\r\n"))
        assert slow.entered.wait(10)
        second.sendall(_post(ZEROS))
        second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        second.close()
        while not server.closed:
            sleep(0.01)
        slow.release.set()
        assert read_all(first).startswith(b"HTTP/1.1 200")

    assert 1 == slow.runs


def test_ping_answers_while_the_model_runs(digits_service: Service) -> None:
    """A health check does not wait for a slow model."""
    slow = Slow(digits_service)
    patient = Service(digits_service.manifest, slow)
    with serving(patient, at_once=False) as server, server.connect() as busy:
        busy.sendall(_post(ZEROS, "Connection: close\r\n"))
        assert slow.entered.wait(10)
        assert server.ask(b"GET /ping HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")
        slow.release.set()
        assert read_all(busy).startswith(b"HTTP/1.1 200")


def test_a_full_queue_is_503(digits_service: Service) -> None:
    """One runs, one waits, the third is told when to come again; then there is room again."""
    slow = Slow(digits_service)
    with serving(Service(digits_service.manifest, slow), at_once=False, queue=1) as server:
        with server.connect() as first, server.connect() as second:
            for one in (first, second):
                one.sendall(_post(ZEROS, "Connection: close\r\n"))
                assert slow.entered.wait(10)
            while server.dispatcher.pending < 2:
                sleep(0.01)
            refused = server.ask(_post(ZEROS))
            slow.release.set()
            answers = [read_all(one)[:12] for one in (first, second)]
        assert server.ask(_post(ZEROS)).startswith(b"HTTP/1.1 200")

    assert refused.startswith(b"HTTP/1.1 503")
    assert b"\r\nretry-after: 1\r\n" in refused
    assert [b"HTTP/1.1 200"] * 2 == answers


def test_one_connection_too_many_is_503(digits_service: Service) -> None:
    """Whoever comes beyond the limit is told so, and those within it are served."""
    with serving(digits_service, connections=1) as server, server.connect() as first:
        first.sendall(b"GET /ping HTTP/1.1\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        refused = server.ask(b"GET /ping HTTP/1.1\r\n\r\n")
        first.sendall(b"GET /ping HTTP/1.1\r\n\r\n")

        assert refused.startswith(b"HTTP/1.1 503")
        assert b"too many connections" in refused
        assert first.recv(1000).startswith(b"HTTP/1.1 200")


def test_many_clients_get_their_own_answers(
    server: Serving, sample: Callable[[int], bytes]
) -> None:
    """With every client's picture different, no answer is mixed up."""

    def recognise(digit: int) -> list[str]:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
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
    """Idle connections are closed at once; the request under way is answered, and told to close."""
    slow = Slow(digits_service)
    patient = Service(digits_service.manifest, slow)
    with (
        serving(patient, at_once=False) as server,
        server.connect() as idle,
        server.connect() as busy,
    ):
        busy.sendall(_post(ZEROS))
        assert slow.entered.wait(10)
        server.stop()
        assert b"" == idle.recv(1)
        slow.release.set()
        answer = read_all(busy)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in answer
