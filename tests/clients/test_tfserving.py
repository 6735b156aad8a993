"""TensorFlow Serving's REST API, called as its own documentation does: with requests."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

A = [[1.0, 2.0], [3.0, 4.0]]
B = [[10.0, 20.0], [30.0, 40.0]]
IDS = [5, 6]
LOG = np.log(A).tolist()
SUM = [[11.0, 22.0], [33.0, 44.0]]


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A client that takes gzip and keeps its connection, as it does by default."""
    with requests.Session() as made:
        yield made


@pytest.fixture
def url(several: str) -> str:
    """The model's resource."""
    return f"http://{several}/v1/models/several"


def test_rows(session: requests.Session, url: str) -> None:
    """https://www.tensorflow.org/tfx/serving/api_rest: row format, one object per instance."""
    data = json.dumps(
        {
            "signature_name": "serving_default",
            "instances": [
                {"a": a, "b": b, "ids": one} for a, b, one in zip(A, B, IDS, strict=True)
            ],
        }
    )
    response = session.post(f"{url}:predict", data=data, timeout=30)
    response.raise_for_status()
    predictions = response.json()["predictions"]
    np.testing.assert_allclose(LOG, [row["log"] for row in predictions], atol=1e-6)
    assert [10, 12] == [row["twice"] for row in predictions]
    assert [row["sum"] for row in predictions] == SUM


def test_columns(session: requests.Session, url: str) -> None:
    """The column format, by `json=`, at a version."""
    body: dict[str, Any] = {"inputs": {"a": A, "b": B, "ids": IDS}}
    response = session.post(f"{url}/versions/1:predict", json=body, timeout=30)
    response.raise_for_status()
    outputs = response.json()["outputs"]
    assert (SUM, [10, 12]) == (outputs["sum"], outputs["twice"])


@pytest.mark.parametrize("length", [1, 3, 400])
def test_unknown_dimensions(session: requests.Session, url: str, length: int) -> None:
    """Longer rows are answered at length; the large answer comes compressed."""
    row = [float(number + 1) for number in range(length)]
    body: dict[str, Any] = {"inputs": {"a": [row], "b": [row], "ids": [1]}}
    response = session.post(f"{url}:predict", json=body, timeout=30)
    assert [[2 * number for number in row]] == response.json()["outputs"]["sum"]
    assert ("gzip" if length == 400 else None) == response.headers.get("content-encoding")


def test_picture_as_b64(session: requests.Session, picture: str) -> None:
    """The documentation's way to send a picture."""
    file = io.BytesIO()
    Image.frombytes("L", (8, 8), bytes(range(0, 256, 4))).save(file, "PNG")
    body = {"instances": [{"b64": base64.b64encode(file.getvalue()).decode("utf-8")}]}
    address = f"http://{picture}/v1/models/picture:predict"
    response = session.post(address, data=json.dumps(body), timeout=30)
    response.raise_for_status()
    expected = [[number / 255 for number in range(0, 256, 4)]]
    np.testing.assert_allclose(expected, response.json()["predictions"], atol=1e-6)


def test_status_and_metadata(session: requests.Session, url: str) -> None:
    """What the documentation's own example prints."""
    version: dict[str, Any] = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert {"model_version_status": [version]} == session.get(url, timeout=30).json()
    metadata = session.get(f"{url}/metadata", timeout=30).json()
    assert "several" == metadata["model_spec"]["name"]
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    inputs = signatures["serving_default"]["inputs"]
    assert {"a", "b", "ids"} == set(inputs)
    assert "DT_FLOAT" == inputs["a"]["dtype"]


def test_a_mistake_is_told(session: requests.Session, url: str) -> None:
    """`error`, as the documentation says."""
    response = session.post(f"{url}:predict", json={"instances": [{"a": [1]}]}, timeout=30)
    assert (400, ["error"]) == (response.status_code, list(response.json()))
