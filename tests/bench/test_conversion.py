"""What conversions cost, against what they may."""

from bench.conversion import Cost

MOST = Cost(seconds=60, peak_mb=4000)


def test_within_both_limits() -> None:
    """A line says the figures and that they are met."""
    expected = (True, "met     cats, all recipes: 21 s, at most 60; peak 900 MB, at most 4000")
    assert expected == Cost(seconds=21.4, peak_mb=900.2).line("cats", MOST)


def test_too_much_of_either_is_missed() -> None:
    """Too long is missed, and so is too large."""
    slow = Cost(seconds=60.1, peak_mb=1).line("cats", MOST)
    large = Cost(seconds=1, peak_mb=4000.1).line("cats", MOST)
    assert (False, False) == (slow[0], large[0])
    assert slow[1].startswith("missed")
