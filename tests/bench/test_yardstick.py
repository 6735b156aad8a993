"""What a server is measured by."""

import pytest

from bench.contenders import WORKERS
from bench.yardstick import share_of_cores


def test_a_part_is_compared_with_what_is_around_it() -> None:
    """A machine that slows down is expected to do what it can at each time."""
    parts = [(90.0 * WORKERS, 1.0), (45.0 * WORKERS, 1.0)]

    assert pytest.approx(0.9) == share_of_cores(parts, [(8.0, 12.0), (12.0, 28.0)])
