"""The statistics under the tables."""

import pytest

from bench.stats import median, percentile


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], 3.0), ([5.0, 1.0, 3.0], 3.0), ([4.0, 1.0, 3.0, 2.0], 2.5)],
    ids=["one", "odd", "even"],
)
def test_median(values: list[float], expected: float) -> None:
    """The middle, or the mean of the middle two; the order does not matter."""
    assert expected == median(values)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50.0), (99, 99.0), (99.1, 100.0), (100, 100.0), (1, 1.0)]
)
def test_percentile_is_a_value_that_was_seen(percent: float, expected: float) -> None:
    """No value between two others is made up."""
    assert expected == percentile([float(value) for value in range(100, 0, -1)], percent)


def test_p99_of_few_values_is_the_worst() -> None:
    """Three calls have no better answer."""
    assert 9.0 == percentile([1.0, 9.0, 2.0], 99)


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_there_is_no_percentile_outside_of_0_to_100(percent: float) -> None:
    """Such a question is a mistake."""
    with pytest.raises(ValueError, match="expected 0 < p <= 100"):
        percentile([1.0], percent)


def test_nothing_has_no_statistics() -> None:
    """A run without a measurement must not become a figure."""
    with pytest.raises(ValueError, match="0 values"):
        median([])
    with pytest.raises(ValueError, match="0 values"):
        percentile([], 50)
