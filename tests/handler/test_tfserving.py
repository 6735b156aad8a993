"""TensorFlow Serving's protocol: what its own tests send, and what Python would let through."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.errors import BadRequestError
from handler.protocols import strict_json, tfserving
from handler.service import Request, Service

Post = Callable[[Service, object], tuple[int, dict[str, Any]]]

ROW = {"a": [1, 2], "b": [3, 4], "ids": 5}
COLUMNS = {"a": [[1, 2]], "b": [[3, 4]], "ids": [5]}


def test_rows_get_predictions_and_columns_get_outputs(tiny_service: Service, post: Post) -> None:
    """The same numbers come back as rows for `instances`, and as columns for `inputs`."""
    logs = [0.0, 0.6931472]

    assert {"predictions": [{"log": logs, "sum": [4.0, 6.0], "twice": 10}] * 2} == post(
        tiny_service, {"instances": [ROW, ROW]}
    )[1]
    assert {"outputs": {"log": [logs], "sum": [[4.0, 6.0]], "twice": [10]}} == post(
        tiny_service, {"inputs": COLUMNS}
    )[1]


def test_a_lone_input_and_output_need_no_names(
    digits_service: Service, post: Post, image_of_three: list[Any]
) -> None:
    """With one input and one output, values come and go bare; naming the input is fine too."""
    bare = post(digits_service, {"instances": [image_of_three]})[1]["predictions"]
    named = post(digits_service, {"instances": [{"image": image_of_three}]})[1]["predictions"]
    column = post(digits_service, {"inputs": [image_of_three]})[1]["outputs"]
    named_column = post(digits_service, {"inputs": {"image": [image_of_three]}})[1]["outputs"]

    assert 3 == bare[0].index(max(bare[0]))
    assert bare == named == column == named_column


def test_the_signature_may_be_named(tiny_service: Service, post: Post) -> None:
    """`signature_name` may be left out, empty or the one there is."""
    for name in ("", "serving_default"):
        assert 200 == post(tiny_service, {"inputs": COLUMNS, "signature_name": name})[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"\xff\xfe{\x00", "not UTF-8"),
        ('{"instances": [1]}'.encode("utf-16"), "not UTF-8"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"instances": ' + b"[" * 120 + b"1" + b"]" * 120 + b"}", "instances[0] is not"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"inputs": {"a": NaN}}', "holds NaN"),
        (b'{"inputs": {"a": -Infinity}}', "holds -Infinity"),
        (b'{"inputs": {"a": ' + b"9" * 5_000 + b"}}", "more than 4300 digits"),
        (b'{"inputs": {}, "inputs": {}}', "the key 'inputs' twice"),
        (b'{"inputs": {"a": [], "a": []}}', "the key 'a' twice"),
        ({}, "neither 'instances' nor 'inputs'"),
        ({"instances": [ROW], "inputs": COLUMNS}, "both 'instances' and 'inputs'"),
        ({"inputs": COLUMNS, "extra": 1}, "unknown key 'extra'"),
        ({"inputs": COLUMNS, "signature_name": 3}, "'signature_name' is not a string"),
        ({"inputs": COLUMNS, "signature_name": "train"}, "unknown signature 'train'"),
        ({"instances": {}}, "'instances' is not a list"),
        ({"instances": []}, "'instances' is empty"),
        ({"instances": [ROW, 1]}, "instances[1] is not an object"),
        ({"instances": [{"a": [1], "b": [1]}]}, "instances[0]: missing input 'ids'"),
        ({"instances": [{**ROW, "c": 1}]}, "instances[0]: unknown input 'c'"),
        ({"instances": [ROW, {**ROW, "a": [1]}]}, "input 'a'"),
        ({"inputs": [1]}, "expected by name"),
        ({"inputs": {"a": [[1]], "b": [[1]]}}, "missing input 'ids'"),
        ({"inputs": {**COLUMNS, "c": 1}}, "unknown input 'c'"),
        ({"inputs": {**COLUMNS, "a": [[None, 1]]}}, "found null at [0][0]"),
        ({"inputs": {**COLUMNS, "a": [["1", 1]]}}, "found a string at [0][0]"),
        ({"inputs": {**COLUMNS, "a": [[{"b64": "AA=="}, 1]]}}, "found an object at [0][0]"),
        (
            {"inputs": {**COLUMNS, "a": [{"b64": "AA=="}]}},
            "input 'a' takes float32; {\"b64\": ...} is for pictures, which this input is not",
        ),
        ({"inputs": {**COLUMNS, "ids": [1.5]}}, "a number with a fraction"),
        (
            {"inputs": {**COLUMNS, "ids": [2**31]}},
            "2147483648 at [0] is outside the range of int32",
        ),
        ({"inputs": {**COLUMNS, "a": []}}, "an empty batch"),
        ({"inputs": {**COLUMNS, "a": [[]]}}, "got shape [1, 0]"),
        (b'{"inputs": {"a": [[1e400, 1]], "b": [[1, 1]], "ids": [1]}}', "flat position 0"),
        (b'{"inputs": {"a": [[1, 1e39]], "b": [[1, 1]], "ids": [1]}}', "flat position 1"),
    ],
)
def test_a_fault_of_the_clients_is_a_400_and_leaves_no_trace(
    tiny_service: Service, post: Post, body: object, message: str
) -> None:
    """Whatever is wrong is said on one line, and the next good request still works."""
    status, answer = post(tiny_service, body)

    assert 400 == status
    assert ["error"] == list(answer)
    assert message in answer["error"]
    assert "\n" not in answer["error"]
    assert 200 == post(tiny_service, {"inputs": COLUMNS})[0]


def test_an_answer_that_is_not_finite_is_refused(tiny_service: Service, post: Post) -> None:
    """log(0) is no JSON number: the client learns which output left its domain."""
    status, answer = post(tiny_service, {"inputs": {**COLUMNS, "a": [[1, 0]]}})

    assert 400 == status
    assert "output 'log' is not finite for this input (-inf at flat position 1)" in answer["error"]


def test_rows_need_one_batch_dimension(tiny_service: Service) -> None:
    """Outputs without a row for each instance cannot be answered as rows."""
    tensors, _, _ = tfserving.parse(
        strict_json.render({"inputs": {**COLUMNS, "ids": [1, 2, 3]}}), tiny_service.manifest
    )

    with pytest.raises(BadRequestError, match="no row for each of 2 instances; send 'inputs'"):
        tfserving.render({"ids": tensors["ids"]}, rows=True, batch=2)


def test_a_wrong_shape_is_named_with_what_was_expected(digits_service: Service, post: Post) -> None:
    """The error says the input's dtype, the shape it takes and the shape that came."""
    status, answer = post(digits_service, {"instances": [[[[1]] * 8] * 7]})

    assert 400 == status
    assert (
        "input 'image' (expected float32 of shape [-1, 8, 8, 1]): got shape [1, 7, 8, 1]"
        == answer["error"]
    )


