"""Whether rows may be run in groups: seen by running them together and one by one."""

import struct
from pathlib import Path

import numpy as np
import pytest

from convert import independence, signature
from convert.data import Examples
from tests.handler.tiny import Port, Step, write_model, write_table


def _holds(folder: Path, examples: Examples | None = None) -> bool:
    content = (folder / "model.tflite").read_bytes()
    return independence.holds(content, signature.read(content), examples)


def _model(
    folder: Path,
    step: Step,
    shape: tuple[int, ...] = (-1, 4),
    out: tuple[int, ...] = (-1, 4),
    constants: tuple[Port, ...] = (),
) -> Path:
    return write_model(
        folder,
        inputs=(Port("x", "float32", shape),),
        outputs=(Port("y", "float32", out),),
        steps=(step,),
        constants=constants,
    )


def test_rows_of_an_ordinary_model_are_independent(tmp_path: Path) -> None:
    """Each row's answer is what it is alone."""
    assert _holds(_model(tmp_path, Step("LOGISTIC", ("x",), "y")))


def test_rows_that_see_others_are_not(tmp_path: Path) -> None:
    """A model whose first dimension is a time, here one that reverses it, must not be cut."""
    axis = Port("axis", "int32", (1,), values=struct.pack("<i", 0))
    step = Step("REVERSE_V2", ("x", "axis"), "y")

    assert not _holds(_model(tmp_path / "time", step, constants=(axis,)))

    across = Port("axis", "int32", (1,), values=struct.pack("<i", 1))
    assert _holds(_model(tmp_path / "row", step, constants=(across,)))


@pytest.mark.parametrize(
    ("shape", "out"),
    [((2, 4), (2, 4)), ((-1, 4), (-1, 2)), ((-1, -1), (-1, -1))],
    ids=["fixed batch", "other rows come out", "nobody knows a row's size"],
)
def test_nothing_is_said_of_others(
    tmp_path: Path, shape: tuple[int, ...], out: tuple[int, ...]
) -> None:
    """A fixed batch, another number of rows in the answer, a free size without data: no groups."""
    assert not _holds(_model(tmp_path, Step("RESHAPE", ("x",), "y"), shape, out))


def test_the_users_rows_say_what_a_row_is(tmp_path: Path) -> None:
    """With data, a model of free sizes is run on that."""
    folder = _model(tmp_path, Step("LOGISTIC", ("x",), "y"), (-1, -1), (-1, -1))
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)

    assert _holds(folder, Examples(path=tmp_path, inputs={"x": rows}, targets=None))
    assert not _holds(folder, Examples(path=tmp_path, inputs={"x": rows[:1]}, targets=None))


def test_a_model_that_refuses_the_rows_is_not_cut(tmp_path: Path) -> None:
    """Rows that the model cannot run say nothing."""
    folder = write_table(tmp_path)
    tokens = np.array([1, 2, 9], np.int32)

    assert _holds(folder)
    assert not _holds(folder, Examples(path=tmp_path, inputs={"ids": tokens}, targets=None))
