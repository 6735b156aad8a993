"""Routes, caps and the one place where errors become statuses."""

import gc
import json
import weakref
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import BadRequestError, StartupError
from handler.manifest import Signature
from handler.service import Request, Service, open_service
from handler.tensor import ITEM_SIZES, Tensor


def test_our_own_bug_is_a_500_that_tells_nothing(
    tiny_service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    """The client sees no text, no path and no type; the log has the frames but not the message."""

    class Broken:
        def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
            raise ValueError(tensors["ids"].values[0], signature)

    service = Service(tiny_service.manifest, Broken())
    body = json.dumps({"inputs": {"a": [[1]], "b": [[1]], "ids": [31337]}}).encode()

    response = service.answer(Request("POST", "/v1/models/tiny:predict", {}, body))

    assert (500, b'{"error":"internal error"}') == (response.status, response.body)
    log = capfd.readouterr()
    assert "ValueError" in log.err
    assert "31337" not in log.err + log.out


@pytest.mark.parametrize("error", [BadRequestError, ValueError])
def test_what_a_request_took_is_given_back_with_its_refusal(
    tiny_service: Service, error: type[Exception]
) -> None:
    """An error that is kept holds every frame it came through, and their tensors: up to 1 GB."""

    class Large:
        pass

    kept: list[weakref.ref[Large]] = []

    class Refusing:
        def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
            large = Large()
            kept.append(weakref.ref(large))
            raise error(len(tensors), signature.name)

    service = Service(tiny_service.manifest, Refusing())
    body = json.dumps({"inputs": {"a": [[1]], "b": [[1]], "ids": [1]}}).encode()
    gc.disable()
    try:
        service.answer(Request("POST", "/v1/models/tiny:predict", {}, body))
        assert [None] == [reference() for reference in kept]
    finally:
        gc.enable()


@pytest.mark.parametrize("media", ["image/png", "multipart/form-data; boundary=x", "text/html"])
def test_predict_reads_no_other_kind_of_body(tiny_service: Service, media: str) -> None:
    """A picture posted to :predict is a 415 that says what to send."""
    request = Request("POST", "/v1/models/tiny:predict", {"content-type": media}, b"x")

    response = tiny_service.answer(request)

    assert 415 == response.status
    assert b"send application/json" in response.body


def test_an_answer_over_the_cap_is_a_413(tiny_service: Service) -> None:
    """What Lambda could not carry is refused in our own words."""
    body = json.dumps({"inputs": {"a": [[1.3] * 640] * 640, "b": [[0.123456] * 640], "ids": [1]}})
    assert len(body) < 5_500_000

    response = tiny_service.answer(Request("POST", "/v1/models/tiny:predict", {}, body.encode()))

    assert 413 == response.status
    assert b"the answer has" in response.body


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_an_answer_that_no_text_could_carry_is_refused_before_it_is_written(
    tiny_service: Service, dtype: str
) -> None:
    """A broadcast makes a hundred million numbers of 80 kB, and their texts 8 GB."""

    class Large:
        def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
            del tensors, signature
            large = Tensor(dtype, (5_500_001,), bytes(5_500_001 * ITEM_SIZES[dtype]))
            return {"log": large, "sum": large, "twice": large}

    service = Service(tiny_service.manifest, Large())
    body = json.dumps({"inputs": {"a": [[1]], "b": [[1]], "ids": [1]}}).encode()

    response = service.answer(Request("POST", "/v1/models/tiny:predict", {}, body))

    assert 413 == response.status
    assert b"5500001 numbers would be written as JSON, at most 5500000" in response.body


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/models", "/v1/models/", "/v1/models/tiny/", "/v1/models/tiny:explain", "/ping/"],
)
def test_other_paths_are_404(tiny_service: Service, path: str) -> None:
    """Only the routes there are exist."""
    assert 404 == tiny_service.answer(Request("GET", path, {})).status


def test_hostile_text_in_an_error_stays_one_line_of_json(tiny_service: Service) -> None:
    """What the client sent is quoted safely: no line breaks, no broken JSON, bounded."""
    path = "/v1/models/" + "\n\ud800\x00é" * 500

    response = tiny_service.answer(Request("GET", path, {}))

    assert 404 == response.status
    assert b"\n" not in response.body
    assert len(json.loads(response.body)["error"]) < 300


@given(
    body=st.binary(max_size=200)
    | st.binary(max_size=50).map(lambda tail: b"\x89PNG\r\n\x1a\n" + tail),
    route=st.sampled_from([":predict", ":image"]),
    media=st.sampled_from(["", "application/json", "image/png", "text/plain"]),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_whatever_break_the_service(
    digits_service: Service, body: bytes, route: str, media: str
) -> None:
    """Random bodies of any type on any route are the client's fault, never ours."""
    headers = {"content-type": media}

    response = digits_service.answer(Request("POST", f"/v1/models/digits{route}", headers, body))

    assert response.status in (400, 415)
    assert ["error"] == list(json.loads(response.body))


def test_an_unknown_backend_fails_the_start(tiny: object) -> None:
    """MODEL_BACKEND takes three values."""
    with pytest.raises(StartupError, match="MODEL_BACKEND is 'onnx', expected litert"):
        open_service({"MODEL_DIR": str(tiny), "MODEL_BACKEND": "onnx"})
