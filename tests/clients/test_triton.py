"""Triton's own client, unmodified: it sends tensors as raw bytes unless told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "several"
WAYS = [None, "gzip", "deflate"]


@pytest.fixture
def client(several: str) -> Iterator[triton.InferenceServerClient]:
    """A client of the model with several inputs."""
    with triton.InferenceServerClient(several, concurrency=4) as made:
        yield made


def sent(rows: int, columns: int) -> dict[str, Any]:
    """One array per input."""
    random = np.random.default_rng(rows * columns)
    return {
        "a": random.uniform(0.5, 9, (rows, columns)).astype(np.float32),
        "b": random.normal(size=(rows, columns)).astype(np.float32),
        "ids": random.integers(-(2**20), 2**20, rows).astype(np.int32),
    }


def inputs(arrays: dict[str, Any], *, binary: bool = True) -> list[triton.InferInput]:
    """As the client's examples make them."""
    made = []
    for name, array in arrays.items():
        kind = {"float32": "FP32", "int32": "INT32"}[array.dtype.name]
        one = triton.InferInput(name, list(array.shape), kind)
        one.set_data_from_numpy(array, binary_data=binary)
        made.append(one)
    return made


def check(result: triton.InferResult, arrays: dict[str, Any]) -> None:
    """The answer is right."""
    np.testing.assert_allclose(np.log(arrays["a"]), result.as_numpy("log"), atol=1e-6)
    np.testing.assert_array_equal(arrays["a"] + arrays["b"], result.as_numpy("sum"))
    np.testing.assert_array_equal(arrays["ids"] * 2, result.as_numpy("twice"))


@pytest.mark.parametrize("answered", WAYS)
@pytest.mark.parametrize("asked", WAYS)
def test_raw_tensors_compressed_or_not(
    client: triton.InferenceServerClient, asked: str | None, answered: str | None
) -> None:
    """Every output comes back right, large enough to be worth compressing."""
    arrays = sent(40, 30)
    result = client.infer(
        MODEL,
        inputs(arrays),
        request_compression_algorithm=asked,
        response_compression_algorithm=answered,
    )
    check(result, arrays)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 3)])
def test_unknown_dimensions(
    client: triton.InferenceServerClient, shape: tuple[int, int], *, binary: bool
) -> None:
    """Sizes change from one request to the next, as raw bytes and as JSON."""
    arrays = sent(*shape)
    check(client.infer(MODEL, inputs(arrays, binary=binary)), arrays)


@pytest.mark.parametrize("binary", [True, False])
def test_chosen_outputs(client: triton.InferenceServerClient, *, binary: bool) -> None:
    """Only the output asked for comes, in the form asked for, with the request's id and version."""
    arrays = sent(2, 2)
    wanted = [triton.InferRequestedOutput("twice", binary_data=binary)]
    result = client.infer(MODEL, inputs(arrays), "1", wanted, request_id="mine")

    np.testing.assert_array_equal(arrays["ids"] * 2, result.as_numpy("twice"))
    answer = result.get_response()
    assert ["twice"] == [output["name"] for output in answer["outputs"]]
    assert (MODEL, "1", "mine") == (answer["model_name"], answer["model_version"], answer["id"])


def test_requests_at_the_same_time(client: triton.InferenceServerClient) -> None:
    """Each gets its own answer."""
    asked = [sent(rows, 3) for rows in range(1, 21)]
    under_way = [client.async_infer(MODEL, inputs(arrays)) for arrays in asked]
    for arrays, one in zip(asked, under_way, strict=True):
        check(one.get_result(), arrays)


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    """What the client asks before it sends anything."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(MODEL)
    assert [
        {"name": "a", "datatype": "FP32", "shape": [-1, -1]},
        {"name": "b", "datatype": "FP32", "shape": [-1, -1]},
        {"name": "ids", "datatype": "INT32", "shape": [-1]},
    ] == metadata["inputs"]
    assert ["log", "sum", "twice"] == [output["name"] for output in metadata["outputs"]]


def test_a_mistake_is_told(client: triton.InferenceServerClient) -> None:
    """The client raises with the line that the server answered."""
    with pytest.raises(InferenceServerException, match="missing input 'ids'"):
        client.infer(MODEL, inputs(sent(1, 1))[:2])
    with pytest.raises(InferenceServerException, match="no model 'other'"):
        client.get_model_metadata("other")
    assert not client.is_model_ready("other")


def test_a_picture_as_one_raw_tensor(picture: str) -> None:
    """generate_request_body and parse_response_body, for those who carry the bytes themselves."""
    pixels = np.linspace(0, 1, 128, dtype=np.float32).reshape(2, 8, 8, 1)
    with triton.InferenceServerClient(picture) as client:
        result = client.infer("picture", inputs({"image": pixels}))
    np.testing.assert_array_equal(pixels.reshape(2, 64), result.as_numpy("scores"))
