"""Values on the wire and in the state file."""

from __future__ import annotations

import pytest

from local.values import (
    MASK,
    UNKNOWN,
    Secret,
    contains,
    from_wire,
    masked,
    plain,
    secret_keys,
    to_wire,
)

DEEP = {"a": [{"b": Secret({"c": [Secret("hidden")]})}], "d": 1}


def test_secrets_are_masked_at_any_depth() -> None:
    """A secret in a list in a mapping is a mark, and what stands beside it stays."""
    assert masked(DEEP) == {"a": [{"b": MASK}], "d": 1}


def test_plain_opens_secrets_at_any_depth() -> None:
    """A provider gets the values, secrets inside secrets included."""
    assert plain(DEEP) == {"a": [{"b": {"c": ["hidden"]}}], "d": 1}


def test_a_secret_does_not_show_itself() -> None:
    """Printing a secret, by accident or in an error, prints the mark."""
    assert "hidden" not in f"{DEEP} {Secret('hidden')!r} {Secret('hidden')}"


def test_secret_keys_are_the_top_level_names() -> None:
    """A name with a secret anywhere below it counts."""
    assert secret_keys({**DEEP, "e": Secret(1), "f": [1]}) == {"a", "e"}


def test_wire_and_back() -> None:
    """What goes to the program and comes back is the same, secrets and unknowns included."""
    values = {"secret": Secret({"a": [1, 2.5]}), "unknown": UNKNOWN, "list": [True, "x", {}]}
    assert from_wire(to_wire(values)) == values


@pytest.mark.parametrize("depth", [lambda v: v, lambda v: [v], lambda v: {"a": {"b": v}}])
def test_whole_numbers_come_back_as_int(depth: type) -> None:
    """The wire has only floats, and AWS refuses 128.0 megabytes."""
    (found,) = from_wire(to_wire({"x": depth(128)})).values()
    assert "128.0" not in repr(found)
    assert found == depth(128)


def test_fractions_stay_fractions() -> None:
    """0.5 is no whole number."""
    assert from_wire(to_wire({"x": 0.5})) == {"x": 0.5}


def test_none_is_absent_on_the_wire() -> None:
    """An output that is None is not sent."""
    assert from_wire(to_wire({"x": None, "y": 1})) == {"y": 1}


@pytest.mark.parametrize(
    "value", [UNKNOWN, [1, UNKNOWN], {"a": [{"b": UNKNOWN}]}, Secret([UNKNOWN])], ids=repr
)
def test_contains_finds_an_unknown_at_any_depth(value: object) -> None:
    """An unknown below is an unknown."""
    assert contains(value, UNKNOWN)


def test_contains_finds_nothing_where_nothing_is() -> None:
    """A known value is known."""
    assert not contains({"a": [1, Secret("x")]}, UNKNOWN)
