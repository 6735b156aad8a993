"""Clients that send ahead, dawdle, leave or come in crowds: who waits, and who is turned away."""

import http.client
import json
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from handler.server import connection as connection_module
from handler.service import Service
from tests.handler.serving import PREDICT, ZEROS, Serving, Slow, ask, post, read_all, serving


def test_pipelined_requests_are_answered_in_order(digits_service: Service) -> None:
    """Requests sent ahead wait for the one that a thread is at, and none is lost."""
    slow = Slow(digits_service)
    text = (
        post(ZEROS)
        + b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n" * 3000
        + post(b"{", "Connection: close\r\n")
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
        client.sendall(post(ZEROS) + b"nonsense\r\n\r\n")
        assert slow.entered.wait(10)
        slow.release.set()
        answers = read_all(client).split(b"HTTP/1.1 ")[1:]

    assert [b"200", b"405"] == [answer[:3] for answer in answers]


def test_a_full_queues_refusal_is_in_the_log(
    digits_service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is sent away is counted like everybody else."""
    slow = Slow(digits_service)
    patient = Service(digits_service.manifest, slow)
    with (
        serving(patient, at_once=False, queue=0) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        first.sendall(post(ZEROS))
        assert slow.entered.wait(10)
        second.sendall(post(ZEROS))
        assert second.recv(1000).startswith(b"HTTP/1.1 503")
        (line,) = capsys.readouterr().out.splitlines()
        slow.release.set()

    assert (503, "OverloadedError") == tuple(json.loads(line)[name] for name in ("status", "error"))


@pytest.mark.parametrize("path", [PREDICT, "/invocations"])
def test_a_request_that_waited_too_long_is_not_begun(digits_service: Service, path: str) -> None:
    """What was begun in time is answered; who comes behind it hears that there is no time left."""
    slow = Slow(digits_service)
    patient = Service(digits_service.manifest, slow)
    with (
        serving(patient, at_once=False, deadline=0.2) as server,
        ThreadPoolExecutor() as clients,
    ):

        def predict() -> tuple[int, dict[str, object]]:
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            try:
                return ask(client, "POST", path, ZEROS)
            finally:
                client.close()

        first = clients.submit(predict)
        assert slow.entered.wait(10)
        second = clients.submit(predict)
        while server.dispatcher.pending < 2:
            sleep(0.01)
        sleep(0.2)
        slow.release.set()

    assert (200, 503, 1) == (first.result()[0], second.result()[0], slow.runs)
    assert "0.00 s are left, which is not enough for 1 rows" in str(second.result()[1]["error"])


def test_a_slow_request_is_given_up(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that trickles in is answered 400 when its time is over."""
    monkeypatch.setattr(connection_module, "ARRIVAL_SECONDS", 0.1)
    with server.connect() as client:
        client.sendall(post(ZEROS)[:-1])

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
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_all(client).endswith(b'{"status":"ok"}')


def test_a_client_that_does_not_read_is_closed(
    digits_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers nobody reads do not pile up, and their connection does not stay."""
    monkeypatch.setattr("handler.server.worker.IDLE_SECONDS", 0.3)
    with serving(digits_service) as server, server.connect() as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.sendall(
                b"GET /v1/models/digits/metadata HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000_000
            )
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
        leaving.sendall(b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        # Linger 0 makes the close a reset.
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert 200 == ask(client, "GET", "/ping")[0]
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
        first.sendall(post(ZEROS, "Connection: close\r\n"))
        assert slow.entered.wait(10)
        second.sendall(post(ZEROS))
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
        busy.sendall(post(ZEROS, "Connection: close\r\n"))
        assert slow.entered.wait(10)
        assert server.ask(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200")
        slow.release.set()
        assert read_all(busy).startswith(b"HTTP/1.1 200")


def test_a_full_queue_is_503(digits_service: Service) -> None:
    """One runs, one waits, the third is told when to come again; then there is room again."""
    slow = Slow(digits_service)
    with serving(Service(digits_service.manifest, slow), at_once=False, queue=1) as server:
        with server.connect() as first, server.connect() as second:
            for one in (first, second):
                one.sendall(post(ZEROS, "Connection: close\r\n"))
                assert slow.entered.wait(10)
            while server.dispatcher.pending < 2:
                sleep(0.01)
            refused = server.ask(post(ZEROS))
            slow.release.set()
            answers = [read_all(one)[:12] for one in (first, second)]
        assert server.ask(post(ZEROS)).startswith(b"HTTP/1.1 200")

    assert refused.startswith(b"HTTP/1.1 503")
    assert b"\r\nretry-after: 1\r\n" in refused
    assert [b"HTTP/1.1 200"] * 2 == answers


def test_one_connection_too_many_is_503(digits_service: Service) -> None:
    """Whoever comes beyond the limit is told so, and those within it are served."""
    with serving(digits_service, connections=1) as server, server.connect() as first:
        first.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        refused = server.ask(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
        first.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")

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
            ask(client, "POST", "/invocations", sample(digit), "image/png")[1]["predictions"][0]
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
        busy.sendall(post(ZEROS))
        assert slow.entered.wait(10)
        server.stop()
        assert b"" == idle.recv(1)
        slow.release.set()
        answer = read_all(busy)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in answer
