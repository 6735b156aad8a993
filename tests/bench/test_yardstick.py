"""What a server is measured by."""

import pytest

from bench.contenders import WORKERS
from bench.yardstick import share_of_cores


def test_a_stretch_is_compared_with_what_is_around_it() -> None:
    """A machine that slows down is expected to do what it can at each time."""
    answers = (90 + 45) * WORKERS

    assert pytest.approx(0.9) == share_of_cores(answers, [1.0, 1.0], [8.0, 12.0, 28.0])


def test_a_short_stretch_says_less() -> None:
    """What the cores could have done meanwhile is in proportion to its seconds."""
    answers = (100 + 25) * WORKERS

    assert pytest.approx(1.0) == share_of_cores(answers, [1.0, 0.5], [10.0, 10.0, 30.0])


def test_each_stretch_lies_between_two_looks() -> None:
    """A look too few is a mistake, not a shorter load."""
    with pytest.raises(ValueError, match="shorter"):
        share_of_cores(1, [1.0, 1.0], [10.0, 10.0])
