"""The question that every start asks, and its answer."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import golden, signature
from convert.data import Examples
from tests.handler.tiny import Port, Step, write_model


def _made(
    folder: Path,
    shape: tuple[int, ...] = (-1, 4),
    dtype: str = "float32",
    operator: str = "RELU6",
    rows: np.ndarray[Any, Any] | None = None,
) -> dict[str, Any] | None:
    write_model(
        folder,
        inputs=(Port("x", dtype, shape),),
        outputs=(Port("y", dtype, shape),),
        steps=(Step(operator, ("x",), "y"),),
    )
    content = (folder / "model.tflite").read_bytes()
    examples = rows if rows is None else Examples(path=folder, inputs={"x": rows}, targets=None)
    return golden.make(content, signature.read(content), examples)


def _input(made: dict[str, Any], dtype: str) -> np.ndarray[Any, Any]:
    entry = made["inputs"]["x"]
    return np.resize(np.frombuffer(base64.b64decode(entry["base64"]), dtype), entry["shape"])


def test_the_question_is_a_row_of_the_users(tmp_path: Path) -> None:
    """The first row goes in, and what the model makes of it is written down, rounded."""
    rows = np.array([[-1, 0.12345, 2, 7], [9, 9, 9, 9]], np.float32)

    made = _made(tmp_path, rows=rows)

    assert made is not None
    assert rows[:1].tolist() == _input(made, "float32").tolist()
    assert {"y": {"shape": [1, 4], "values": [0.0, 0.12, 2.0, 6.0]}} == made["outputs"]
    assert 0.02 == made["tolerance"]


def test_small_values_are_rounded_like_great_ones(tmp_path: Path) -> None:
    """A value a millionth of the greatest is 0: its digits differ from processor to processor."""
    made = _made(tmp_path, rows=np.array([[2.00001, 1e-6, 1.2345, 0]], np.float32))

    assert made is not None
    assert [2.0, 0.0, 1.23, 0.0] == made["outputs"]["y"]["values"]


def test_digits_are_counted_from_the_greatest_value(tmp_path: Path) -> None:
    """Three of them, wherever its decimal point is."""
    made = _made(tmp_path, rows=np.array([[0.054321, 0.00123, 0, 0]], np.float32))

    assert made is not None
    assert [0.0543, 0.0012, 0.0, 0.0] == made["outputs"]["y"]["values"]


def test_a_large_row_is_a_lively_piece_repeated(tmp_path: Path) -> None:
    """4 KiB stand for the whole picture, and not those of its blank margin."""
    row = np.zeros((1, 5000), np.float32)
    row[0, 2148] = 3.0

    made = _made(tmp_path, shape=(-1, 5000), rows=row)

    assert made is not None
    assert 4096 == len(base64.b64decode(made["inputs"]["x"]["base64"]))
    values = _input(made, "float32")
    assert (1, 5000) == values.shape
    assert [100, 1124, 2148, 3172, 4196] == np.flatnonzero(values).tolist()
    assert 256 == len(made["outputs"]["y"]["values"])


def test_without_data_numbers_are_made_up(tmp_path: Path) -> None:
    """Free sizes are guessed, the batch is one row, and the same file comes out every time."""
    made = _made(tmp_path, shape=(-1, -1))

    assert made is not None
    assert [1, 16] == made["inputs"]["x"]["shape"]
    assert json.dumps(made) == json.dumps(_made(tmp_path, shape=(-1, -1)))


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_integers_without_data_are_ids_that_exist(tmp_path: Path, dtype: str) -> None:
    """Every table has an entry 0; and what comes out as integers is not compared by value."""
    made = _made(tmp_path, dtype=dtype, operator="RESHAPE", shape=(1, 4))

    assert made is not None
    assert [[0, 0, 0, 0]] == _input(made, dtype).tolist()
    assert {"y": {"shape": [1, 4]}} == made["outputs"]


def test_an_answer_that_is_no_number_is_not_written_down(tmp_path: Path) -> None:
    """log(0) is infinite: only the shape is kept."""
    made = _made(tmp_path, operator="LOG", rows=np.zeros((1, 4), np.float32))

    assert made is not None
    assert {"y": {"shape": [1, 4]}} == made["outputs"]


def test_a_model_that_cannot_run_on_made_up_sizes_has_no_question(tmp_path: Path) -> None:
    """Which sizes make sense is for the user's data to say."""
    write_model(
        tmp_path,
        inputs=(Port("a", "float32", (-1, -1)), Port("b", "float32", (-1, 3))),
        outputs=(Port("y", "float32", (-1, -1)),),
        steps=(Step("ADD", ("a", "b"), "y"),),
    )
    content = (tmp_path / "model.tflite").read_bytes()

    assert golden.make(content, signature.read(content), None) is None