def test_status_is_tf_servings(tiny_service: Service) -> None:
    """GET on the model answers AVAILABLE, as TF Serving's clients expect."""
    response = tiny_service.answer(Request("GET", "/v1/models/tiny", {}))

    entry = {"error_code": "OK", "error_message": ""}
    expected = {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": entry}]}
    assert (200, expected) == (response.status, strict_json.parse(response.body))


def test_metadata_is_tf_servings(quantized: Any, open_model: Any) -> None:
    """Metadata describes the signature as clients see it, and what is deployed."""
    document = tfserving.metadata(open_model(quantized).manifest)

    signatures: Any = document["metadata"]
    signature = signatures["signature_def"]["signature_def"]["serving_default"]
    dims = [{"size": "-1", "name": ""}, {"size": "4", "name": ""}]
    shape = {"dim": dims, "unknown_rank": False}
    assert {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "x"} == signature["inputs"]["x"]
    assert {"name": "tiny", "signature_name": "", "version": "1"} == document["model_spec"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "ids", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    document=st.dictionaries(
        st.sampled_from(["instances", "inputs", "signature_name", "x"]), JSON, max_size=3
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_whatever_breaks_the_service(
    tiny_service: Service, post: Post, document: dict[str, Any]
) -> None:
    """Any JSON gets a 200 or a 400, always in JSON that a strict parser reads."""
    status, answer = post(tiny_service, document)

    assert status in (200, 400)
    assert (status == 400) == (list(answer) == ["error"])
