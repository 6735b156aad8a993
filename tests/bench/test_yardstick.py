"""What a server is measured by."""

import pytest

from bench.contenders import WORKERS
from bench.yardstick import share_of_cores


def test_the_bare_call_counts_as_it_was_before_and_after() -> None:
    """A machine that slows down during the load is expected to do what it can on average."""
    assert pytest.approx(0.9) == share_of_cores(90 * WORKERS, 8.0, 12.0)
