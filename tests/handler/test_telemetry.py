"""One line of JSON a request."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from handler import telemetry
from handler.service import Request, Service


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
