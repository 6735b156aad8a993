"""One line of JSON a request."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from handler import telemetry
from handler.errors import StartupError
from handler.service import Request, Service, open_service


def _lines(capture: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capture.readouterr().out.splitlines()]


def test_a_prediction_says_where_the_time_went(
    tiny_service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Route, status and milliseconds of each phase; the phases add up to no more than the total."""
    body = b'{"inputs": {"a": [[1]], "b": [[1]], "ids": [1]}}'

    tiny_service.answer(Request("POST", "/v1/models/tiny:predict", {}, body, "r-7"))

    (line,) = _lines(capsys)
    assert ("predict", 200, "r-7") == (line["route"], line["status"], line["request_id"])
    phases = line["decode_ms"] + line["infer_ms"] + line["encode_ms"]
    assert 0 < phases <= line["total_ms"] + 0.01


def test_a_failure_names_its_kind_and_nothing_of_the_client(
    tiny_service: Service,
    post: Callable[[Service, object], tuple[int, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The line says which error, without its text: that quotes the request."""
    post(tiny_service, {"private": 1})

    (line,) = _lines(capsys)
    assert (400, "BadRequestError") == (line["status"], line["error"])
    assert "private" not in json.dumps(line)


def test_only_the_first_request_is_a_cold_start(
    monkeypatch: pytest.MonkeyPatch, tiny_service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """One execution environment has one cold start."""
    monkeypatch.setattr(telemetry, "_started", False)

    for _ in range(3):
        tiny_service.answer(Request("GET", "/ping", {}))

    assert [True, False, False] == [line["cold_start"] for line in _lines(capsys)]


def test_a_log_that_cannot_be_written_stops_no_answer(
    tiny_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: requests are answered, those that fail for a fault of ours, too."""
    body = b'{"inputs": {"a": [[1]], "b": [[1]], "ids": [1]}}'
    request = Request("POST", "/v1/models/tiny:predict", {}, body)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr("sys.stderr", full)

        first = tiny_service.answer(request).status
        monkeypatch.setattr(tiny_service.predictor, "manifest", None)
        second = tiny_service.answer(request).status
        with suppress(OSError):
            full.close()

    assert (200, 500) == (first, second)


def _ask(service: Service, event: Mapping[str, Any]) -> None:
    body = event["body"].encode()
    assert 200 == service.answer(Request("POST", event["rawPath"], {}, body)).status


def test_a_prediction_is_a_line_in_the_embedded_metric_format(
    environment: Mapping[str, str],
    load_event: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each metric has its number in the line, each dimension its text, and the time is now."""
    settings = {**environment, "AWS_LAMBDA_FUNCTION_NAME": "digits-live"}
    _ask(open_service(settings), load_event("predict"))

    (line,) = _lines(capsys)
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 60
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert ("thimble", [["service", "model", "recipe"]]) == (
        directive["Namespace"],
        directive["Dimensions"],
    )
    assert ["digits-live", "digits", "float32"] == [line[name] for name in telemetry.DIMENSIONS]
    assert {"decode_ms", "infer_ms", "encode_ms", "total_ms", "batch", "confidence"} < {
        metric["Name"] for metric in directive["Metrics"]
    }
    for metric in directive["Metrics"]:
        assert isinstance(line[metric["Name"]], int | float)
        assert metric["Unit"] in ("Milliseconds", "Count", "None")


@pytest.mark.parametrize(
    ("service", "settings"),
    [
        ("digits-serverless", {"TELEMETRY_SERVICE": "digits-serverless"}),
        (
            "digits-live",
            {"AWS_LAMBDA_FUNCTION_NAME": "digits-live", "TELEMETRY_SERVICE": "digits-serverless"},
        ),
        ("local", {}),
    ],
)
def test_where_there_is_no_function_the_service_is_named_by_a_setting(
    service: str,
    settings: dict[str, str],
    environment: Mapping[str, str],
    load_event: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else the endpoints of all environments would share their metrics."""
    _ask(open_service({**environment, **settings}), load_event("predict"))

    (line,) = _lines(capsys)
    assert service == line["service"]


def test_a_line_tells_the_best_class(
    digits_service: Service,
    load_event: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a lone row; a batch has no one best class."""
    event = load_event("predict")
    rows = json.loads(event["body"])["instances"]
    _ask(digits_service, event)
    _ask(digits_service, {**event, "body": json.dumps({"instances": rows * 2})})

    one, two = _lines(capsys)
    assert (1, "3", "ok") == (one["batch"], one["top_class"], one["outcome"])
    assert 0.5 < one["confidence"] <= 1
    assert (2, False) == (two["batch"], "top_class" in two)


def test_errors_are_counted_and_health_checks_are_not(
    tiny_service: Service,
    post: Callable[[Service, object], tuple[int, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A refusal is a metric of its own; a ping is a line and no metric."""
    post(tiny_service, {})
    tiny_service.answer(Request("GET", "/ping", {}))

    refused, ping = _lines(capsys)
    assert ("refused", 1, 0) == tuple(
        refused[name] for name in ("outcome", "client_errors", "server_errors")
    )
    assert ("_aws" in refused, "_aws" in ping) == (True, False)
    assert "decode_ms" not in json.dumps(refused)


@pytest.mark.parametrize(
    ("level", "metrics"), [("off", []), ("log", [False]), ("metrics", [True]), ("", [True])]
)
def test_telemetry_says_how_much(
    environment: Mapping[str, str],
    load_event: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    level: str,
    metrics: list[bool],
) -> None:
    """TELEMETRY=off prints nothing, log a line without metrics, all else one with them."""
    _ask(open_service({**environment, "TELEMETRY": level}), load_event("predict"))

    assert metrics == ["_aws" in line for line in _lines(capsys)]


def test_an_unknown_level_fails_the_start(environment: Mapping[str, str]) -> None:
    """The reason names the setting and its values."""
    with pytest.raises(StartupError, match="TELEMETRY is 'on', expected one of metrics, log, off"):
        open_service({**environment, "TELEMETRY": "on"})


def test_telemetry_that_is_off_costs_next_to_nothing(
    environment: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A record that nobody reads takes microseconds: at most 50 here, on a busy machine."""
    service = open_service({**environment, "TELEMETRY": "off"})

    def once() -> float:
        start = time.perf_counter()
        record = telemetry.Record(service.telemetry, "r")
        for lap in ("decode_ms", "infer_ms", "encode_ms"):
            record.lap(lap)
        record.write(200, None)
        return time.perf_counter() - start

    assert min(once() for _ in range(200)) < 50e-6
    assert "" == capsys.readouterr().out
