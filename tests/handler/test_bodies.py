"""Memory for large bodies."""

from handler.server.bodies import Bodies


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
