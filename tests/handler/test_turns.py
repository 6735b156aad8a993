"""Requests that the loop's own thread answers in turns: nobody waits for more than a round."""

import socket
import struct
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from gzip import compress
from pathlib import Path
from select import select
from time import sleep

import pytest

from handler.server import dispatcher as dispatcher_module
from handler.server import turns
from handler.server.dispatcher import places
from handler.service import Service
from tests.handler.serving import PING, ZEROS, Serving, Stepwise, post, read_all, serving
from tests.handler.tiny import Port, Step, write_model

RAW_BYTES = 8 * 8 * 4
RAW = post(bytes(RAW_BYTES), "Content-Type: application/octet-stream\r\n")
MANY = 60_000  # numbers in a row that is received into memory of its own


@pytest.fixture
def model(digits_service: Service) -> Stepwise:
    """What the server below runs."""
    return Stepwise(digits_service)


@pytest.fixture
def server(digits_service: Service, model: Stepwise) -> Iterator[Serving]:
    """A server that takes rows of the digits model in turns, two waiting at most."""
    service = Service(digits_service.manifest, model)
    with serving(service, at_once=False, queue=1, turn_bytes=RAW_BYTES) as running:
        yield running


@contextmanager
def second_run(
    server: Serving, model: Stepwise
) -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """The second of three requests is under way; the third and a /ping have come meanwhile.

    Yields:
        Who sent the /ping, and those who sent the requests.
    """
    with (
        server.meet() as first,
        server.meet() as second,
        server.meet() as third,
        server.meet() as health,
    ):
        first.sendall(RAW)
        assert model.begins()
        second.sendall(RAW)
        third.sendall(RAW)
        model.released.release()
        assert model.begins()
        health.sendall(PING)
        yield health, [first, second, third]


