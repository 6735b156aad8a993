"""Nested JSON numbers <-> flat arrays."""

import json
import math
import random
import struct
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import BadRequestError
from handler.tensor import Tensor, TensorSpec, from_nested, shortest, to_nested, zeros


def _spec(dtype: str = "float32", shape: tuple[int, ...] = (-1, 2)) -> TensorSpec:
    return TensorSpec("x", dtype, shape)


def test_nested_lists_become_row_major_values() -> None:
    """Lists of lists are read row by row, and the shape is what they are."""
    tensor = from_nested([[1, 2.5], [3, 4]], _spec())

    assert ((2, 2), [1, 2.5, 3, 4]) == (tensor.shape, tensor.tolist())


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ([["1.5", 1]], "float32", r"expected numbers, found a string at \[0\]\[0\]"),
        ([[1, True]], "float32", r"expected numbers, found a boolean at \[0\]\[1\]"),
        ([[1, 2], [None, 1]], "float32", r"expected numbers, found null at \[1\]\[0\]"),
        ([[1, {}]], "float32", r"expected numbers, found an object at \[0\]\[1\]"),
        ([[1, [1]]], "float32", r"expected numbers, found a list at \[0\]\[1\]"),
        ([1, [1]], "float32", r"expected a list, found an integer at \[0\]"),
        ([[1, 2], [3, 4], [5, 6, 7]], "float32", r"ragged: a list of 3 at \[2\], others have 2"),
        ("abc", "float32", "expected a list, found a string at the top"),
        ([[1.0, 2]], "int32", r"expected integers, found a number with a fraction at \[0\]\[0\]"),
        ([[1, 300]], "int8", r"the number 300 at \[0\]\[1\] is outside the range of int8"),
        (
            [[5, 4], [-1, -2]],
            "uint64",
            r"the number -1 at \[1\]\[0\] is outside the range of uint64",
        ),
        ([[0, 7e4], [1e400, 0]], "float16", r"the number 70000.0 at \[0\]\[1\] is outside"),
        ([[10**400, 1]], "float32", r"the number 10{31} at \[0\]\[0\] is outside the range"),
        ([[1, 0]], "bool", r"expected booleans, found an integer at \[0\]\[0\]"),
    ],
)
def test_what_is_not_such_a_tensor_is_refused_by_place(
    value: object, dtype: str, message: str
) -> None:
    """Wrong types, ranks and ragged lists are refused, and the first of them is pointed at."""
    with pytest.raises(BadRequestError, match=message):
        from_nested(value, _spec(dtype))


def test_a_refusal_says_what_was_expected() -> None:
    """The message names the input, its dtype and its shape."""
    with pytest.raises(
        BadRequestError, match=r"^input 'x' \(expected float32 of shape \[-1, 2\]\)"
    ):
        from_nested([[None, 1]], _spec())


def test_a_scalar_is_a_bare_number() -> None:
    """A tensor of rank 0 is read from a number and written as one."""
    tensor = from_nested(3, _spec("int32", ()))

    assert ((), 3) == (tensor.shape, to_nested(tensor))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
@settings(deadline=None)
def test_float32_text_gives_back_the_same_float32(numbers: list[float]) -> None:
    """What is rendered parses to the same float32, so that every backend gives the same numbers."""
    values = array("f", numbers)

    text = json.dumps(to_nested(Tensor("float32", (len(values),), values)))

    assert values == array("f", json.loads(text))


def test_float32_text_is_short() -> None:
    """0.1 stays 0.1: no digits that the float32 does not hold."""
    assert [0.1, 16777216.0, -0.25] == to_nested(
        Tensor("float32", (3,), array("f", [0.1, 16777216, -0.25]))
    )


