"""The Open Inference Protocol: what clients send, as JSON and as raw bytes, and what breaks it."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.manifest import Manifest
from handler.messages import Request, Response
from handler.protocols import v2
from handler.service import Service
from handler.tensor import FLOATS, TYPECODES

INFER = "/v2/models/tiny/infer"
A = {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
B = {"name": "b", "shape": [1, 2], "datatype": "FP32", "data": [[3, 4]]}
IDS = {"name": "ids", "shape": [1], "datatype": "INT32", "data": [5]}
GOOD = {"inputs": [A, B, IDS]}
RAW_A = {**A, "parameters": {"binary_data_size": 8}}
RAW_A.pop("data")
TWO = struct.pack("<2f", 1, 2)


def _send(
    service: Service, body: object, headers: Mapping[str, str] | None = None, path: str = INFER
) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.answer(Request("POST", path, headers or {}, data))


def _send_raw(service: Service, document: object, tail: bytes, length: str = "") -> Response:
    head = json.dumps(document).encode()
    headers = {"inference-header-content-length": length or str(len(head))}
    return _send(service, head + tail, headers)


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
    answer, tail = _read(_send(tiny_service, {"id": "é-1", **GOOD}))

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
    answer, _ = _read(
        _send(tiny_service, {**GOOD, "outputs": [{"name": "twice"}, {"name": "sum"}]})
    )

    assert ["twice", "sum"] == [output["name"] for output in answer["outputs"]]
    assert "id" not in answer


def test_raw_tensors_follow_the_json_both_ways(tiny_service: Service) -> None:
    """binary_data_size takes bytes from the body's end; binary_data_output gives all so."""
    document = {"inputs": [RAW_A, B, IDS], "parameters": {"binary_data_output": True}}

    answer, tail = _read(_send_raw(tiny_service, document, TWO))

    sizes = [output["parameters"]["binary_data_size"] for output in answer["outputs"]]
    assert [8, 8, 4] == sizes
    assert (4.0, 6.0, 10) == struct.unpack("<2fi", tail[8:])
    assert not any("data" in output for output in answer["outputs"])


def test_each_output_may_be_raw_or_not(tiny_service: Service) -> None:
    """binary_data of one output overrides binary_data_output of the request."""
    outputs = [{"name": "log"}, {"name": "twice", "parameters": {"binary_data": False}}]
    document = {**GOOD, "outputs": outputs, "parameters": {"binary_data_output": True}}

    answer, tail = _read(_send(tiny_service, document))

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

    answer, _ = _read(_send_raw(tiny_service, {"inputs": [raw_ids, B, RAW_A]}, tail))

    assert [[0.0, 0.6931472], [4.0, 6.0], [14, 16]] == [o["data"] for o in answer["outputs"]]


def test_a_length_of_zero_makes_the_body_one_tensor(
    digits_service: Service, image_of_three: list[Any]
) -> None:
    """Triton's raw binary request: no JSON at all, and the answer comes raw."""
    pixels = [pixel for row in image_of_three for (pixel,) in row]
    headers = {"inference-header-content-length": "0"}

    answer, tail = _read(
        _send(digits_service, struct.pack("<64f", *pixels), headers, "/v2/models/digits/infer")
    )

    scores = struct.unpack("<10f", tail)
    assert ([1, 10], 3) == (answer["outputs"][0]["shape"], scores.index(max(scores)))


def test_json_is_never_taken_for_a_bare_tensor(digits_service: Service) -> None:
    """A length of zero beside a content type of JSON is a 400, however many bytes there are."""
    headers = {"inference-header-content-length": "0", "content-type": "application/json"}

    response = _send(digits_service, b"{}".ljust(256), headers, "/v2/models/digits/infer")

    assert 400 == response.status
    assert b"send application/octet-stream" in response.body


