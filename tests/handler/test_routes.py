"""All ways to ask one question, and the paths between them."""

import base64
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from handler.errors import NotReadyError
from handler.messages import Request, Response
from handler.server.bodies import Body
from handler.service import Service
from handler.tensor import Tensor

V1 = "/v1/models/digits"
V2 = "/v2/models/digits/infer"
RAW = "application/octet-stream"
NPY = "application/x-npy"
LENGTH = "inference-header-content-length"
Scores = list[float]


def _outputs(response: Response) -> Scores:
    return list(json.loads(response.body)["outputs"][0])


def _predictions(response: Response) -> Scores:
    return list(json.loads(response.body)["predictions"][0])


def _labels(response: Response) -> Scores:
    """:image and :classify name the scores; the digits' labels are their indices."""
    document = json.loads(response.body)
    if "results" in document:
        pairs = {int(label): score for label, score in document["results"][0]}
    else:
        pairs = {int(entry["label"]): entry["score"] for entry in document["predictions"]}
    return [pairs[digit] for digit in range(10)]


def _floats(data: bytes) -> Scores:
    """float32 as JSON has it: the shortest text that gives back the same bits."""
    return [float(str(value)) for value in np.frombuffer(data, "<f4")]


def _v2(response: Response) -> Scores:
    document = json.loads(response.body[: int(response.headers.get(LENGTH, len(response.body)))])
    (output,) = document["outputs"]
    return list(output["data"]) if "data" in output else _floats(response.body[-40:])


def _npy(response: Response) -> Scores:
    return _floats(np.load(io.BytesIO(response.body)).tobytes())


@pytest.fixture(scope="module")
def ways(sample: Callable[[int], bytes]) -> dict[str, tuple[Request, Callable[[Response], Scores]]]:
    """Each way to ask which digit is in the picture of an 8, and how to read its answer."""
    from PIL import Image

    png = sample(8)
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("L"))
    array = (pixels / 255).astype("<f4").reshape(1, 8, 8, 1)
    text = base64.b64encode(png).decode()
    raw = array.tobytes()
    saved = io.BytesIO()
    np.save(saved, array)
    # The float32 of each pixel, written out in full.
    nested = array.astype(float).tolist()
    tensor: dict[str, Any] = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32"}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 256}}]}).encode()
    both = {"inputs": [{**tensor, "data": nested}], "parameters": {"binary_data_output": True}}

    def post(path: str, body: object, query: str = "", **headers: str) -> Request:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request("POST", path, names, data, query=query)

    rows = {"instances": nested}
    return {
        "instances": (post(f"{V1}:predict", rows), _predictions),
        "named instances": (
            post(f"{V1}:predict", {"instances": [{"image": nested[0]}]}),
            _predictions,
        ),
        "inputs": (post(f"{V1}:predict", {"inputs": nested}), _outputs),
        "named inputs": (post(f"{V1}:predict", {"inputs": {"image": nested}}), _outputs),
        "b64": (post(f"{V1}:predict", {"instances": [{"b64": text}]}), _predictions),
        "a version": (post(f"{V1}/versions/1:predict", rows), _predictions),
        "a label": (post(f"{V1}/labels/live:predict", rows), _predictions),
        "gzip": (
            post(
                f"{V1}:predict", gzip.compress(json.dumps(rows).encode()), content_encoding="gzip"
            ),
            _predictions,
        ),
        "deflate": (
            post(
                f"{V1}:predict",
                zlib.compress(json.dumps(rows).encode()),
                content_encoding="deflate",
            ),
            _predictions,
        ),
        "classify": (
            post(f"{V1}:classify", {"examples": [{"image": array.astype(float).ravel().tolist()}]}),
            _labels,
        ),
        "classify b64": (post(f"{V1}:classify", {"examples": [{"image": {"b64": text}}]}), _labels),
        "picture": (post(f"{V1}:image", png, "k=10", content_type="image/png"), _labels),
        "picture in base64": (post(f"{V1}:image", text.encode(), "k=10"), _labels),
        "picture in JSON": (post(f"{V1}:image", {"image": text, "top": 10}), _labels),
        "raw": (post(f"{V1}:predict", raw, content_type=RAW), _outputs),
        "raw to raw": (
            post(f"{V1}:predict", raw, content_type=RAW, accept=RAW),
            lambda response: _floats(response.body),
        ),
        "npy": (post(f"{V1}:predict", saved.getvalue(), content_type=NPY), _outputs),
        "npy to npy": (
            post(f"{V1}:predict", saved.getvalue(), content_type=NPY, accept=NPY),
            _npy,
        ),
        "JSON to npy": (post(f"{V1}:predict", rows, accept=NPY), _npy),
        "v2 nested": (post(V2, {"inputs": [{**tensor, "data": nested}]}), _v2),
        "v2 flat": (
            post(V2, {"inputs": [{**tensor, "data": array.astype(float).ravel().tolist()}]}),
            _v2,
        ),
        "v2 raw": (post(V2, head + raw, inference_header_content_length=str(len(head))), _v2),
        "v2 to raw": (post(V2, both), _v2),
        "v2 bare": (post(V2, raw, inference_header_content_length="0"), _v2),
    }


