"""Two raw tensors in one run: each client gets what it would get alone, numbers and faults."""

import json
import socket
import struct
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import sleep

import pytest

from handler.errors import BadRequestError, LiteRtError
from handler.manifest import Signature
from handler.server.options import read
from handler.server.pairs import pay
from handler.server.worker import in_pairs
from handler.service import Service
from handler.tensor import Tensor, TensorSpec
from tests.handler.serving import PING, PREDICT, ZEROS, Gated, Serving, post, serving
from tests.handler.tiny import Port, Step, write_model

ROW_BYTES = 8 * 8 * 4
RAW = "Content-Type: application/octet-stream\r\nAccept: application/octet-stream\r\n"
MANY = 60_000  # numbers in a row that is received into memory of its own


def row(value: float) -> bytes:
    """A picture of one grey."""
    return struct.pack("<f", value) * 64


@pytest.fixture
def model(digits_service: Service) -> Gated:
    """What the server below runs."""
    return Gated(digits_service)


@pytest.fixture
def server(digits_service: Service, model: Gated) -> Iterator[Serving]:
    """A server that may run two rows of the digits model at once."""
    service = Service(digits_service.manifest, model)
    with serving(service, at_once=False, turn_bytes=ROW_BYTES, pairs=True) as running:
        yield running


@contextmanager
def waiting(
    server: Serving, model: Gated, requests: Sequence[bytes]
) -> Iterator[list[socket.socket]]:
    """These have come while another one was run, and the next run has begun.

    Yields:
        Who sent them.
    """
    with ExitStack() as stack:
        first, *others = [stack.enter_context(server.meet()) for _ in range(len(requests) + 1)]
        first.sendall(post(row(0), RAW))
        assert model.begins()
        for client, request in zip(others, requests, strict=True):
            client.sendall(request)
        model.released.release()
        assert model.begins()
        yield others


def answer(client: socket.socket) -> tuple[bytes, bytes]:
    """The status and the body of what comes next."""
    head, _, body = client.recv(10_000).partition(b"\r\n\r\n")
    return head[9:12], body


def alone(service: Service, value: float) -> bytes:
    """What the model says to a grey, by itself."""
    tensor = Tensor("float32", (1, 8, 8, 1), row(value))
    (scores,) = service.predictor.predict({"image": tensor}).values()
    return bytes(scores.data)


def test_two_that_wait_are_run_at_once(
    server: Serving, model: Gated, digits_service: Service
) -> None:
    """Of three, two share a run; each is answered its own row, to the bit."""
    requests = [post(row(value), RAW) for value in (0.25, 0.5, 1.0)]
    with waiting(server, model, requests) as clients:
        model.released.release(9)
        answers = [answer(client) for client in clients]

    assert [(b"200", alone(digits_service, value)) for value in (0.25, 0.5, 1.0)] == answers
    assert [1, 2, 1] == model.rows


@pytest.mark.parametrize(
    "other",
    [
        post(row(1), f"{RAW}Content-Encoding: identity\r\n"),
        post(row(1), RAW).replace(PREDICT.encode(), PREDICT.encode() + b"?output=scores"),
        post(row(1), RAW).replace(PREDICT.encode(), b"/v1/models/digits/versions/1:predict"),
        post(row(1) * 2, RAW),
        post(ZEROS),
    ],
    ids=["coding", "query", "path", "rows", "JSON"],
)
def test_what_asks_for_something_else_is_run_alone(
    server: Serving, model: Gated, other: bytes
) -> None:
    """Only a request that differs in nothing but its numbers may have a row of another's run."""
    with waiting(server, model, [post(row(0.5), RAW), other]) as clients:
        model.released.release(9)
        statuses = [answer(client)[0] for client in clients]

    assert [b"200", b"200"] == statuses
    assert 2 not in model.rows[:2]
    assert 3 == len(model.rows)


def test_a_refused_row_does_not_touch_the_one_beside_it(
    server: Serving, model: Gated, digits_service: Service
) -> None:
    """What was run with it is thrown away: who comes next is not answered from that."""
    with waiting(server, model, [post(row(0.5), RAW), post(row(float("nan")), RAW)]) as clients:
        model.released.release(9)
        (status, scores), (refused, message) = [answer(client) for client in clients]
        clients[1].sendall(post(row(1), RAW))
        after = answer(clients[1])

    assert (b"200", alone(digits_service, 0.5)) == (status, scores)
    assert b"400" == refused
    assert b"flat position 0 is NaN" in message
    assert (b"200", alone(digits_service, 1)) == after
    assert [1, 2, 1] == model.rows


