"""API Gateway's events in, its answers out."""

import base64
import gc
import gzip
import importlib
import json
import struct
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from handler.errors import StartupError

LoadEvent = Callable[[str], dict[str, Any]]


@pytest.fixture
def app(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as Lambda imports it: the model is loaded by the import."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    module = importlib.import_module("handler.app")
    return importlib.reload(module)


def _answer(app: ModuleType, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = app.handler(event, SimpleNamespace(aws_request_id="r-1"))
    assert {"statusCode", "headers", "body", "isBase64Encoded"} == set(answer)
    assert "application/json" == answer["headers"]["content-type"]
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("name", ["predict", "predict_curl", "predict_stage", "predict_gzip"])
def test_predict_answers_one_row_of_scores(
    app: ModuleType, load_event: LoadEvent, name: str
) -> None:
    """A prediction arrives as JSON, as base64 of it, and behind a stage's prefix."""
    status, answer = _answer(app, load_event(name))

    (scores,) = answer["predictions"]
    assert (200, 10, 3) == (status, len(scores), scores.index(max(scores)))


@pytest.mark.parametrize("name", ["image_png", "image_json", "image_text"])
def test_image_answers_labels(app: ModuleType, load_event: LoadEvent, name: str) -> None:
    """A picture arrives as base64 of raw bytes, in JSON and as base64 text."""
    status, answer = _answer(app, load_event(name))

    assert (200, "3") == (status, answer["predictions"][0]["label"])


@pytest.mark.parametrize("name", ["v2_binary", "predict_raw"])
def test_bytes_go_and_come_as_base64(app: ModuleType, load_event: LoadEvent, name: str) -> None:
    """What is no text is marked as base64, both ways."""
    answer = app.handler(load_event(name), None)

    body = base64.b64decode(answer["body"], validate=True)
    scores = struct.unpack("<10f", body[-40:])
    assert (200, True) == (answer["statusCode"], answer["isBase64Encoded"])
    assert "application/octet-stream" == answer["headers"]["content-type"]
    assert 3 == scores.index(max(scores))


def test_a_foreign_event_is_in_the_log(app: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a request like others, refused."""
    assert 400 == _answer(app, {"version": "1.0"})[0]

    (line,) = capsys.readouterr().out.splitlines()
    assert (400, "refused") == tuple(json.loads(line)[name] for name in ("status", "outcome"))


def test_v2_answers_json(app: ModuleType, load_event: LoadEvent) -> None:
    """The Open Inference Protocol arrives as well."""
    status, answer = _answer(app, load_event("v2_infer"))

    scores = answer["outputs"][0]["data"]
    assert (200, "42", 3) == (status, answer["id"], scores.index(max(scores)))
    assert (200, {"ready": True}) == _answer(app, load_event("v2_ready"))


def test_gzip_goes_and_comes_as_base64(app: ModuleType, load_event: LoadEvent) -> None:
    """A compressed answer is no text either."""
    event = load_event("predict")
    rows = json.loads(event["body"])["instances"]
    event["body"] = json.dumps({"instances": rows * 20})
    event["headers"]["accept-encoding"] = "gzip"

    answer = app.handler(event, None)

    document = json.loads(gzip.decompress(base64.b64decode(answer["body"])))
    assert (20, "gzip") == (len(document["predictions"]), answer["headers"]["content-encoding"])


def test_the_query_arrives(app: ModuleType, load_event: LoadEvent) -> None:
    """A form with a picture, and ?k=2."""
    status, answer = _answer(app, load_event("image_form"))

    assert (200, 2, "3") == (
        status,
        len(answer["predictions"]),
        answer["predictions"][0]["label"],
    )


def test_ping_status_and_metadata_answer(app: ModuleType, load_event: LoadEvent) -> None:
    """The GET routes answer without a body."""
    assert (200, {"status": "ok"}) == _answer(app, load_event("ping"))
    assert "AVAILABLE" == _answer(app, load_event("status"))[1]["model_version_status"][0]["state"]
    assert "digits" == _answer(app, load_event("metadata"))[1]["model_spec"]["name"]


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("unknown_path", 404, "no such path: /v3/health/live"),
        ("unknown_model", 404, "no model 'cats' here, only 'digits'"),
        ("wrong_method", 405, "GET is not allowed on /v1/models/digits:predict; use POST"),
    ],
)
def test_what_is_not_there_is_said(
    app: ModuleType, load_event: LoadEvent, name: str, status: int, message: str
) -> None:
    """Unknown paths and models are 404, a wrong method 405."""
    got, answer = _answer(app, load_event(name))

    assert (status, ["error"]) == (got, list(answer))
    assert message in answer["error"]


def test_405_says_what_is_allowed(app: ModuleType, load_event: LoadEvent) -> None:
    """RFC 9110: a 405 carries Allow."""
    assert "POST" == app.handler(load_event("wrong_method"), None)["headers"]["allow"]


@pytest.mark.parametrize("name", ["ping", "status"])
def test_head_is_get_without_the_body(app: ModuleType, load_event: LoadEvent, name: str) -> None:
    """What watches over services asks so."""
    event = load_event(name)
    event["requestContext"]["http"]["method"] = "HEAD"

    answer = app.handler(event, None)

    assert (200, "") == (answer["statusCode"], answer["body"])


def test_an_escaped_colon_is_a_colon(app: ModuleType, load_event: LoadEvent) -> None:
    """Clients that escape the path's colon reach the same route."""
    event = load_event("predict")
    event["rawPath"] = "/v1/models/digits%3Apredict"

    assert 200 == _answer(app, event)[0]


def test_a_model_named_like_the_stage_is_found(app: ModuleType, load_event: LoadEvent) -> None:
    """Only the leading stage is stripped, and only where the stage has a name."""
    event = load_event("predict")
    event["rawPath"] = "/staging" + event["rawPath"]

    assert 404 == _answer(app, event)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body": None}, "the body is empty"),
        ({"body": "a", "isBase64Encoded": True}, "marked as base64"),
        ({"body": "é", "isBase64Encoded": True}, "marked as base64"),
        ({"body": "\ud800"}, "not UTF-8"),
        ({"body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}, "not UTF-8"),
    ],
    ids=["none", "cut base64", "no base64", "surrogate", "latin-1"],
)
def test_a_broken_body_is_a_400(
    app: ModuleType, load_event: LoadEvent, change: dict[str, Any], message: str
) -> None:
    """Bodies the gateway would rarely send are refused like any other."""
    status, answer = _answer(app, {**load_event("predict"), **change})

    assert 400 == status
    assert message in answer["error"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"version": "1.0", "path": "/ping"},
        {"instances": [1]},
        [1],
        None,
        "warm",
        {"version": "2.0", "rawPath": "/ping"},
        {"version": "2.0", "rawPath": None, "requestContext": {"http": {"method": "GET"}}},
        {
            "version": "2.0",
            "rawPath": "/ping",
            "headers": None,
            "requestContext": {"http": {"method": "GET"}},
        },
    ],
)
def test_an_event_of_another_kind_is_a_400(app: ModuleType, event: Any) -> None:
    """A direct invocation, or an integration with the older format, is told what is expected."""
    status, answer = _answer(app, event)

    assert (400, True) == (status, "payload format version 2.0" in answer["error"])


def test_the_body_has_a_cap(app: ModuleType, load_event: LoadEvent) -> None:
    """Over 5.5 MB the answer is our own 413, before Lambda's limit cuts in."""
    status, answer = _answer(app, {**load_event("predict"), "body": " " * 5_500_001})

    assert (413, "the body has 5500001 bytes, at most 5500000 are taken") == (
        status,
        answer["error"],
    )


@pytest.mark.parametrize(
    ("size", "status", "said"),
    [(4_500_000, 400, "4500000 bytes"), (4_500_003, 413, "at most 4500000 are taken that come as")],
)
def test_bytes_have_a_lower_cap(
    app: ModuleType, load_event: LoadEvent, size: int, status: int, said: str
) -> None:
    """Base64 takes four bytes for three of Lambda's 6 MB: more than 4.5 MB get our own 413, too."""
    event = {**load_event("predict"), "isBase64Encoded": True, "body": "AAAA" * (size // 3)}
    event["headers"] = {"content-type": "application/octet-stream"}

    got, answer = _answer(app, event)

    assert (status, True) == (got, said in answer["error"])


def test_the_same_model_answers_every_event(
    app: ModuleType, load_event: LoadEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the import nothing is read from disk: the model is loaded once for all events."""
    service = app.SERVICE

    def forbidden(*arguments: object) -> None:
        raise AssertionError(f"loaded again: {arguments}")

    monkeypatch.setattr("handler.litert.Model.__init__", forbidden)
    monkeypatch.setattr("builtins.open", forbidden)

    assert [200] * 20 == [_answer(app, load_event("predict"))[0] for _ in range(20)]
    assert service is app.SERVICE


def test_a_bad_model_fails_the_import(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Lambda's initialisation fails with the reason, rather than every request later."""
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))

    with pytest.raises(StartupError, match="MODEL_DIR names the folder"):
        importlib.reload(app)


def test_a_start_that_fails_leaves_garbage_collection_on(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """It is off only while the model is loaded, however that ends."""
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))

    with pytest.raises(StartupError):
        importlib.reload(app)

    assert gc.isenabled()
