"""Real requests through the gateway emulator into the real image."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.api import Answer, send

if TYPE_CHECKING:
    from tests.e2e.project import Project

PREDICT = "/v1/models/digits:predict"
IMAGE = "/v1/models/digits:image"
INFER = "/v2/models/digits/infer"
ZEROS = [[[0.0]] * 8] * 8


@pytest.fixture(scope="session")
def url(project: Project) -> str:
    """Where the API is."""
    return str(project.outputs()["url"])


@pytest.fixture(scope="session")
def picture(project: Project) -> bytes:
    """A held-out handwritten three."""
    return (project.folder / "models/digits/samples/3.png").read_bytes()


def best(answer: Answer) -> str:
    """The label with the highest score."""
    assert answer.status == 200, answer.body
    return str(answer.document["predictions"][0]["label"])


@pytest.mark.parametrize("digit", range(10))
def test_every_sample_is_recognized(url: str, project: Project, digit: int) -> None:
    """A real picture of each digit comes back as that digit."""
    sample = project.folder / f"models/digits/samples/{digit}.png"
    assert str(digit) == best(send(url, IMAGE, sample.read_bytes(), "image/png"))


def test_picture_as_base64(url: str, picture: bytes) -> None:
    """A base64 body is a picture too."""
    assert best(send(url, IMAGE, base64.b64encode(picture), "text/plain")) == "3"


def test_picture_in_json(url: str, picture: bytes) -> None:
    """So is {"image": "<base64>"}."""
    body = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    assert best(send(url, IMAGE, body)) == "3"


def test_predict_equals_the_original(url: str) -> None:
    """TF Serving's predict gives the Keras model's own class for held-out rows."""
    root = Path(__file__).resolve().parents[2]
    with np.load(root / "models/digits/evaluation.npz") as data:
        name = next(n for n in data.files if n != "y")
        rows, targets = data[name][:32], data["y"][:32]
    body = json.dumps({"instances": rows.tolist()}).encode()
    answer = send(url, PREDICT, body)
    assert answer.status == 200, answer.body
    classes = np.asarray(answer.document["predictions"]).argmax(axis=1)
    assert (classes == targets).mean() > 0.95


def test_raw_tensors_go_and_come_through_the_gateway(url: str) -> None:
    """The Open Inference Protocol's bytes survive the gateway's base64, both ways."""
    tensor = {
        "name": "image",
        "shape": [2, 8, 8, 1],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 512},
    }
    document = {"id": "1", "inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(document).encode()
    length = "inference-header-content-length"
    body = head + np.zeros(128, np.float32).tobytes()

    answer = send(url, INFER, body, "application/octet-stream", headers={length: str(len(head))})

    assert answer.status == 200, answer.body
    end = int(answer.headers[length])
    raw = np.frombuffer(answer.body[end:], np.float32).reshape(2, 10)
    rows = send(url, PREDICT, json.dumps({"instances": [ZEROS, ZEROS]}).encode())
    np.testing.assert_array_equal(np.asarray(rows.document["predictions"], np.float32), raw)
    assert json.loads(answer.body[:end])["id"] == "1"


def test_gzip_goes_and_comes_through_the_gateway(url: str) -> None:
    """Compressed bodies too; not as application/json, which the gateway hands on as text."""
    body = gzip.compress(json.dumps({"instances": [ZEROS] * 20}).encode())
    coded = {"content-encoding": "gzip", "accept-encoding": "gzip"}

    answer = send(url, PREDICT, body, "application/x-www-form-urlencoded", headers=coded)

    assert answer.status == 200, answer.body
    assert answer.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(answer.body))["predictions"]) == 20


def test_gzip_that_the_gateway_takes_for_text(url: str) -> None:
    """Its bytes are lost on the way; the answer says why, and what to do works."""
    body = gzip.compress(json.dumps({"instances": [ZEROS]}).encode())
    coded = {"content-encoding": "gzip"}

    refused = send(url, PREDICT, body, "application/json", headers=coded)

    assert refused.status == 400
    assert "send compressed JSON without one" in refused.document["error"]
    assert send(url, PREDICT, body, "", headers=coded).status == 200


def test_a_form_with_a_picture(url: str, picture: bytes) -> None:
    """What a browser sends, and how many labels it wants."""
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="3.png"\r\n\r\n'

    answer = send(
        url, f"{IMAGE}?k=2", part + picture + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"
    )

    assert best(answer) == "3"
    assert len(answer.document["predictions"]) == 2


def test_status(url: str) -> None:
    """The status route says AVAILABLE as TF Serving does."""
    answer = send(url, "/v1/models/digits", method="GET")
    assert answer.document["model_version_status"][0]["state"] == "AVAILABLE"


def test_metadata_names_the_signature(url: str) -> None:
    """The metadata route describes the signature."""
    answer = send(url, "/v1/models/digits/metadata", method="GET")
    assert "serving_default" in answer.body.decode()


def test_ping(url: str) -> None:
    """The health route answers 200."""
    assert send(url, "/ping", method="GET").status == 200


BAD = {
    "no body": (400, PREDICT, b"", "application/json"),
    "text": (400, PREDICT, b"a picture of a three", "application/json"),
    "text as a picture": (400, IMAGE, b"a picture of a three", "image/png"),
    "wrong shape": (400, PREDICT, b'{"instances": [[1.0, 2.0]]}', "application/json"),
    "a string among numbers": (
        400,
        PREDICT,
        json.dumps({"instances": [[[["x"]] * 8] * 8]}).encode(),
        "application/json",
    ),
    "not a number": (400, PREDICT, b'{"instances": [NaN]}', "application/json"),
    "unknown model": (404, "/v1/models/letters:predict", b"{}", "application/json"),
    "unknown path": (404, "/v2/everything", b"{}", "application/json"),
    "7 MB": (413, PREDICT, b" " * 7_000_000, "application/json"),
    "unknown kind": (415, IMAGE, b"GIF89a", "image/gif"),
}


@pytest.mark.parametrize(("status", "path", "body", "kind"), BAD.values(), ids=BAD)
def test_bad_input_is_the_callers_fault(
    url: str, picture: bytes, status: int, path: str, body: bytes, kind: str
) -> None:
    """Bad input gets its 4xx and one line that says why; the next good request works."""
    answer = send(url, path, body, kind)
    assert (status, ["error"]) == (answer.status, list(answer.document))
    assert "\n" not in answer.document["error"]
    assert best(send(url, IMAGE, picture, "image/png")) == "3"


def test_truncated_picture(url: str, picture: bytes) -> None:
    """Half a PNG is a 400, and the whole one works after it."""
    answer = send(url, IMAGE, picture[: len(picture) // 2], "image/png")
    assert (400, ["error"]) == (answer.status, list(answer.document))
    assert best(send(url, IMAGE, picture, "image/png")) == "3"


def test_wrong_method(url: str) -> None:
    """GET on a predict route is a 405."""
    assert send(url, PREDICT, method="GET").status == 405
