"""A short run of the fuzzer; `make fuzz` is the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.corpus import Call
from tests.fuzz.events import fuzz_events
from tests.fuzz.judge import Answer, complaint
from tests.fuzz.models import write_models
from tests.fuzz.tally import Tally
from tests.fuzz.wire import fuzz_wire, server

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("several", "quantized", "picture", "number", "table")
EVENTS = 3_000
CONNECTIONS = 300
SEED = 66
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The handler's environment for each model."""
    return write_models(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("model", MODELS)
def test_no_event_breaks_the_handler(model: str, environments: dict[str, dict[str, str]]) -> None:
    """Whatever comes, the answer is ours and not a 5xx; the next good request is answered right."""
    tally = fuzz_events(environments[model], model, EVENTS, SEED)

    assert [] == tally.faults
    assert {200, 400, 404, 405, 415} <= set(tally.statuses)


@pytest.mark.parametrize("model", MODELS)
def test_no_connection_breaks_the_server(
    model: str, environments: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """So it is with bytes that are no HTTP, or stop coming; and the server ends as it should."""
    with server(environments[model], tmp_path / "log") as (process, port):
        tally = fuzz_wire(process, port, model, CONNECTIONS, SEED)

    assert [] == tally.faults
    assert {200, 400, 404} <= set(tally.statuses)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500, JSON, b'{"error":"x"}'), "the fault is the server's"),
        (Answer(405, JSON, b'{"error":"x"}'), "405 without Allow"),
        (Answer(200, JSON, b"NaN"), "not JSON"),
        (Answer(200, JSON, b"\xff"), "not JSON"),
        (Answer(200, {"content-type": "text/html"}, b"1"), "content type"),
        (Answer(400, {"content-type": "application/x-npy"}, b"1"), "content type"),
        (Answer(200, {**JSON, "content-encoding": "gzip"}, b"{}"), "content coding"),
        (Answer(400, JSON, b'{"error":"x","more":1}'), "another form"),
        (Answer(400, JSON, b'{"error":"a\\nb"}'), "not one line"),
        (Answer(400, JSON, b'{"error":"in /app/handler/x"}'), "leaks"),
    ],
)
def test_a_wrong_answer_is_seen(answer: Answer, said: str) -> None:
    """The judge would say so."""
    assert said in complaint(answer)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, JSON, b"{}"),
        Answer(200, {"content-type": "application/octet-stream"}, b"\xff"),
        Answer(400, JSON, b'{"error":"x"}'),
        Answer(405, {**JSON, "allow": "GET"}, b'{"error":"x"}'),
    ],
)
def test_a_right_answer_passes(answer: Answer) -> None:
    """The judge finds nothing."""
    assert "" == complaint(answer)


def test_another_answer_to_a_good_request_is_seen() -> None:
    """The tally would say so."""
    tally = Tally("any")
    tally.same(Call("GET", "/ping"), Answer(200, JSON, b"1"), Answer(200, JSON, b"2"))
    tally.expect(Call("GET", "/ping"), Answer(404, JSON, b'{"error":"x"}'))
    assert len(tally.faults) == 2
