"""What a million requests cost."""

import pytest

from bench.cost import usd_per_million


def test_a_million_requests_of_a_second() -> None:
    """One second of 1,769 MB, and the request: AWS's price by hand."""
    expected = 0.20 + 1_000_000 * 1769 / 1024 * 0.0000166667
    assert expected == pytest.approx(usd_per_million([1000.0], [1000.0]))


def test_time_is_billed_in_whole_milliseconds() -> None:
    """A tenth of a millisecond costs as much as a whole one."""
    assert usd_per_million([1.0], [7.0]) == usd_per_million([0.1], [6.2])


def test_a_cold_start_is_billed_for_its_share() -> None:
    """One request in a hundred takes the start's time."""
    expected = usd_per_million([109.0], [109.0])
    assert expected == pytest.approx(usd_per_million([10.0], [9910.0]))


@pytest.mark.parametrize(("warm", "cold"), [([], [1.0]), ([1.0], [])])
def test_without_a_measurement_there_is_no_price(warm: list[float], cold: list[float]) -> None:
    """Nothing measured is not the same as free."""
    with pytest.raises(ValueError, match="no times to bill"):
        usd_per_million(warm, cold)
