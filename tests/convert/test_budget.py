"""Limits: which are broken, and which of two says."""

from typing import Any

import pytest

from convert.budget import Breach, Budget

FINE: dict[str, Any] = {"drop": 0.01, "agreement": 0.99, "size": 1000, "latency_ms": 5.0}


def test_on_the_limit_is_inside() -> None:
    """Each measure exactly on its limit is allowed, what subtraction loses included."""
    budget = Budget(max_accuracy_drop=0.01, min_agreement=0.99, max_size=1000, max_latency_ms=5.0)
    assert () == budget.broken_by(**FINE | {"drop": 0.99 - 0.98})


@pytest.mark.parametrize(
    ("budget", "limit", "found"),
    [
        (Budget(max_accuracy_drop=0.009), "max_accuracy_drop", 0.01),
        (Budget(min_agreement=0.991), "min_agreement", 0.99),
        (Budget(max_size=999), "max_size", 1000),
        (Budget(max_latency_ms=4.9), "max_latency_ms", 5.0),
    ],
)
def test_each_limit_is_kept(budget: Budget, limit: str, found: float) -> None:
    """A measure past its limit is told with both."""
    [allowed] = budget.to_json().values()
    assert (Breach(limit=limit, allowed=allowed, found=found),) == budget.broken_by(**FINE)


def test_what_was_not_measured_is_not_inside() -> None:
    """A limit that nothing could be held against is broken, not passed over."""
    budget = Budget(max_latency_ms=5.0)
    [breach] = budget.broken_by(**FINE | {"latency_ms": None})
    assert ("max_latency_ms", None) == (breach.limit, breach.found)


def test_one_over_another() -> None:
    """The command line's limits win, and leave the card's other ones standing."""
    card = Budget(max_accuracy_drop=0.1, max_size=7)
    assert Budget(max_accuracy_drop=0.0, max_size=7) == Budget(max_accuracy_drop=0.0).over(card)
