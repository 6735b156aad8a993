"""The Open Inference Protocol: what clients send, as JSON and as raw bytes, and what they get."""

import json
import struct
from typing import Any

import pytest

from handler.manifest import Manifest
from handler.messages import Request, Response
from handler.protocols import v2
from handler.service import Service
from handler.tensor import FLOATS, TYPECODES
from tests.handler.v2_requests import GOOD, IDS, INFER, RAW_A, TWO, B, send, send_raw


def _read(response: Response) -> tuple[dict[str, Any], bytes]:
    """A 200's JSON, and the raw bytes behind it."""
    assert 200 == response.status, response.body
    length = response.headers.get("inference-header-content-length")
    kind = "application/json" if length is None else "application/octet-stream"
    assert kind == response.headers["content-type"]
    end = len(response.body) if length is None else int(length)
    return json.loads(response.body[:end]), response.body[end:]


def _manifest(port: dict[str, Any]) -> Manifest:
    """A model that gives back its one input."""
    return Manifest(
        {
            "schema": 1,
            "name": "same",
            "sha256": "0",
            "recipe": "float32",
            "signature": {"name": "serving_default", "inputs": [port], "outputs": [port]},
        }
    )


def _get(service: Service, path: str) -> tuple[int, Any]:
    response = service.answer(Request("GET", path, {}))
    return response.status, json.loads(response.body)


def test_an_answer_names_every_output(tiny_service: Service) -> None:
    """Flat and nested data go in; name, datatype, shape and flat data come out, and the id."""
    answer, tail = _read(send(tiny_service, {"id": "é-1", **GOOD}))

    assert b"" == tail
    assert {
        "model_name": "tiny",
        "model_version": "1",
        "id": "é-1",
        "outputs": [
            {"name": "log", "datatype": "FP32", "shape": [1, 2], "data": [0.0, 0.6931472]},
            {"name": "sum", "datatype": "FP32", "shape": [1, 2], "data": [4.0, 6.0]},
            {"name": "twice", "datatype": "INT32", "shape": [1], "data": [10]},
        ],
    } == answer


def test_outputs_come_in_the_order_asked_for(tiny_service: Service) -> None:
    """`outputs` selects and orders; without an id none is made up."""
    answer, _ = _read(send(tiny_service, {**GOOD, "outputs": [{"name": "twice"}, {"name": "sum"}]}))

    assert ["twice", "sum"] == [output["name"] for output in answer["outputs"]]
    assert "id" not in answer


def test_raw_tensors_follow_the_json_both_ways(tiny_service: Service) -> None:
    """binary_data_size takes bytes from the body's end; binary_data_output gives all so."""
    document = {"inputs": [RAW_A, B, IDS], "parameters": {"binary_data_output": True}}

    answer, tail = _read(send_raw(tiny_service, document, TWO))

    sizes = [output["parameters"]["binary_data_size"] for output in answer["outputs"]]
    assert [8, 8, 4] == sizes
    assert (4.0, 6.0, 10) == struct.unpack("<2fi", tail[8:])
    assert not any("data" in output for output in answer["outputs"])


def test_sizes_may_be_written_as_floats(tiny_service: Service) -> None:
    """To JSON 2 and 2.0 are one number, and some languages write only the latter."""
    floats = {**RAW_A, "shape": [1.0, 2.0], "parameters": {"binary_data_size": 8.0}}

    answer, _ = _read(send_raw(tiny_service, {"inputs": [floats, B, IDS]}, TWO))

    assert _read(send(tiny_service, GOOD))[0]["outputs"] == answer["outputs"]


def test_each_output_may_be_raw_or_not(tiny_service: Service) -> None:
    """binary_data of one output overrides binary_data_output of the request."""
    outputs = [{"name": "log"}, {"name": "twice", "parameters": {"binary_data": False}}]
    document = {**GOOD, "outputs": outputs, "parameters": {"binary_data_output": True}}

    answer, tail = _read(send(tiny_service, document))

    assert {"binary_data_size": 8} == answer["outputs"][0]["parameters"]
    assert ([10], 8) == (answer["outputs"][1]["data"], len(tail))


def test_several_raw_tensors_follow_in_the_jsons_order(tiny_service: Service) -> None:
    """Order of the bytes is order of the inputs in the JSON, not of the signature."""
    raw_ids = {
        "name": "ids",
        "shape": [2],
        "datatype": "INT32",
        "parameters": {"binary_data_size": 8},
    }
    tail = struct.pack("<2i2f", 7, 8, 1, 2)

    answer, _ = _read(send_raw(tiny_service, {"inputs": [raw_ids, B, RAW_A]}, tail))

    assert [[0.0, 0.6931472], [4.0, 6.0], [14, 16]] == [o["data"] for o in answer["outputs"]]


def test_a_length_of_zero_makes_the_body_one_tensor(
    digits_service: Service, image_of_three: list[Any]
) -> None:
    """Triton's raw binary request: no JSON at all, and the answer comes raw."""
    pixels = [pixel for row in image_of_three for (pixel,) in row]
    headers = {"inference-header-content-length": "0"}

    answer, tail = _read(
        send(digits_service, struct.pack("<64f", *pixels), headers, "/v2/models/digits/infer")
    )

    scores = struct.unpack("<10f", tail)
    assert ([1, 10], 3) == (answer["outputs"][0]["shape"], scores.index(max(scores)))


