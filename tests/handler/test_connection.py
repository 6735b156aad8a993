"""HTTP on a real socket: what a client may send, and what it gets for everything else."""

import http.client
import json
import random
import select
import socket
import struct
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from handler.service import Service
from tests.handler.serving import (
    PREDICT,
    ZEROS,
    Listener,
    Serving,
    Slow,
    ask,
    post,
    read_all,
    serving,
)


def test_one_connection_carries_many_requests(
    client: http.client.HTTPConnection, image_of_three: list[Any]
) -> None:
    """Keep-alive: good, bad and good again arrive on the same socket."""
    good = json.dumps({"instances": [image_of_three]}).encode()
    first = ask(client, "POST", PREDICT, good)
    kept = client.sock

    assert 200 == first[0]
    assert 400 == ask(client, "POST", PREDICT, b"{")[0]
    assert 404 == ask(client, "POST", "/elsewhere", b"{}")[0]
    assert first == ask(client, "POST", PREDICT, good)
    assert kept is client.sock


def test_invocations_reads_json_and_pictures(
    client: http.client.HTTPConnection,
    image_of_three: list[Any],
    sample: Callable[[int], bytes],
) -> None:
    """SageMaker's one route serves both, by content type."""
    body = json.dumps({"inputs": [image_of_three]}).encode()

    assert ask(client, "POST", PREDICT, body) == ask(client, "POST", "/invocations", body)
    status, answer = ask(client, "POST", "/invocations", sample(8), "image/png")
    assert (200, "8") == (status, answer["predictions"][0]["label"])
    part = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + sample(8) + b"\r\n--x--"
    form = ask(client, "POST", "/invocations", part, "multipart/form-data; boundary=x")
    assert (status, answer) == form


def test_ping_and_status_answer(client: http.client.HTTPConnection) -> None:
    """What SageMaker asks before it sends anything."""
    assert (200, {"status": "ok"}) == ask(client, "GET", "/ping?x=1")
    assert 200 == ask(client, "GET", "/v1/models/digits")[0]


