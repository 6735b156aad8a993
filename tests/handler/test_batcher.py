"""Dynamic batching: the numbers are those of each request alone, and so are the errors."""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest

from handler.errors import BadRequestError, StartupError
from handler.manifest import Signature
from handler.messages import Request
from handler.server.batcher import Batcher, check
from handler.service import Service
from handler.tensor import Tensor, TensorSpec
from tests.handler.serving import read_all, serving

ROW = Signature(
    "row", (TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),)
)
FIXED = Signature(
    "one", (TensorSpec("x", "float32", (1, 2)),), (TensorSpec("y", "float32", (1, 2)),)
)


class Counted:
    """A backend that notes how many rows each run had.

    Args:
        run: What it computes, from all rows to all rows.
    """

    def __init__(self, run: Callable[[list[float]], list[float]]) -> None:
        self.runs: list[int] = []
        self._run = run

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Compute."""
        (out,) = signature.outputs
        x = tensors["x"]
        self.runs.append(x.shape[0])
        return {out.name: Tensor.of("float32", x.shape, self._run(x.tolist()))}


def _double(values: list[float]) -> list[float]:
    if min(values) < 0:
        raise BadRequestError("a number is negative")
    return [2 * value for value in values]


def _together(
    batcher: Batcher, inputs: list[dict[str, Tensor]], signature: Signature
) -> list[dict[str, Tensor] | Exception]:
    """What each of several threads gets, all asking at once."""
    start = threading.Barrier(len(inputs))

    def ask(tensors: dict[str, Tensor]) -> dict[str, Tensor] | Exception:
        start.wait(10)
        try:
            return batcher.run(tensors, signature)
        except BadRequestError as error:
            return error

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(ask, inputs))


def _rows(*rows: list[float]) -> dict[str, Tensor]:
    return {"x": Tensor.of("float32", (len(rows), 2), [value for row in rows for value in row])}


def test_each_gets_its_own_rows() -> None:
    """Requests of one and of two rows run at once, and each is answered its own."""
    backend = Counted(_double)
    inputs = [_rows([0, 1]), _rows([2, 3], [4, 5]), _rows([6, 7])]
    answers = _together(Batcher(backend, size=4, delay=10), inputs, ROW)

    assert [4] == backend.runs
    assert [[0, 2], [4, 6, 8, 10], [12, 14]] == [
        answer["y"].tolist() for answer in answers if isinstance(answer, dict)
    ]


def test_what_does_not_fit_opens_the_next_batch() -> None:
    """No batch has more rows than the largest allowed."""
    backend = Counted(_double)
    inputs = [_rows([i, i], [i, i]) for i in range(5)]
    answers = _together(Batcher(backend, size=3, delay=0.05), inputs, ROW)

    assert 10 == sum(backend.runs)
    assert max(backend.runs) <= 3
    assert [[2 * i] * 4 for i in range(5)] == [
        answer["y"].tolist() for answer in answers if isinstance(answer, dict)
    ]


def test_an_error_stays_with_its_request() -> None:
    """Of three requests that ran together, only the one at fault is told so."""
    inputs = [_rows([1, 1]), _rows([-1, 0]), _rows([2, 2])]
    answers = _together(Batcher(Counted(_double), size=3, delay=10), inputs, ROW)

    assert [False, True, False] == [isinstance(answer, BadRequestError) for answer in answers]
    assert [[2, 2], [4, 4]] == [
        answer["y"].tolist() for answer in answers if isinstance(answer, dict)
    ]


def test_a_lone_request_waits_no_longer_than_told() -> None:
    """With nobody to share with, a request runs when its time is over; a full batch at once."""
    backend = Counted(_double)
    start = monotonic()
    Batcher(backend, size=8, delay=0.05).run(_rows([1, 1]), ROW)
    assert 0.05 <= monotonic() - start < 5

    Batcher(backend, size=1, delay=60).run(_rows([1, 1]), ROW)
    assert [1, 1] == backend.runs


def test_other_shapes_do_not_mix(tiny_service: Service) -> None:
    """Rows of other lengths are other batches: the real model gets what fits together."""
    predictor = tiny_service.predictor
    signature = predictor.signature()

    def inputs(width: int, value: float) -> dict[str, Tensor]:
        row = Tensor.of("float32", (1, width), [value] * width)
        return {"a": row, "b": row, "ids": Tensor.of("int32", (1,), [width])}

    asked = [inputs(width, float(value)) for width in (2, 3) for value in (1, 2, 3)]
    expected = [predictor.backend.run(one, signature) for one in asked]
    answers = _together(Batcher(predictor.backend, size=3, delay=10), asked, signature)

    for want, got in zip(expected, answers, strict=True):
        assert isinstance(got, dict)
        assert {name: at.tolist() for name, at in want.items()} == {
            name: at.tolist() for name, at in got.items()
        }


def test_over_http_nothing_tells_batched_answers_from_others(
    digits_service: Service, image_of_three: list[Any]
) -> None:
    """Eight clients at once get what each would get alone."""
    bodies = [
        json.dumps({"instances": [image_of_three] * (1 + i % 3)}).encode() for i in range(7)
    ] + [b'{"instances": [["a"]]}']
    path = "/v1/models/digits:predict"
    alone = [
        json.loads(digits_service.answer(Request("POST", path, {}, body)).body) for body in bodies
    ]
    batched = Service(
        digits_service.manifest, Batcher(digits_service.predictor.backend, size=13, delay=0.5)
    )

    with serving(batched, at_once=False, threads=8) as server:

        def ask(body: bytes) -> Any:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            with server.connect() as client:
                client.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
                return json.loads(read_all(client).partition(b"\r\n\r\n")[2])

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(ask, bodies))

    assert alone.pop() == together.pop()
    for want, got in zip(alone, together, strict=True):
        # Another batch may be summed up in another order.
        for wanted, row in zip(want["predictions"], got["predictions"], strict=True):
            assert pytest.approx(wanted, abs=1e-6) == row


def test_a_model_that_can_be_batched_is_taken(digits_service: Service) -> None:
    """The example's rows do not know of each other."""
    predictor = digits_service.predictor

    check(predictor.backend, predictor.signature())


@pytest.mark.parametrize(
    ("signature", "run", "message"),
    [
        (FIXED, _double, "fixes its first dimensions"),
        (ROW, lambda values: [value - sum(values) for value in values], "changes with the rows"),
    ],
    ids=["fixed", "mixing"],
)
def test_a_model_that_cannot_be_batched_is_refused(
    signature: Signature, run: Callable[[list[float]], list[float]], message: str
) -> None:
    """At the start, with the option that asked for it, rather than with wrong numbers later."""
    with pytest.raises(StartupError, match=rf"--max-batch-size is above 1.*{message}"):
        check(Counted(run), signature)


class Sieve:
    """A backend that answers rows as they please it: of these none."""

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Find nothing."""
        del tensors
        return {spec.name: Tensor.of(spec.dtype, (0, 2), []) for spec in signature.outputs}


def test_a_model_that_leaves_rows_out_is_refused() -> None:
    """One that looks for something, say: its first dimension is free and not the batch."""
    with pytest.raises(StartupError, match="'y' of one row changes with the rows beside it"):
        check(Sieve(), ROW)
