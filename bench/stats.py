"""The few statistics that the tables need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PERCENT = 100


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many per cent of the values do not exceed.

    Args:
        values: At least one, in any order.
        percent: Above 0, at most 100.

    Raises:
        ValueError: There are no values, or there is no such percentile.
    """
    if not values or not 0 < percent <= PERCENT:
        raise ValueError(f"percentile {percent} of {len(values)} values, expected 0 < p <= 100")
    return sorted(values)[math.ceil(len(values) * percent / PERCENT) - 1]


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number of values the mean of the middle two.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("median of 0 values, expected at least one")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
