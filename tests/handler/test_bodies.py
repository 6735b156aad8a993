"""Memory for large bodies."""

from ctypes import string_at

import pytest

from handler.litert import ALIGNMENT, SLACK
from handler.server.bodies import Bodies, Body


def test_what_was_given_back_is_taken_again() -> None:
    """The last first: it is what the processor still has at hand."""
    bodies = Bodies()
    first, second = bodies.take(1000), bodies.take(1000)
    assert first is not second
    bodies.give_back(first)
    bodies.give_back(second)
    assert second is bodies.take(1000)
    assert first is bodies.take(1000)


def test_another_length_is_other_memory() -> None:
    """No body is longer or shorter than its request."""
    bodies = Bodies()
    bodies.give_back(bodies.take(1000))
    assert 999 == len(bodies.take(999))


def test_little_is_kept() -> None:
    """However many large bodies come at once, and whatever their lengths."""
    bodies = Bodies()
    taken = [bodies.take(5 << 20) for _ in range(3)]
    for body in taken:
        bodies.give_back(body)
    assert taken[0] is bodies.take(5 << 20)
    assert all(bodies.take(5 << 20) is not body for body in taken)
    bodies.give_back(taken[0])
    bodies.give_back(other := bodies.take(1000))
    assert other is bodies.take(1000)
    assert taken[0] is not bodies.take(5 << 20)


@pytest.mark.parametrize("length", [131_073, 602_112, 5_500_000])
def test_a_body_begins_where_litert_can_read_it(length: int) -> None:
    """As long as it was asked for, on a multiple of 64, with 64 bytes more behind it."""
    bodies = [Body(length) for _ in range(5)]

    assert {length} == {len(body) for body in bodies}
    assert {0} == {body.address % ALIGNMENT for body in bodies}
    assert all(body.address for body in bodies)
    assert all(body.__alloc__() > length + SLACK for body in bodies)


def test_what_is_received_stays_at_its_address() -> None:
    """Whatever is written into a body through a view is read at its address."""
    body = Body(200_000)
    memoryview(body)[1000:1003] = b"abc"

    assert b"abc" == string_at(body.address + 1000, 3)