def test_a_ping_waits_for_the_round_that_is_under_way(
    server: Serving, model: Stepwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three requests the second runs when /ping comes; the third's turn is in the next round."""
    monkeypatch.setattr(turns, "ROUND_SECONDS", 0)
    with second_run(server, model) as (health, clients):
        model.released.release()

        # The third run is not released before the answer is here.
        assert health.recv(1000).startswith(b"HTTP/1.1 200")
        model.released.release()
        for client in clients:
            assert client.recv(10_000).startswith(b"HTTP/1.1 200")

    assert 3 == model.runs


def test_a_round_is_over_after_its_time(server: Serving, model: Stepwise) -> None:
    """The longest that a /ping waits for is a round and the run that it began last."""
    with second_run(server, model) as (health, _):
        sleep(turns.ROUND_SECONDS)
        model.released.release()

        assert health.recv(1000).startswith(b"HTTP/1.1 200")
        model.released.release()


def test_requests_that_fit_share_a_round(
    server: Serving, model: Stepwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read between two runs is read for several of them."""
    monkeypatch.setattr(turns, "ROUND_SECONDS", 10)
    with second_run(server, model) as (health, _):
        model.released.release()
        assert model.begins()

        assert ([], [], []) == select([health], [], [], 0)
        model.released.release()
        assert health.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_full_queue_is_503_before_the_next_run(server: Serving, model: Stepwise) -> None:
    """Of three that come during a run two may wait; the other is refused before those are run."""
    with (
        server.meet() as first,
        server.meet() as second,
        server.meet() as third,
        server.meet() as fourth,
    ):
        first.sendall(RAW)
        assert model.begins()
        waiting = [second, third, fourth]
        for client in waiting:
            client.sendall(RAW)
        model.released.release()
        assert model.begins()
        (refused,), _, _ = select(waiting, [], [], 10)

        assert refused.recv(1000).startswith(b"HTTP/1.1 503")
        model.released.release(2)
        waiting.remove(refused)
        for client in (first, *waiting):
            assert client.recv(10_000).startswith(b"HTTP/1.1 200")


def test_a_client_that_left_loses_its_turn(server: Serving, model: Stepwise) -> None:
    """Its request waited already when it left, and is not run: a long one's turn comes first."""
    with server.connect() as first, server.connect() as leaving:
        first.sendall(post(ZEROS))
        assert model.begins()
        leaving.sendall(RAW)
        while server.dispatcher.pending < 2:
            sleep(0.01)
        # Linger 0 makes the close a reset.
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.close()
        while not server.closed:
            sleep(0.01)
        model.released.release()
        assert first.recv(10_000).startswith(b"HTTP/1.1 200")

        assert server.ask(PING).startswith(b"HTTP/1.1 200")
    assert 1 == model.runs


def test_a_long_request_keeps_short_ones_waiting_and_nobody_else(
    server: Serving, model: Stepwise
) -> None:
    """JSON is answered by a thread; a raw tensor would wait for the model, and /ping with it."""
    with server.connect() as long, server.connect() as short:
        long.sendall(post(ZEROS))
        assert model.begins()
        short.sendall(RAW)
        while server.dispatcher.pending < 2:
            sleep(0.01)

        assert server.ask(PING).startswith(b"HTTP/1.1 200")
        assert 1 == model.runs
        model.released.release(2)
        for client in (long, short):
            assert client.recv(10_000).startswith(b"HTTP/1.1 200")


def test_a_stop_waits_for_every_turn(server: Serving, model: Stepwise) -> None:
    """Two requests wait, one short and one long, when the server is told to stop."""
    with server.meet() as first, server.meet() as second, server.meet() as third:
        first.sendall(RAW)
        assert model.begins()
        second.sendall(RAW)
        third.sendall(post(ZEROS))
        model.released.release()
        assert model.begins()
        server.stop()
        model.released.release(2)

        for client in (second, third):
            assert read_all(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(bytes(2 * RAW_BYTES), id="two rows"),
        pytest.param(compress(bytes(RAW_BYTES)), id="gzip"),
    ],
)
def test_only_a_plain_row_is_short(server: Serving, model: Stepwise, body: bytes) -> None:
    """Rows without end, or what inflates to them, would keep the loop for as long as they take."""
    headers = "Content-Type: application/octet-stream\r\n"
    if len(body) < RAW_BYTES:
        headers += "Content-Encoding: gzip\r\n"
    with server.connect() as client:
        client.sendall(post(body, headers))
        assert model.begins()
        assert server.ask(PING).startswith(b"HTTP/1.1 200")
        model.released.release()

        assert client.recv(10_000).startswith(b"HTTP/1.1 200")


def test_the_model_s_time_decides_who_is_answered_where(
    digits_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digits is fast enough for both; slower ones are not, and a model elsewhere never is."""
    assert (True, RAW_BYTES) == places(digits_service)
    monkeypatch.setattr(dispatcher_module, "FAST_SECONDS", 0)
    assert (False, RAW_BYTES) == places(digits_service)
    monkeypatch.setattr(dispatcher_module, "TURN_SECONDS", 0)
    assert (False, 0) == places(digits_service)
    elsewhere = Service(digits_service.manifest, Stepwise(digits_service))
    assert (False, 0) == places(elsewhere)


def test_large_rows_get_their_own_answers(
    tmp_path: Path, open_model: Callable[[Path], Service]
) -> None:
    """Eight clients at a time, each received into memory of its own, which is used again."""
    service = open_model(
        write_model(
            tmp_path,
            inputs=(Port("x", "float32", (-1, MANY)),),
            outputs=(Port("y", "float32", (-1, MANY)),),
            steps=(Step("ADD", ("x", "x"), "y"),),
        )
    )
    media = "application/octet-stream"
    headers = f"Content-Type: {media}\r\nAccept: {media}\r\n"

    with serving(service, at_once=False, turn_bytes=4 * MANY) as server:

        def ask(number: int) -> list[bool]:
            right = []
            with server.connect() as client:
                for step in range(20):
                    value = number * 100.0 + step
                    body = array("f", [value] * MANY).tobytes()
                    client.sendall(post(body, headers).replace(b"/digits:", b"/tiny:"))
                    with client.makefile("rb") as file:
                        lines = list(iter(file.readline, b"\r\n"))
                        got = file.read(4 * MANY)
                    right += [
                        lines[0].startswith(b"HTTP/1.1 200")
                        and got == array("f", [2 * value] * MANY).tobytes()
                    ]
            return right

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))

    assert [[True] * 20] * 8 == answers