@given(st.lists(st.lists(st.lists(st.integers(-128, 127), min_size=2, max_size=2)), min_size=1))
def test_writing_undoes_reading(nested: list[list[list[int]]]) -> None:
    """Nested lists come out as they went in."""
    if len({len(row) for row in nested}) == 1 and nested[0]:
        assert nested == to_nested(from_nested(nested, _spec("int8", (-1, -1, 2))))


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("float32", array("f", [1, float("inf")]), 1),
        ("float32", array("f", [float("nan"), 1]), 0),
        ("float32", array("f", [3e38, 3e38]), None),
        ("float64", array("d", [1e308, 1e308]), None),
        ("float64", array("d", [float("inf"), -float("inf")]), 0),
        ("int32", array("i", [1]), None),
    ],
)
def test_the_first_value_that_is_not_finite_is_found(
    dtype: str, values: "array[float]", expected: int | None
) -> None:
    """NaN and infinities are found; large finite numbers whose sum overflows are not mistaken."""
    assert expected == Tensor(dtype, (len(values),), values).first_non_finite()


def test_zeros_fill_free_dimensions_with_one() -> None:
    """The smallest tensor a signature accepts has size 1 where the caller may choose."""
    tensor = zeros(_spec("int32", (-1, 3)))

    assert ((1, 3), [0, 0, 0]) == (tensor.shape, tensor.tolist())


def test_half_floats_are_read_and_written_without_numpy() -> None:
    """Two bytes a value, and the shortest decimals that give the same bits back."""
    tensor = from_nested([[0.1, 65504], [-2, 6e-8]], _spec("float16"))

    assert 8 == len(tensor.data)
    assert [[0.1, 65500.0], [-2.0, 5.96e-08]] == to_nested(tensor)
    again = from_nested(to_nested(tensor), _spec("float16"))
    assert tensor.data == again.data
    with pytest.raises(BadRequestError, match="outside the range of float16"):
        from_nested([[0, 70_000]], _spec("float16"))


@pytest.mark.parametrize(
    ("dtype", "typecode", "digits"), [("float16", "e", (3, 4, 5)), ("float32", "f", (7, 8, 9))]
)
def test_as_few_digits_are_written_as_give_each_value_back(
    dtype: str, typecode: str, digits: tuple[int, ...]
) -> None:
    """Some need more than others, wherever they stand among thousands."""
    size = struct.calcsize(typecode)
    data = random.Random(0).randbytes(size * 3000)
    values = [v for (v,) in struct.iter_unpack(f"<{typecode}", data) if math.isfinite(v)]

    def back(text: str) -> float:
        found: float = struct.unpack(typecode, struct.pack(typecode, float(text)))[0]
        return found

    expected = [
        next(text for n in digits if back(text := f"{value:.{n}g}") == value) for value in values
    ]

    tensor = Tensor(dtype, (len(values),), struct.pack(f"<{len(values)}{typecode}", *values))
    assert expected == shortest(tensor)
    few = 10  # which are written another way
    parts = [
        shortest(Tensor(dtype, (few,), tensor.data[start * size : (start + few) * size])) or []
        for start in range(0, len(values) - few, few)
    ]
    assert expected[: few * len(parts)] == [text for part in parts for text in part]


def test_a_shape_is_looked_at_again_when_it_changes() -> None:
    """The last one that was accepted is known by heart, and no other."""
    spec = _spec("float32", (-1, 2))

    assert [True, True, False, False, True] == [
        spec.accepts(shape) for shape in ((1, 2), (1, 2), (1, 3), (0, 2), (1, 2))
    ]


def test_a_slice_of_a_body_is_a_tensor_without_a_copy() -> None:
    """Bytes at an odd offset are read where they are."""
    body = bytearray(b"x" + array("f", [1, 2]).tobytes())
    tensor = Tensor("float32", (2,), memoryview(body)[1:])

    body[1:5] = array("f", [3]).tobytes()

    assert ([3.0, 2.0], 2) == (tensor.tolist(), tensor.size)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_large_numbers_are_not_taken_for_infinities(dtype: str) -> None:
    """The greatest finite number shares its top byte with infinity."""
    greatest = {"float16": 65504.0, "float32": 3.4028234e38, "float64": 1.7e308}[dtype]

    assert Tensor.of(dtype, (2,), [greatest, -greatest]).first_non_finite() is None
    assert 1 == Tensor.of(dtype, (2,), [0.0, float("-inf")]).first_non_finite()
