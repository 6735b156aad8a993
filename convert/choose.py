"""The smallest (or fastest) candidate inside the budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convert.budget import AS_FAST, Breach, Budget, Prefer
from convert.errors import BudgetError
from convert.recipe import Recipe
from convert.score import OutputScore, WorstClass
from convert.words import broke, limit

_WITH_UNITS = ("max_size", "max_latency_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One recipe's result.

    Attributes:
        recipe: Which one.
        size: Bytes of the file; None when it could not be made.
        gzip_size: Bytes after gzip, about what the registry stores and Lambda loads.
        metric: On the evaluation data; None without.
        drop: How much worse than the original; None without evaluation data.
        agreement: Share of answers that are the original's, of the output that agrees least; None
            where nothing was compared.
        worst: The class that lost most; None unless targets are classes.
        outputs: Each output's nearness to the original's.
        latency_ms: Median of one call; None where there is no example to call it with.
        memory: Bytes that loading it and one call take at most; None where that is not known.
        broken: The limits that it broke.
        inside_budget: Whether it broke none; None where there are no limits.
        error: Why there is no file, or None.
    """

    recipe: Recipe
    size: int | None = None
    gzip_size: int | None = None
    metric: float | None = None
    drop: float | None = None
    agreement: float | None = None
    worst: WorstClass | None = None
    outputs: tuple[OutputScore, ...] = ()
    latency_ms: float | None = None
    memory: int | None = None
    broken: tuple[Breach, ...] = ()
    inside_budget: bool | None = None
    error: str | None = None


def choose(
    candidates: Sequence[Candidate], budget: Budget, prefer: Prefer, table: str
) -> Candidate:
    """Picks the smallest or the fastest inside the budget.

    Smallest once compressed: that is what the image carries, and pulls when it starts cold. Of two
    alike the smaller file is taken, then the one tried first. Where nothing limits a candidate it
    is taken: it was asked for by name.

    Args:
        candidates: All results, in the order of trying.
        budget: The limits, for the message.
        prefer: Size or latency.
        table: The report, for the message.

    Raises:
        BudgetError: None is inside.
    """
    fit = [one for one in candidates if one.error is None and one.inside_budget is not False]
    if not fit:
        raise BudgetError(_why(candidates, budget), table)
    if prefer is Prefer.LATENCY:
        timed = [one.latency_ms for one in fit if one.latency_ms is not None]
        slowest = min(timed, default=0.0) * (1 + AS_FAST)
        fit = [
            one for one in fit if one.latency_ms is not None and one.latency_ms <= slowest
        ] or fit
    return min(fit, key=lambda one: (one.gzip_size or 0, one.size or 0))


def _why(candidates: Sequence[Candidate], budget: Budget) -> str:
    limits = [limit(name, value) for name, value in budget.to_json().items()]
    start = f"no candidate is inside the budget ({', '.join(limits)})"
    made = [one for one in candidates if one.error is None]
    if not made:
        return f"{start}: none could be made"
    nearest = min(made, key=lambda one: (len(one.broken), sum(map(_excess, one.broken))))
    keys = " and ".join(one.limit for one in nearest.broken)
    return (
        f"{start}: the nearest, {nearest.recipe}, has {', '.join(map(broke, nearest.broken))}; "
        f"loosen {keys}, or train a model that keeps more when rounded"
    )


def _excess(breach: Breach) -> float:
    """How far beyond a limit a measure is: shares as they are, sizes and times by the limit."""
    if breach.found is None:
        return math.inf
    beyond = abs(breach.found - breach.allowed)
    return beyond / breach.allowed if breach.limit in _WITH_UNITS else beyond