def _refuse(answers: dict[str, Tensor]) -> dict[str, Tensor]:
    raise BadRequestError(f"{len(answers)} outputs cannot be")


def _fail(answers: dict[str, Tensor]) -> dict[str, Tensor]:
    raise LiteRtError(f"{len(answers)} outputs failed")


def _lose_a_row(answers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: Tensor(at.dtype, (1, *at.shape[1:]), at.data[: len(at.data) // 2])
        for name, at in answers.items()
    }


@pytest.mark.parametrize("fault", [_refuse, _fail, _lose_a_row])
def test_two_that_cannot_be_run_at_once_are_run_alone(
    server: Serving,
    model: Gated,
    digits_service: Service,
    fault: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    """It may be for the other one's numbers that the run failed."""
    model.fault = fault
    with waiting(server, model, [post(row(value), RAW) for value in (0.5, 1)]) as clients:
        model.released.release(9)
        answers = [answer(client) for client in clients]

    assert [(b"200", alone(digits_service, value)) for value in (0.5, 1)] == answers
    assert [1, 2, 1, 1] == model.rows


def test_a_client_that_left_takes_nobody_s_answer_along(
    server: Serving, model: Gated, digits_service: Service
) -> None:
    """Of three that wait, the second leaves: the third is not answered with its row."""
    requests = [post(row(value), RAW) for value in (0.25, 0.5, 1.0)]
    with server.connect() as first:
        first.sendall(post(ZEROS))
        assert model.begins()
        with ExitStack() as stack:
            clients = [stack.enter_context(server.meet()) for _ in requests]
            for number, (client, request) in enumerate(zip(clients, requests, strict=True)):
                client.sendall(request)
                while server.dispatcher.pending < number + 2:
                    sleep(0.01)
            # Linger 0 makes the close a reset.
            clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            clients[1].close()
            while not server.closed:
                sleep(0.01)
            model.released.release(9)
            answers = [answer(clients[0]), answer(clients[2])]

    assert [(b"200", alone(digits_service, value)) for value in (0.25, 1.0)] == answers
    assert [1, 2] == model.rows


def test_an_answer_that_was_ready_says_nothing_of_the_models_pace(
    server: Serving, model: Gated
) -> None:
    """Deadlines are held against what runs take, here a twentieth of a second."""
    paces = server.dispatcher._service.predictor._paces
    with waiting(server, model, [post(row(1), RAW)] * 2) as clients:
        paces.clear()
        sleep(0.05)
        model.released.release(9)
        assert [b"200"] * 2 == [answer(client)[0] for client in clients]

    assert [1, 2] == model.rows
    ((pace, most),) = paces.values()
    assert 2 == most
    assert 0.025 <= pace


def test_both_are_answered_before_anybody_else(
    server: Serving,
    model: Gated,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The round's time is over with their run; a /ping comes after the second one's answer."""
    monkeypatch.setattr("handler.server.turns.ROUND_SECONDS", 0)
    requests = [post(row(value), RAW) for value in (0.25, 0.5, 1.0)]
    with server.meet() as health, waiting(server, model, requests) as clients:
        health.sendall(PING)
        model.released.release(9)
        statuses = [answer(client)[0] for client in (*clients, health)]

    assert [b"200"] * 4 == statuses
    routes = [json.loads(line)["route"] for line in capfd.readouterr().out.splitlines()]
    assert ["predict", "predict", "predict", "ping", "predict"] == routes[-5:]


def test_one_that_is_left_over_waits_for_who_has_come_meanwhile(
    server: Serving, model: Gated
) -> None:
    """Three wait; the fourth, which came during the run of two, shares the third one's."""
    requests = [post(row(value), RAW) for value in (0.25, 0.5, 1.0)]
    with server.meet() as fourth, waiting(server, model, requests) as clients:
        fourth.sendall(post(row(0), RAW))
        model.released.release(9)
        statuses = [answer(client)[0] for client in (*clients, fourth)]

    assert [b"200"] * 4 == statuses
    assert [1, 2, 2] == model.rows


def test_large_rows_are_run_at_once(tmp_path: Path, open_model: Callable[[Path], Service]) -> None:
    """Eight clients at a time, each received into memory of its own, which is used again."""
    service = open_model(
        write_model(
            tmp_path,
            inputs=(Port("x", "float32", (-1, MANY)),),
            outputs=(Port("y", "float32", (-1, MANY)),),
            steps=(Step("ADD", ("x", "x"), "y"),),
        )
    )
    model = Gated(service)
    model.released.release(1000)
    counted = Service(service.manifest, model)

    with serving(counted, at_once=False, turn_bytes=4 * MANY, pairs=True) as server:

        def ask(number: int) -> list[bool]:
            right = []
            with server.connect() as client:
                for step in range(20):
                    value = number * 100.0 + step
                    body = array("f", [value] * MANY).tobytes()
                    client.sendall(post(body, RAW).replace(b"/digits:", b"/tiny:"))
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
    assert 160 == sum(model.rows)
    assert {1, 2} >= set(model.rows)
    assert 2 in model.rows


class Rows:
    """A backend of our own arithmetic.

    Args:
        run: What it computes, from all numbers to all numbers.
        seconds: What a run takes, by its rows.
    """

    def __init__(
        self,
        run: Callable[[list[float]], list[float]],
        seconds: Callable[[int], float] = lambda _: 0.001,
    ) -> None:
        self._run = run
        self._seconds = seconds

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Compute."""
        (out,) = signature.outputs
        (tensor,) = tensors.values()
        sleep(self._seconds(tensor.shape[0]))
        return {out.name: Tensor.of(out.dtype, tensor.shape, self._run(tensor.tolist()))}


def _signature(dtype: str = "float32", batch: int = -1, inputs: int = 1) -> Signature:
    spec = TensorSpec("x", dtype, (batch, 2))
    return Signature("one", (spec,) * inputs, (TensorSpec("y", dtype, (batch, 2)),))


def _same(values: list[float]) -> list[float]:
    return values


def test_rows_that_gain_by_it_are_run_at_once(digits_service: Service) -> None:
    """The real model, and one that takes hardly longer for two rows than for one."""
    predictor = digits_service.predictor

    assert pay(predictor.backend, predictor.signature())
    assert pay(Rows(_same), _signature())
    assert pay(Rows(lambda values: [int(value) for value in values]), _signature("int32"))


@pytest.mark.parametrize(
    ("backend", "signature"),
    [
        (Rows(_same), _signature(batch=1)),
        (Rows(_same), _signature(inputs=2)),
        (Rows(_same), _signature("bool")),
        (Rows(_same, lambda rows: rows**2 / 100), _signature()),
        (Rows(lambda values: [value - sum(values) for value in values]), _signature()),
        (Rows(lambda values: [value + len(values) / 2**26 for value in values]), _signature()),
        (Rows(lambda values: [value / max(map(abs, values)) for value in values]), _signature()),
    ],
    ids=["fixed", "several inputs", "bool", "slower", "mixing", "last bit", "scaled together"],
)
def test_others_are_not(backend: Rows, signature: Signature) -> None:
    """What would be slower, or have other bits than alone, or cannot be known to be right."""
    assert not pay(backend, signature)


def test_a_quantized_row_is_run_alone(
    quantized: Path, open_model: Callable[[Path], Service]
) -> None:
    """Its floats are made integers before they are run, and not every float can be."""
    predictor = open_model(quantized).predictor

    assert not pay(predictor.backend, predictor.signature())


def test_a_model_that_refuses_the_sample_is_run_alone() -> None:
    """Nothing is known of it, and nothing fails."""

    def refuse(values: list[float]) -> list[float]:
        raise BadRequestError(f"{len(values)} numbers are too few")

    assert not pay(Rows(refuse), _signature())


def test_a_ping_is_answered_while_one_waits(server: Serving, model: Gated) -> None:
    """Health does not wait for a second request that never comes."""
    with server.connect() as client:
        client.sendall(post(row(1), RAW))
        assert model.begins()
        model.released.release()

        assert b"200" == answer(client)[0]
        assert server.ask(PING).startswith(b"HTTP/1.1 200")
    assert [1] == model.rows


def test_the_server_pairs_where_something_waits_for_its_turn(digits_service: Service) -> None:
    """Not where requests are answered at once, nor where none has a turn."""
    options = read([], {})

    assert in_pairs(options, digits_service, at_once=False, turn_bytes=ROW_BYTES)
    assert not in_pairs(options, digits_service, at_once=True, turn_bytes=ROW_BYTES)
    assert not in_pairs(options, digits_service, at_once=False, turn_bytes=0)


@pytest.mark.parametrize("size", ["1", "2"])
def test_a_batch_size_that_was_asked_for_goes_before_it(digits_service: Service, size: str) -> None:
    """1 is none at all, and more are batches of every kind of request."""
    options = read(["--max-batch-size", size], {})

    assert not in_pairs(options, digits_service, at_once=False, turn_bytes=ROW_BYTES)
