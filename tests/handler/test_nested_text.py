"""A tensor's JSON, read and written by its text."""

import json
import sys
from array import array
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.errors import BadRequestError
from handler.protocols import nested_text
from handler.tensor import Tensor, TensorSpec, from_nested, to_nested

NUMBERS = st.integers(-3, 300) | st.floats(allow_nan=False, allow_infinity=False)
OTHERS: st.SearchStrategy[Any] = st.sampled_from((None, True, "1", "[", "", {}, {"a": 1}, []))
SHAPES = ((-1,), (-1, 1), (-1, 2), (2, -1, 1), (2, 2), (-1, -1), ())


@pytest.fixture(autouse=True, scope="module", params=["json", "orjson"])
def parser(request: pytest.FixtureRequest) -> Iterator[None]:
    """Small texts are read by what is there: Lambda has the one loaded, the server the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "orjson", orjson)
        if request.param == "json":
            patch.delitem(sys.modules, "orjson")
        yield


def _read(text: str, dtype: str, shape: tuple[int, ...]) -> Tensor | None:
    return nested_text.read(text.encode(), TensorSpec("x", dtype, shape))


def _all(tensor: Tensor) -> tuple[str, tuple[int, ...], bytes]:
    return tensor.dtype, tensor.shape, bytes(tensor.data)


@given(
    st.recursive(NUMBERS | OTHERS, lambda items: st.lists(items, max_size=3), max_leaves=9),
    st.sampled_from(("float32", "float16", "float64", "int8", "uint64", "bool")),
    st.sampled_from(SHAPES),
    st.sampled_from(((",", ":"), (", ", ": "), (" \n,\t", ":"))),
)
@example([[1.5], [2]], "float32", (-1, 1), (",", ":"))
@example([[1, 2], [3, 4]], "int8", (2, 2), (", ", ": "))
@example([[1], []], "float32", (-1, 1), (",", ":"))
@example(5, "float32", (-1, 2), (",", ":"))
@settings(deadline=None, max_examples=400)
def test_the_short_way_reads_what_the_long_one_does_or_nothing(
    value: Any, dtype: str, shape: tuple[int, ...], separators: tuple[str, str]
) -> None:
    """Whatever the lists hold: the same tensor, or none where the long way may object."""
    spec = TensorSpec("x", dtype, shape)

    tensor = _read(json.dumps(value, separators=separators, ensure_ascii=False), dtype, shape)

    if tensor is not None:
        assert _all(from_nested(value, spec)) == _all(tensor)


@given(
    st.sampled_from(("[[1,2],[3,4]]", "[[[1.5]],[[-2e3]]]", "[ [10] , [0.25] ]", "[7]", "[]")),
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.integers(0, 2),
            st.sampled_from(("", "[", "]", ",", "1", "-", ".", "e", " ", "\x0b", "NaN", "é")),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(((-1, 2), (-1, 1), (-1,), (2, -1, 1), (2, 2))),
)
@example("[[1,2],[3,4]]", [(1, 0, "5")], (-1, 2))
@example("[[1,2],[3,4]]", [(6, 0, "5")], (-1, 2))
@example("[[1,2],[3,4]]", [(1, 1, ""), (2, 0, "[")], (-1, 2))
@settings(deadline=None, max_examples=1000)
def test_what_is_no_json_is_left_to_the_long_way(
    text: str, changes: list[tuple[int, int, str]], shape: tuple[int, ...]
) -> None:
    """A bracket too many, a number where none may be: nobody has parsed the text before."""
    for start, length, new in changes:
        text = text[:start] + new + text[start + length :]

    tensor = _read(text, "float32", shape)

    if tensor is not None:
        expected = from_nested(json.loads(text), TensorSpec("x", "float32", shape))
        assert _all(expected) == _all(tensor)


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [
        ("[[1, 2.5], [-3e2, 4]]", "float32", (-1, 2)),
        ("[[1],\n [2]]", "int8", (-1, 1)),
        ("[0.5]", "float16", (1,)),
        ("[[[1,2]]]", "float64", (1, -1, 2)),
    ],
)
def test_plain_numbers_in_the_right_shape_take_the_short_way(
    text: str, dtype: str, shape: tuple[int, ...]
) -> None:
    """However they are spaced and signed, and whichever one dimension is free."""
    tensor = _read(text, dtype, shape)

    assert tensor is not None
    assert json.loads(text) == to_nested(tensor)


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [
        ("[[1],[]]", "float32", (-1, 1)),
        ("[[1,2],[3]]", "float32", (-1, 2)),
        ("[[1,2,3],[4]]", "float32", (2, 2)),
        ("[[true,1]]", "float32", (-1, 2)),
        ('[["1",2]]', "float32", (-1, 2)),
        ("[[1.0,2]]", "int8", (-1, 2)),
        ("[[300,2]]", "int8", (-1, 2)),
        ("[[1,0]]", "bool", (-1, 2)),
        ("[[1,2]]", "float32", (-1, -1)),
        ("1", "float32", ()),
        ("[5[,2]]", "float32", (1, 2)),
        ("[[1,]2]", "float32", (1, 2)),
        ("[[1,2 3]]", "float32", (-1, 2)),
        ("[[01,2]]", "float32", (-1, 2)),
        ("[[1,2]] [", "float32", (-1, 2)),
    ],
)
def test_anything_else_is_left_to_the_long_way(
    text: str, dtype: str, shape: tuple[int, ...]
) -> None:
    """It says what is wrong, and reads what the text alone does not settle."""
    assert _read(text, dtype, shape) is None


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    st.sampled_from((1, 2)),
)
@example([1, -0.0, 1e10, 1e-5, 0.1, 16777216], 2)
@settings(deadline=None)
def test_written_text_is_what_json_makes_of_the_lists(numbers: list[float], width: int) -> None:
    """The same values, floats with a point or an exponent, and nothing but JSON around them."""
    values = array("f", numbers * width)
    tensor = Tensor("float32", (len(numbers), width), values)

    written = nested_text.render(tensor)

    assert to_nested(tensor) == json.loads(written)
    assert written == written.replace(" ", "")
    assert {float} == {type(value) for row in json.loads(written) for value in row}


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (Tensor("int8", (2, 1), bytes((1, 255))), "[[1],[-1]]"),
        (Tensor("bool", (2,), b"\1\0"), "[true,false]"),
        (Tensor("float16", (1, 2), bytes((0, 60, 0, 128))), "[[1.0,-0.0]]"),
        (Tensor("float32", (), array("f", [0.1])), "0.1"),
        (Tensor("float32", (2, 0), b""), "[[],[]]"),
        (Tensor("float32", (1, 0, 4), b""), "[[]]"),
    ],
)
def test_every_dtype_has_its_text(tensor: Tensor, expected: str) -> None:
    """Integers without a point, booleans as JSON's own, a scalar without brackets."""
    assert expected == nested_text.render(tensor)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_what_json_has_no_number_for_is_not_written(dtype: str, number: float) -> None:
    """It can only be our own bug: the predictor lets none through."""
    with pytest.raises(ValueError, match=r"finite|JSON"):
        nested_text.render(Tensor.of(dtype, (1,), [number]))


def test_an_overflowing_number_is_refused_by_the_long_way() -> None:
    """10^400 is an integer that no float holds."""
    text = "[[1%s, 1]]" % ("0" * 400)

    assert _read(text, "float32", (-1, 2)) is None
    with pytest.raises(BadRequestError, match="outside the range of float32"):
        from_nested(json.loads(text), TensorSpec("x", "float32", (-1, 2)))
