"""The question asked at every start."""

import base64
import json
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.errors import StartupError
from handler.service import Service
from tests.handler.tiny import Port, Step, write_model

Open = Callable[[Path], Service]
ROW = base64.b64encode(array("f", [1, 2, -3]).tobytes()).decode()


def _model(folder: Path, **change: Any) -> Path:
    golden = {
        "inputs": {"x": {"shape": [2, 3], "base64": ROW}},
        "outputs": {"y": {"shape": [2, 3], "values": [1.0, 2.01, 0.0, 1.0]}},
        "tolerance": 0.02,
    }
    return write_model(
        folder,
        inputs=(Port("x", "float32", (-1, 3)),),
        outputs=(Port("y", "float32", (-1, 3)),),
        steps=(Step("RELU", ("x",), "y"),),
        golden={**golden, **change},
    )


def test_the_right_answer_lets_the_start_go_on(tmp_path: Path, open_model: Open) -> None:
    """The piece is repeated to fill the shape; numbers within the tolerance pass."""
    assert "tiny" == open_model(_model(tmp_path)).manifest.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"outputs": {"y": {"shape": [2, 3], "values": [1.0, 2.1]}}},
            r"output 'y' is 2 at flat position 1, model.json expects 2.1 \(give or take 0.042\)",
        ),
        (
            {"outputs": {"y": {"shape": [1, 3]}}},
            r"output 'y' has shape \[2, 3\], model.json expects \[1, 3\]",
        ),
        ({"tolerance": 0.001}, "'y' is 2 at flat position 1, model.json expects 2.01"),
        ({"inputs": {}}, "model.json's `golden` is not complete: KeyError 'x'; run convert again"),
        ({"inputs": {"x": {"shape": [1, 3], "base64": ""}}}, "is not complete: ZeroDivisionError"),
        ({"outputs": {"z": {"shape": [1]}}}, "is not complete: KeyError 'z'"),
    ],
    ids=["number", "shape", "tolerance", "no input", "no bytes", "unknown output"],
)
def test_another_answer_fails_the_start(
    tmp_path: Path, open_model: Open, change: dict[str, Any], message: str
) -> None:
    """The reason names the output, what it gave and what was expected."""
    with pytest.raises(StartupError, match=message):
        open_model(_model(tmp_path, **change))


def test_an_output_that_is_not_written_fails_the_start(tmp_path: Path, open_model: Open) -> None:
    """A size that is known after the run: requests were told that their numbers are wrong."""
    folder = write_model(
        tmp_path,
        inputs=(Port("x", "bool", (-1,)),),
        outputs=(Port("y", "int64", (-1, 1)),),
        steps=(Step("WHERE", ("x",), "y"),),
        golden={
            "inputs": {"x": {"shape": [3], "base64": base64.b64encode(b"\1\0\1").decode()}},
            "outputs": {"y": {"shape": [2, 1]}},
            "tolerance": 0.02,
        },
    )

    with pytest.raises(StartupError, match="does not write output 'y' where it is told to"):
        open_model(folder)


def test_what_is_no_number_is_another_answer(tmp_path: Path, open_model: Open) -> None:
    """A NaN is near nothing."""
    folder = _model(tmp_path)
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    row = base64.b64encode(array("f", [float("nan")]).tobytes()).decode()
    document["golden"]["inputs"]["x"]["base64"] = row
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(StartupError, match="is nan at flat position 0"):
        open_model(folder)


def test_a_conversion_brings_its_question_along(digits: Path) -> None:
    """model.json of the example asks for a picture's scores."""
    golden = json.loads((digits / "model.json").read_text(encoding="utf-8"))["golden"]

    assert [1, 8, 8, 1] == golden["inputs"]["image"]["shape"]
    assert 10 == len(golden["outputs"]["scores"]["values"])