def test_json_is_never_taken_for_a_bare_tensor(digits_service: Service) -> None:
    """A length of zero beside a content type of JSON is a 400, however many bytes there are."""
    headers = {"inference-header-content-length": "0", "content-type": "application/json"}

    response = send(digits_service, b"{}".ljust(256), headers, "/v2/models/digits/infer")

    assert 400 == response.status
    assert b"send application/octet-stream" in response.body


def test_parameters_left_to_the_server_change_nothing(tiny_service: Service) -> None:
    """Clients send sequence ids, priorities, timeouts and nulls."""
    extra = {"id": None, "outputs": None, "model_name": "tiny"}
    parameters = {"sequence_id": 1, "priority": 2, "timeout": 3, "anything": "x"}

    plain = send(tiny_service, GOOD)

    assert plain.body == send(tiny_service, {**GOOD, **extra, "parameters": parameters}).body
    assert plain.body == send(tiny_service, {**GOOD, "parameters": None}).body


@pytest.mark.parametrize("binary", [False, True], ids=["json", "raw"])
@pytest.mark.parametrize(("datatype", "dtype"), v2.DATATYPES.items())
def test_every_datatype_survives_the_trip(datatype: str, dtype: str, *, binary: bool) -> None:
    """Values come back as they went in, as JSON and as little-endian bytes."""
    code = TYPECODES[dtype]
    values: list[Any] = [True, False, True]
    if dtype != "bool":
        values = [0, 1, 100] if dtype not in FLOATS else [0.5, -2.0, 1024.0]
    port = {"name": "x", "dtype": dtype, "shape": [-1]}
    manifest = _manifest(port)
    entry: dict[str, Any] = {"name": "x", "shape": [3], "datatype": datatype}
    tail = struct.pack(f"<3{code}", *values) if binary else b""
    entry |= {"parameters": {"binary_data_size": len(tail)}} if binary else {"data": values}
    parameters = {"binary_data_output": binary}
    head = json.dumps({"inputs": [entry], "parameters": parameters}).encode()

    tensors, wish = v2.parse(head + tail, str(len(head)), manifest)
    body, length = v2.render(tensors, wish, manifest)

    (output,) = json.loads(body[:length])["outputs"]
    assert (datatype, [3], dtype) == (output["datatype"], output["shape"], tensors["x"].dtype)
    if binary:
        assert tail == body[length:]
    else:
        assert values == output["data"]


def test_the_signature_is_described(tiny_service: Service) -> None:
    """Model metadata: names, datatypes, shapes with -1, versions and platform."""
    status, answer = _get(tiny_service, "/v2/models/tiny")

    assert 200 == status
    assert ["name", "versions", "platform", "inputs", "outputs"] == list(answer)
    assert {"name": "ids", "datatype": "INT32", "shape": [-1]} == answer["inputs"][2]
    assert ["log", "sum", "twice"] == [output["name"] for output in answer["outputs"]]


def test_health_and_the_server_are_described(tiny_service: Service) -> None:
    """The GET routes that clients poll."""
    assert (200, {"live": True}) == _get(tiny_service, "/v2/health/live")
    assert (200, {"ready": True}) == _get(tiny_service, "/v2/health/ready")
    ready = {"name": "tiny", "ready": True}
    assert (200, ready) == _get(tiny_service, "/v2/models/tiny/ready")
    assert (200, ready) == _get(tiny_service, "/v2/models/tiny/versions/1/ready")
    status, server = _get(tiny_service, "/v2")
    assert (200, "thimble", ["binary_tensor_data"]) == (
        status,
        server["name"],
        server["extensions"],
    )


def test_a_version_makes_no_difference_where_it_exists(tiny_service: Service) -> None:
    """/versions/1 is the model; there is no other."""
    path = "/v2/models/tiny/versions/1/infer"

    assert send(tiny_service, GOOD).body == send(tiny_service, GOOD, path=path).body


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v2/models/cats", "no model 'cats' here"),
        ("/v2/models/tiny/versions/2", "no version '2', only '1'"),
        ("/v2/models/tiny/versions/2/ready", "no version '2', only '1'"),
        ("/v2/models/tiny/config", "no such path"),
        ("/v2/health", "no such path"),
        ("/v2/health/live/", "no such path"),
        ("/v22", "no such path"),
    ],
)
def test_what_is_not_there_is_a_404(tiny_service: Service, path: str, message: str) -> None:
    """Models, versions and paths that do not exist."""
    status, answer = _get(tiny_service, path)

    assert (404, True) == (status, message in answer["error"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", INFER, "POST"), ("POST", "/v2", "GET"), ("POST", "/v2/models/tiny/ready", "GET")],
)
def test_a_wrong_method_is_a_405(
    tiny_service: Service, method: str, path: str, allowed: str
) -> None:
    """With Allow, as everywhere."""
    response = tiny_service.answer(Request(method, path, {}, b"{}"))

    assert (405, allowed) == (response.status, response.headers["allow"])