def test_every_way_to_ask_may_come_in_memory_that_is_used_again(
    digits_service: Service, ways: dict[str, tuple[Request, Callable[[Response], Scores]]]
) -> None:
    """The server receives large bodies into such: a bytearray, which cannot be hashed."""
    for name, (request, read) in ways.items():
        body = Body(len(request.body))
        body[:] = request.body
        again = Request(
            request.method, request.path, request.headers, cast("bytes", body), query=request.query
        )

        response = digits_service.answer(again)

        assert 200 == response.status, (name, response.body)
        assert read(digits_service.answer(request)) == read(response)


def test_every_way_to_ask_gets_the_same_numbers(
    digits_service: Service, ways: dict[str, tuple[Request, Callable[[Response], Scores]]]
) -> None:
    """One picture by two dozen ways: the same scores to the last bit."""
    answers = {}
    for name, (request, read) in ways.items():
        response = digits_service.answer(request)
        assert 200 == response.status, (name, response.body)
        answers[name] = read(response)

    expected = answers["instances"]
    assert 8 == expected.index(max(expected))
    assert {} == {name: scores for name, scores in answers.items() if scores != expected}


@pytest.mark.parametrize("suffix", ["", "/metadata"])
@pytest.mark.parametrize("version", ["/versions/1", "/labels/live"])
def test_a_version_that_exists_makes_no_difference(
    tiny_service: Service, version: str, suffix: str
) -> None:
    """Version 1 and label live are the one model there is."""
    plain = tiny_service.answer(Request("GET", f"/v1/models/tiny{suffix}", {}))
    versioned = tiny_service.answer(Request("GET", f"/v1/models/tiny{version}{suffix}", {}))

    assert (200, plain.body) == (versioned.status, versioned.body)


@pytest.mark.parametrize("suffix", ["", "/metadata", ":predict", ":classify", ":regress", ":image"])
@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("/versions/2", "model 'tiny' has no version '2', only '1'"),
        ("/versions/live", "no version 'live'"),
        ("/labels/canary", "model 'tiny' has no label 'canary', only 'live'"),
        ("/versions/1/labels/live", "no such path"),
        ("/versions/", "no such path"),
    ],
)
def test_a_version_that_does_not_is_a_404(
    tiny_service: Service, version: str, message: str, suffix: str
) -> None:
    """Whatever is asked of it."""
    response = tiny_service.answer(Request("GET", f"/v1/models/tiny{version}{suffix}", {}))

    assert 404 == response.status
    assert message in json.loads(response.body)["error"]


def test_what_predict_does_not_read_it_names(tiny_service: Service) -> None:
    """A content type that no protocol has is a 415 that lists those there are."""
    request = Request("POST", "/v1/models/tiny:predict", {"content-type": "text/csv"}, b"1,2")

    response = tiny_service.answer(request)

    assert 415 == response.status
    assert (
        "send application/json, application/octet-stream or application/x-npy"
        in json.loads(response.body)["error"]
    )


def test_bytes_are_no_json(digits_service: Service) -> None:
    """application/octet-stream is a tensor, even where JSON is in there."""
    body = struct.pack("<64f", *[0.5] * 64)
    path = f"{V1}:predict"

    raw = digits_service.answer(Request("POST", path, {"content-type": RAW}, body))
    text = digits_service.answer(Request("POST", path, {"content-type": RAW}, b'{"inputs": []}'))

    assert (200, 400) == (raw.status, text.status)
    assert b"send JSON as application/json" in text.body


def test_what_is_not_ready_says_when_to_come_again(tiny_service: Service) -> None:
    """503 carries Retry-After, whatever the protocol."""

    class Away:
        def run(self, tensors: object, signature: object) -> dict[str, Tensor]:
            del tensors, signature
            raise NotReadyError("the model's backend cannot be reached; try again")

    service = Service(tiny_service.manifest, Away())
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1]} for name in ("a", "b")
    ]
    ids = {"name": "ids", "shape": [1], "datatype": "INT32", "data": [1]}
    bodies: dict[str, Any] = {
        "/v1/models/tiny:predict": {"inputs": {"a": [[1]], "b": [[1]], "ids": [1]}},
        "/v2/models/tiny/infer": {"inputs": [*inputs, ids]},
    }
    for path, body in bodies.items():
        response = service.answer(Request("POST", path, {}, json.dumps(body).encode()))

        assert (503, "1") == (response.status, response.headers["retry-after"])