@pytest.mark.parametrize("target", ["/v1/models/%64igits", "http://a.example/v1/models/digits?q"])
def test_a_target_may_be_escaped_or_absolute(
    client: http.client.HTTPConnection, target: str
) -> None:
    """A proxy's absolute form and percent escapes mean the same path."""
    assert 200 == ask(client, "GET", target)[0]


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
        (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5500001\r\n\r\n", b"413"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n", b"400"),
        (
            b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            b"400",
        ),
        (
            b"POST %s HTTP/1.0\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Le", b"400"),
        (b"BREW %s HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"GET /ping HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /ping HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"200"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"POST %s HTTP/9.9\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"405"),
        (b"nonsense\r\n\r\n", b"405"),
        (b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"400"),
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
    assert 200 == ask(client, "GET", "/ping")[0]


def test_too_much_is_refused_before_it_is_read(server: Serving) -> None:
    """The 413 reaches a client that goes on sending: the connection is not reset under it."""
    with server.connect() as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
        assert b"HTTP/1.1 413" == client.recv(12)
        client.sendall(bytes(1_000_000))
        assert b'{"error":' in read_all(client)


def test_chunks_that_never_end_are_refused(server: Serving) -> None:
    """Without a Content-Length the sum of the chunks is held to the same cap."""
    chunk = b"%x\r\n%s\r\n" % (100_000, bytes(100_000))
    with server.connect() as client:
        client.sendall(b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(chunk * 60)

        assert read_all(client).startswith(b"HTTP/1.1 413")


def test_headers_that_never_end_are_refused(server: Serving) -> None:
    """One endless header takes no more memory than the cap."""
    with server.connect() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\nX: ")
        client.sendall(b"y" * 100_000)

        assert b"longer than 32768 bytes" in read_all(client)


def test_100_continue_is_sent_unless_the_body_is_refused(server: Serving) -> None:
    """A client may ask before it sends much, as curl does."""
    head = "POST /ping HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.format(2).encode())
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == client.recv(100)
    with server.connect() as client:
        client.sendall(head.format(6_000_000).encode())
        assert read_all(client).startswith(b"HTTP/1.1 413")


def test_a_client_of_http_1_0_is_not_told_to_go_on(server: Serving) -> None:
    """It knows no answer before the answer (RFC 9110, 10.1.1)."""
    head = b"POST /ping HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"

    assert server.ask(head + b"{}").startswith(b"HTTP/1.1 405")


def test_trailers_mean_nothing_and_must_end(server: Serving) -> None:
    """Headers that follow a body are read past; those that never end are refused."""
    chunked = post(b"", "Transfer-Encoding: chunked\r\n").replace(b"Content-Length: 0\r\n", b"")
    body = b"%x\r\n%b\r\n0\r\n" % (len(ZEROS), ZEROS)

    assert b" 200 " in server.ask(chunked + body + b"Accept: image/png\r\n" * 50 + b"\r\n")
    with server.connect() as client:
        client.sendall(chunked + body)
        client.sendall(b"a: b\r\n" * 20_000)
        assert b"longer than 32768 bytes" in read_all(client)


def test_headers_that_never_end_are_not_kept_behind_a_request_that_waits(
    digits_service: Service,
) -> None:
    """Who sends ahead has no more room than others; the first is answered nevertheless."""
    model = Slow(digits_service)
    patient = Service(digits_service.manifest, model)
    with (
        serving(patient, at_once=False) as server,
        server.connect() as client,
        most_memory() as peak,
    ):
        client.sendall(post(ZEROS))
        assert model.entered.wait(10)
        client.sendall(b"GET /ping HTTP/1.1\r\nX: ")
        client.sendall(b"y" * 5_000_000)
        model.release.set()
        answers = read_all(client)

    assert answers.startswith(b"HTTP/1.1 200")
    assert b"longer than 32768 bytes" in answers
    # The client's own five, and little else.
    assert 6_000_000 > peak[0]


def test_small_chunks_take_no_more_memory_than_large_ones(listener: Listener) -> None:
    """Each kept on its own, they would take thirty times what they hold."""
    count = 100_000
    with listener.serving.connect() as client, most_memory() as peak:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            client.sendall(b"2\r\nab\r\n" * (count // 10))
        client.sendall(b"0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")

    assert [count * b"ab"] == listener.bodies
    assert 8 * count > peak[0]


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """How many bytes Python had at the most meanwhile, in a list that is filled at the end."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_what_the_connection_refuses_is_in_the_log(
    server: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of its own, with the status and the error's class."""
    server.ask(b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
    server.ask(b"nonsense\r\n\r\n")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(413, "TooLargeError"), (405, "MethodNotAllowedError")] == [
        (line["status"], line["error"]) for line in lines
    ]


@pytest.mark.parametrize("size", [200_000, 1_200_000])
def test_a_large_body_arrives_whole_whatever_its_pieces(listener: Listener, size: int) -> None:
    """The head, the body and the next request may come in one piece, or in many small ones."""
    body = random.Random(1).randbytes(size)
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, body)
    text = request + request + b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for piece in (len(text), 70_001):
        listener.bodies.clear()
        with listener.serving.connect() as client:
            reader = threading.Thread(target=read_all, args=(client,))
            reader.start()
            for start in range(0, len(text), piece):
                client.sendall(text[start : start + piece])
            reader.join(10)

        assert [body, body, b""] == listener.bodies


def test_a_large_body_that_ends_early_is_refused(listener: Listener) -> None:
    """The error says how much of it came."""
    answer = listener.serving.ask(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" + bytes(399_999)
    )

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"the body ended after 399999 bytes, too early" in answer


_LARGE = {
    "of a known length": (b"Content-Length: 400000\r\n\r\n" + bytes(300_000), bytes(100_000)),
    "chunked": (
        b"Transfer-Encoding: chunked\r\n\r\n493e0\r\n" + bytes(300_000),
        b"\r\n186a0\r\n" + bytes(100_000) + b"\r\n0\r\n\r\n",
    ),
}


@pytest.mark.parametrize("kind", _LARGE)
def test_large_bodies_that_arrive_at_once_take_bounded_memory(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Those that are too much get a 503, the others arrive, and nothing stays counted."""
    monkeypatch.setattr("handler.server.bodies.ARRIVING_BYTES", 900_000)
    begin, rest = _LARGE[kind]
    with ExitStack() as stack:
        clients = [stack.enter_context(listener.serving.connect()) for _ in range(8)]
        for client in clients:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + begin)
        assert select.select(clients, [], [], 10)[0]
        for client in clients:
            client.sendall(rest)
        answers = Counter(read_all(client)[9:12] for client in clients)

    assert {b"200", b"503"} == set(answers)
    assert answers[b"200"] == len(listener.bodies)
    assert 0 == listener.serving.dispatcher.bodies.arriving


def test_a_large_body_counts_until_it_is_here_or_its_client_has_gone(listener: Listener) -> None:
    """Else a worker would refuse everybody in the end."""
    begin, rest = _LARGE["of a known length"]
    bodies = listener.serving.dispatcher.bodies
    with listener.serving.connect() as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\n" + begin + rest)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert 0 == bodies.arriving
        # Larger, so that some of it is counted before its memory is taken, and once.
        client.sendall(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + bytes(500_000)
        )
        _await(lambda: bodies.arriving == 4_000_000)
        # It is gone without a word: a plain close would end its body, too early.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    _await(lambda: bodies.arriving == 0)


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_idle_connection_is_closed_when_it_has_been_idle_for_long(
    digits_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer starts the time anew."""
    monkeypatch.setattr("handler.server.worker.IDLE_SECONDS", 0.6)
    with serving(digits_service) as server, server.connect() as client:
        began = time.monotonic()
        for _ in range(3):
            time.sleep(0.3)
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")

        assert b"" == read_all(client)
        assert 1.4 < time.monotonic() - began < 5