def test_parameters_left_to_the_server_change_nothing(tiny_service: Service) -> None:
    """Clients send sequence ids, priorities, timeouts and nulls."""
    extra = {"id": None, "outputs": None, "model_name": "tiny"}
    parameters = {"sequence_id": 1, "priority": 2, "timeout": 3, "anything": "x"}

    plain = _send(tiny_service, GOOD)

    assert plain.body == _send(tiny_service, {**GOOD, **extra, "parameters": parameters}).body
    assert plain.body == _send(tiny_service, {**GOOD, "parameters": None}).body


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

    assert _send(tiny_service, GOOD).body == _send(tiny_service, GOOD, path=path).body


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


def _with(entry: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The good request with one input changed; None takes a key away."""
    changed = {k: v for k, v in {**entry, **changes}.items() if v is not None}
    return {"inputs": [changed if item is entry else item for item in (A, B, IDS)]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"inputs": [NaN]}', "holds NaN"),
        (b'{"inputs": [], "inputs": []}', "the key 'inputs' twice"),
        ({}, "no 'inputs'"),
        ({"inputs": []}, "no 'inputs'"),
        ({"inputs": {}}, "'inputs' is not a list of objects"),
        ({"inputs": [1]}, "'inputs' is not a list of objects"),
        ({"inputs": [A]}, "missing input 'b'; expected a, b, ids"),
        ({"inputs": [A, B, IDS, A]}, "input 'a' is given twice"),
        (_with(A, name="c"), "unknown input 'c'; expected a, b, ids"),
        (_with(A, name=1), "an input has no 'name'"),
        (_with(A, datatype="FLOAT"), "datatype of input 'a' is 'FLOAT', expected one of BOOL"),
        (_with(A, datatype="BYTES", data=["x"]), "datatype of input 'a' is 'BYTES'"),
        (_with(A, datatype=None), "missing or not a string"),
        (_with(A, datatype="INT32"), "(expected float32 of shape [-1, -1]): got int32"),
        (_with(A, shape=None), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[1, -1]), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[1, True]), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[1, 2.0]), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[2**31, 2**31]), "each from 0 to 2147483647"),
        (_with(A, shape=[2**30, 2**30, 2**30]), "has 2 numbers, but its 'shape'"),
        (_with(A, shape=[1] * 1000), "has 1000 dimensions, at most 8"),
        (_with(A, shape=[2]), "got shape [2]"),
        (_with(A, shape=[1, 3]), "has 2 numbers, but its 'shape' [1, 3] needs 3"),
        (_with(A, shape=[0, 2], data=[]), "an empty batch, shape [0, 2]"),
        (_with(B, shape=[1, 3]), "has data of shape [1, 2], but its 'shape' is [1, 3]"),
        (_with(A, data=None), "neither 'data' nor binary_data_size"),
        (_with(A, data=1), "expected a list"),
        (_with(A, data=[1, "2"]), "found a string at [1]"),
        (_with(A, data=[1, True]), "found a boolean at [1]"),
        (_with(A, data=[1, [2]]), "input 'a'"),
        (_with(A, data=[[1], [2, 3]]), "ragged"),
        (_with(A, data=[1, 1e39]), "flat position 1"),
        (_with(IDS, data=[2**31]), "outside the range of int32"),
        (_with(IDS, data=[1.5]), "a number with a fraction"),
        (_with(A, parameters=[]), "'parameters' of input 'a' is not an object"),
        (_with(A, parameters={"shared_memory_region": "x"}), "shared memory"),
        (_with(A, parameters={"binary_data_size": 8}), "both 'data' and binary_data_size"),
        (_with(A, data=None, parameters={"binary_data_size": -8}), "not a number of bytes"),
        (_with(A, data=None, parameters={"binary_data_size": 10**400}), "not a number of bytes"),
        (_with(A, data=None, parameters={"binary_data_size": True}), "not a number of bytes"),
        (_with(A, data=None, parameters={"binary_data_size": 8}), "has no header Inference-"),
        ({**GOOD, "id": 5}, "'id' is not a string"),
        ({**GOOD, "parameters": 5}, "'parameters' of the request is not an object"),
        ({**GOOD, "parameters": {"binary_data_output": 1}}, "neither true nor false"),
        ({**GOOD, "outputs": {}}, "'outputs' is not a list of objects"),
        ({**GOOD, "outputs": [{}]}, "an output has no 'name'"),
        ({**GOOD, "outputs": [{"name": "x"}]}, "unknown output 'x'; expected log, sum, twice"),
        ({**GOOD, "outputs": [{"name": "sum"}] * 2}, "output 'sum' is given twice"),
        (
            {**GOOD, "outputs": [{"name": "sum", "parameters": {"classification": 2}}]},
            "use :classify or :image",
        ),
    ],
)
def test_a_fault_of_the_clients_is_a_400_and_leaves_no_trace(
    tiny_service: Service, body: object, message: str
) -> None:
    """Whatever is wrong is said on one line, and the next good request still works."""
    response = _send(tiny_service, body)

    assert (400, ["error"]) == (response.status, list(json.loads(response.body)))
    assert message in json.loads(response.body)["error"]
    assert 200 == _send(tiny_service, GOOD).status


@pytest.mark.parametrize(
    ("document", "tail", "length", "message"),
    [
        ({"inputs": [RAW_A, B, IDS]}, TWO[:7], "", "binary_data_size 8, but 7 bytes are left"),
        ({"inputs": [RAW_A, B, IDS]}, TWO + b"x", "", "1 bytes follow the last tensor"),
        (GOOD, b"x", "", "1 bytes follow the last tensor"),
        (GOOD, b"", "5000", "is '5000', expected how many of the body's"),
        (GOOD, b"", "-1", "is '-1', expected how many"),
        (GOOD, b"", "1e2", "is '1e2', expected how many"),
        (GOOD, b"", "9" * 5000, "expected how many of the body's"),
        (GOOD, b"", "٣", "expected how many of the body's"),
        (GOOD, b"", "0", "this model takes several: a, b, ids"),
        (
            {"inputs": [{**RAW_A, "shape": [1, 3]}, B, IDS]},
            TWO,
            "",
            "got 8 bytes, shape [1, 3] needs 12",
        ),
    ],
)
def test_raw_bytes_must_fill_what_the_json_claims(
    tiny_service: Service, document: object, tail: bytes, length: str, message: str
) -> None:
    """Lengths that lie, in the header or in the JSON, are refused by name."""
    response = _send_raw(tiny_service, document, tail, length)

    assert 400 == response.status
    assert message in json.loads(response.body)["error"]


def test_raw_numbers_must_be_finite(tiny_service: Service) -> None:
    """NaN in raw bytes is refused like everywhere else."""
    tail = struct.pack("<2f", 1, float("nan"))

    response = _send_raw(tiny_service, {"inputs": [RAW_A, B, IDS]}, tail)

    assert (400, True) == (response.status, b"flat position 1" in response.body)


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUE = LEAF | st.lists(LEAF | st.lists(LEAF, max_size=3), max_size=3)
TENSOR = st.dictionaries(
    st.sampled_from(["name", "shape", "datatype", "data", "parameters"]),
    VALUE
    | st.sampled_from([*v2.DATATYPES, "a", "b", "ids"])
    | st.fixed_dictionaries({"binary_data_size": LEAF}),
)


@given(
    inputs=st.lists(TENSOR | st.sampled_from([A, B, IDS, RAW_A]), max_size=4) | VALUE,
    outputs=st.lists(TENSOR, max_size=2) | VALUE,
    tail=st.binary(max_size=24),
    length=st.none() | st.integers(-1, 400),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_request_whatever_breaks_the_service(
    tiny_service: Service, inputs: object, outputs: object, tail: bytes, length: int | None
) -> None:
    """Any mix of JSON and bytes gets a 200 or a 400, and an error is one line of JSON."""
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    right = {"inference-header-content-length": str(len(head) if length is None else length)}

    response = _send(tiny_service, head + tail, right)

    assert response.status in (200, 400)
    if response.status == 400:
        assert ["error"] == list(json.loads(response.body))
