""":classify and :regress, as TF Serving's clients send them."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.messages import Request
from handler.service import Service
from tests.handler.tiny import Port, Step, write_model

FEATURES = {"a": [1, 2], "b": [3, 4]}


@pytest.fixture(scope="module")
def scores(
    tmp_path_factory: pytest.TempPathFactory, open_model: Callable[[Path], Service]
) -> Service:
    """Two inputs of two numbers, one output of two scores with labels: a + b."""
    folder = write_model(
        tmp_path_factory.mktemp("scores"),
        inputs=(Port("a", "float32", (-1, 2)), Port("b", "float32", (-1, 2))),
        outputs=(Port("y", "float32", (-1, 2)),),
        steps=(Step("ADD", ("a", "b"), "y"),),
        labels=["cat", "dog"],
    )
    return open_model(folder)


@pytest.fixture(scope="module")
def number(
    tmp_path_factory: pytest.TempPathFactory, open_model: Callable[[Path], Service]
) -> Service:
    """One number in, one out: x + x."""
    folder = write_model(
        tmp_path_factory.mktemp("number"),
        inputs=(Port("x", "float32", (-1, 1)),),
        outputs=(Port("y", "float32", (-1, 1)),),
        steps=(Step("ADD", ("x", "x"), "y"),),
    )
    return open_model(folder)


def _send(service: Service, verb: str, body: object) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/v1/models/{service.manifest.name}:{verb}"
    response = service.answer(Request("POST", path, {}, data))
    return response.status, json.loads(response.body)


def test_classify_pairs_labels_and_scores(scores: Service) -> None:
    """One list of [label, score] for each example, in the model's order."""
    status, answer = _send(scores, "classify", {"examples": [FEATURES, {"a": [0, 1], "b": [2, 0]}]})

    expected = [[["cat", 4.0], ["dog", 6.0]], [["cat", 2.0], ["dog", 1.0]]]
    assert (200, {"results": expected}) == (status, answer)


def test_context_is_shared_by_all_examples(scores: Service) -> None:
    """A feature in `context` counts for every example."""
    body = {"context": {"b": [1, 1]}, "examples": [{"a": [1, 2]}, {"a": [3, 4]}]}

    _, answer = _send(scores, "classify", {**body, "signature_name": "serving_default"})

    assert [[2.0, 3.0], [4.0, 5.0]] == [[score for _, score in row] for row in answer["results"]]


def test_regress_gives_a_number_for_each_example(number: Service) -> None:
    """A lone number needs no list."""
    assert (200, {"results": [2.0, 5.0]}) == _send(
        number, "regress", {"examples": [{"x": 1}, {"x": [2.5]}]}
    )


def test_without_labels_the_index_is_the_label(number: Service) -> None:
    """As with :image."""
    assert {"results": [[["0", 2.0]]]} == _send(number, "classify", {"examples": [{"x": 1}]})[1]


def test_a_picture_is_a_feature(digits_service: Service, sample: Callable[[int], bytes]) -> None:
    """TF Serving's own example of binary data: {"image": {"b64": ...}}."""
    picture = {"b64": base64.b64encode(sample(4)).decode()}

    _, answer = _send(digits_service, "classify", {"examples": [{"image": picture}] * 2})

    assert ["4", "4"] == [max(row, key=lambda pair: pair[1])[0] for row in answer["results"]]


def test_an_example_is_flat_whatever_the_models_rank(
    digits_service: Service, image_of_three: list[Any]
) -> None:
    """64 numbers fill 8 x 8 x 1, row by row."""
    flat = [pixel for row in image_of_three for (pixel,) in row]

    _, answer = _send(digits_service, "classify", {"examples": [{"image": flat}]})

    assert "3" == max(answer["results"][0], key=lambda pair: pair[1])[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not JSON"),
        ([], "not a JSON object"),
        ({}, "'examples' is missing"),
        ({"examples": []}, "'examples' is missing, empty"),
        ({"examples": {}}, "'examples' is missing, empty or not a list"),
        ({"examples": [1]}, "examples[0] is not an object"),
        ({"examples": [FEATURES], "instances": []}, "unknown key 'instances'"),
        ({"examples": [FEATURES], "context": []}, "'context' is not an object"),
        ({"examples": [FEATURES], "context": {"a": 1}}, "examples[0]: 'a' is in 'context' too"),
        ({"examples": [FEATURES], "signature_name": "x"}, "unknown signature 'x'"),
        ({"examples": [{"a": [1, 2]}]}, "examples[0]: missing input 'b'"),
        ({"examples": [{**FEATURES, "c": 1}]}, "examples[0]: unknown input 'c'"),
        ({"examples": [FEATURES, {**FEATURES, "b": 1}]}, "examples[1]: 'b' has 1 numbers"),
        (
            {"examples": [{**FEATURES, "b": [1, 2, 3]}]},
            "got 3 numbers for each example, expected a flat list of 2",
        ),
        ({"examples": [{**FEATURES, "b": [[1], [2]]}]}, "found a list at [0]"),
        ({"examples": [{**FEATURES, "b": ["1", "2"]}]}, "found a string at [0]"),
        ({"examples": [{**FEATURES, "b": {"b64": "AA=="}}]}, "is for pictures"),
        ({"examples": [{**FEATURES, "b": [1, None]}]}, "found null at [1]"),
    ],
)
def test_a_fault_of_the_clients_is_a_400(scores: Service, body: object, message: str) -> None:
    """The message names the example, and the next good request still works."""
    status, answer = _send(scores, "classify", body)

    assert (400, ["error"]) == (status, list(answer))
    assert message in answer["error"]
    assert 200 == _send(scores, "classify", {"examples": [FEATURES]})[0]


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ([0.5] * 64, "has 2816000 numbers, the context in each example counted, at most 2750000"),
        ({"b64": "A" * 200}, "have 8800000 characters, the context in each example counted"),
    ],
)
def test_a_context_makes_no_more_of_a_body_than_a_body_holds(
    digits_service: Service, feature: object, message: str
) -> None:
    """Millions of empty examples that share one feature would take gigabytes."""
    body = {"context": {"image": feature}, "examples": [{}] * 44_000}

    status, answer = _send(digits_service, "classify", body)

    assert 413 == status
    assert message in answer["error"]


def test_a_model_that_answers_something_else_says_so(
    scores: Service, tiny_service: Service
) -> None:
    """Two numbers are no regression, and three outputs are neither."""
    _, answer = _send(scores, "regress", {"examples": [FEATURES]})
    assert "gives [1, 2], not one number for each example; use :predict" in answer["error"]

    three = {"examples": [{**FEATURES, "ids": 1}]}
    for verb in ("classify", "regress"):
        status, answer = _send(tiny_service, verb, three)
        assert (400, True) == (status, "several outputs: log, sum, twice" in answer["error"])
