"""Reading and judging what a candidate answered."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from bench.answers import check, read
from bench.errors import WrongAnswerError

ROW = np.array([0.25, 0.75], np.float32)
RAW = base64.b64encode(ROW.tobytes()).decode()


@pytest.mark.parametrize(
    "document",
    [
        {"predictions": [[0.25, 0.75]]},
        [[0.25, 0.75]],
        {"outputs": [{"datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]}]},
        {"outputs": [{"datatype": "BYTES", "shape": [1, 1], "data": [RAW]}]},
    ],
    ids=["tf serving", "a list", "v2", "v2 in base64"],
)
def test_json_answers(document: Any) -> None:
    """Each server's own form gives the same numbers."""
    assert [0.25, 0.75] == read(json.dumps(document).encode(), "application/json").ravel().tolist()


def test_a_raw_answer() -> None:
    """The body is the tensor."""
    assert [0.25, 0.75] == read(ROW.tobytes(), "application/octet-stream").tolist()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "no"}', b'{"predictions": ["a"]}', b"7x"])
def test_an_answer_without_numbers_is_wrong(body: bytes) -> None:
    """Whatever it is, it is not taken for a prediction."""
    with pytest.raises(WrongAnswerError, match="no numbers in the answer"):
        read(body, "application/json")


def test_a_right_answer_passes_in_any_shape() -> None:
    """What float arithmetic differs by is forgiven."""
    check("it", (ROW + 1e-4).reshape(1, 2, 1), ROW)


@pytest.mark.parametrize("got", [[0.26, 0.74], [np.nan, 0.75]], ids=["off", "not a number"])
def test_a_wrong_answer_is_named(got: list[float]) -> None:
    """Whose it is, and by how much."""
    with pytest.raises(WrongAnswerError, match="LitServe answered wrong: off by"):
        check("LitServe", np.array(got, np.float32), ROW)


def test_an_answer_of_another_size_is_wrong() -> None:
    """The first of two numbers is not an answer."""
    with pytest.raises(WrongAnswerError, match="answered 1 numbers, expected 2"):
        check("it", ROW[:1], ROW)
