"""A .tflite file passes through: signatures, small integers at its ends, what it was made by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import given
from convert.recipe import AS_GIVEN
from tests.handler import tiny

SCALE = (0.5, 3)


def port(name: str, dtype: str = "float32", scheme: Any = None) -> Any:
    """A tensor of three columns and any number of rows."""
    return tiny.Port(name, dtype, (-1, 3), scheme)


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A file with three signatures, one of them the default."""
    graphs = [
        tiny.Graph(name, (port("a"),), (port(out),), (tiny.Step(operator, ("a",), out),))
        for name, operator, out in (("negate", "NEG", "n"), ("absolute", "ABS", "m"))
    ]
    step = tiny.Step("RELU", ("x",), "y")
    folder = tmp_path / "several"
    tiny.write_model(folder, (port("x"),), (port("y"),), (step,), tuple(graphs))
    return folder / "model.tflite"


def test_other_signatures_pass_through(several: Path, convert: Any) -> None:
    """All signatures stay in the file, and model.json lists those that are not the default."""
    outcome = convert(several, "--recipe", "float32")
    assert 0 == outcome.code
    described = json.loads((outcome.out / "model.json").read_text())
    assert "serving_default" == described["signature"]["name"]
    assert ["absolute", "negate"] == [one["name"] for one in described["other_signatures"]]
    assert several.read_bytes() == (outcome.out / "model.tflite").read_bytes()


def test_every_signature_says_whether_its_rows_are_independent(several: Path, convert: Any) -> None:
    """model.json says of each signature whether its rows may be run in groups."""
    described = json.loads((convert(several, "--recipe", "float32").out / "model.json").read_text())
    signatures = (described["signature"], *described["other_signatures"])
    assert [True, True, True] == [one["independent_rows"] for one in signatures]


def test_signature_is_chosen_by_name(several: Path, convert: Any) -> None:
    """--signature makes another one the default."""
    outcome = convert(several, "--recipe", "float32", "--signature", "absolute")
    described = json.loads((outcome.out / "model.json").read_text())
    assert "absolute" == described["signature"]["name"]
    assert [{"name": "m", "dtype": "float32", "shape": [-1, 3]}] == described["signature"][
        "outputs"
    ]
    assert ["negate", "serving_default"] == [one["name"] for one in described["other_signatures"]]


def test_unknown_signature_is_answered_with_those_there_are(several: Path, convert: Any) -> None:
    """A signature that is not there is answered with the names that are."""
    fault = convert.fails(several, "--recipe", "float32", "--signature", "classify")
    assert "no signature 'classify'; there are: absolute, negate, serving_default" in fault


def test_small_integers_at_the_ends(tmp_path: Path, convert: Any) -> None:
    """int8 inputs and outputs stay; data are floats, and model.json says how to turn them."""
    step = tiny.Step("RELU", ("x",), "y")
    tiny.write_model(
        tmp_path / "q", (port("x", "int8", SCALE),), (port("y", "int8", SCALE),), (step,)
    )
    rows = np.array([[-1.0, 0.5, 2.0], [3.0, -2.0, 1.0]], np.float32)
    np.savez(tmp_path / "e.npz", x=rows, y=np.array([2, 0]))
    outcome = convert(tmp_path / "q" / "model.tflite", "--evaluation", tmp_path / "e.npz")
    assert 0 == outcome.code, outcome.errors
    described = json.loads((outcome.out / "model.json").read_text())
    ends = [described["signature"][side][0] for side in ("inputs", "outputs")]
    assert [{"scale": 0.5, "zero_point": 3}] * 2 == [end["quantization"] for end in ends]
    assert ["int8", "int8"] == [end["dtype"] for end in ends]
    report = json.loads((outcome.out / "report.json").read_text())
    assert [1.0] == [one["metric"] for one in report["candidates"]]


def test_recipe_is_read_off(converted: dict[Any, Path]) -> None:
    """What each recipe makes is told from its file; plain floats are told from what was made."""
    told = {recipe: given.recipe_of(path.read_bytes()) for recipe, path in converted.items()}
    assert {recipe: None if recipe == "float32" else recipe for recipe in told} == told


def test_other_quantization_is_taken_as_given(tmp_path: Path) -> None:
    """A file that none of the recipes writes is called as given."""
    names = ("x", "y")
    inputs = tuple(port(name, "uint8", SCALE) for name in names)
    step = tiny.Step("MAXIMUM", names, "z")
    tiny.write_model(tmp_path, inputs, (port("z", "uint8", SCALE),), (step,))
    assert AS_GIVEN == given.recipe_of((tmp_path / "model.tflite").read_bytes())


def test_quantized_file_is_only_judged(converted: dict[Any, Path], zoo: Any, convert: Any) -> None:
    """Of a file that was quantized before, the only candidate is the file."""
    made = converted["dynamic_wi8_afp32"]
    outcome = convert(made, "--evaluation", zoo.evaluation)
    assert 0 == outcome.code
    report = json.loads((outcome.out / "report.json").read_text())
    assert ["dynamic_wi8_afp32"] == [one["recipe"] for one in report["candidates"]]
    assert made.read_bytes() == (outcome.out / "model.tflite").read_bytes()


def test_quantized_file_cannot_become_another(converted: dict[Any, Path], convert: Any) -> None:
    """A recipe that the file was not made by is refused, with what it looks like."""
    fault = convert.fails(converted["dynamic_wi8_afp32"], "--recipe", "float32")
    assert "already quantized (it looks like dynamic_wi8_afp32)" in fault
