"""The Open Inference Protocol: what breaks it, in the JSON and in the raw bytes behind it."""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.protocols import v2
from handler.service import Service
from tests.handler.tiny import Port, Step, write_model
from tests.handler.v2_requests import GOOD, IDS, RAW_A, TWO, A, B, send, send_raw


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
        (
            _with(A, datatype="INT32", data=[0.5, 1]),
            "(expected float32 of shape [-1, -1]): got int32",
        ),
        (_with(A, shape=None), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[1, -1]), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[1, True]), "shape of input 'a' is not a list of sizes"),
        (_with(A, shape=[1, 2.5]), "shape of input 'a' is not a list of sizes"),
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
        (_with(A, data=None, parameters={"binary_data_size": 7.5}), "not a number of bytes"),
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
    response = send(tiny_service, body)

    assert (400, ["error"]) == (response.status, list(json.loads(response.body)))
    assert message in json.loads(response.body)["error"]
    assert 200 == send(tiny_service, GOOD).status


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
        (GOOD, b"", "7", "; Inference-Header-Content-Length says that the first 7 bytes are JSON"),
        (GOOD, b"", "0", "'b' of shape [-1, -1], 'ids' of shape [-1]: send JSON before the bytes"),
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
    response = send_raw(tiny_service, document, tail, length)

    assert 400 == response.status
    assert message in json.loads(response.body)["error"]


def test_raw_bytes_need_the_header(tiny_service: Service) -> None:
    """A proxy that drops the header leaves JSON with something behind it."""
    response = send(tiny_service, json.dumps({"inputs": [RAW_A, B, IDS]}).encode() + TWO)

    assert 400 == response.status
    assert b"behind it need the header Inference-Header-Content-Length" in response.body


def test_raw_numbers_must_be_finite(tiny_service: Service) -> None:
    """NaN in raw bytes is refused like everywhere else."""
    tail = struct.pack("<2f", 1, float("nan"))

    response = send_raw(tiny_service, {"inputs": [RAW_A, B, IDS]}, tail)

    assert (400, True) == (response.status, b"flat position 1" in response.body)


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUE = LEAF | st.lists(LEAF | st.lists(LEAF, max_size=3), max_size=3)
TENSOR = st.dictionaries(
    st.sampled_from(["name", "shape", "datatype", "data", "parameters"]),
    VALUE
    | st.sampled_from([*v2.DATATYPES, "a", "b", "ids"])
    | st.fixed_dictionaries({"binary_data_size": LEAF}),
)


def test_bytes_alone_do_not_say_two_free_sizes(
    tmp_path: Path, open_model: Callable[[Path], Service]
) -> None:
    """A `?shape=`, which the error asked for before, is :predict's and not read here."""
    square = (-1, -1)
    folder = write_model(
        tmp_path,
        inputs=(Port("x", "float32", square),),
        outputs=(Port("y", "float32", square),),
        steps=(Step("ADD", ("x", "x"), "y"),),
    )

    response = send(open_model(folder), TWO, {"inference-header-content-length": "0"})

    assert 400 == response.status
    assert b"takes 'x' of shape [-1, -1]: send JSON before the bytes" in response.body


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

    response = send(tiny_service, head + tail, right)

    assert response.status in (200, 400)
    if response.status == 400:
        assert ["error"] == list(json.loads(response.body))
