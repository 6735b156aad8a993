"""The smallest candidate inside the budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from convert.errors import BudgetError
from convert.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One recipe's result.

    Attributes:
        recipe: Which one.
        content: The .tflite file, or None when it could not be made.
        gzip_size: Bytes after gzip, about what the registry stores and Lambda loads.
        metric: On the evaluation data; None without.
        drop: How much worse than the original; None without evaluation data.
        agreement: Share of answers that are the original's; None without evaluation data.
        latency_ms: Median of one call; None where there is no example to call it with.
        inside_budget: Whether the drop is allowed; None without evaluation data.
        error: Why there is no content, or None.
    """

    recipe: Recipe
    content: bytes | None = None
    gzip_size: int | None = None
    metric: float | None = None
    drop: float | None = None
    agreement: float | None = None
    latency_ms: float | None = None
    inside_budget: bool | None = None
    error: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the file."""
        return None if self.content is None else len(self.content)


def choose(candidates: Sequence[Candidate], max_drop: float, table: str) -> tuple[Recipe, bytes]:
    """Picks the smallest file inside the budget; of two alike, the one tried first.

    A candidate that could not be judged, for want of evaluation data, is taken: it was asked for by
    name.

    Args:
        candidates: All results, in the order of trying.
        max_drop: The budget, for the message.
        table: The report, for the message.

    Raises:
        BudgetError: None is inside.
    """
    fit = [
        (len(candidate.content), candidate.recipe, candidate.content)
        for candidate in candidates
        if candidate.content is not None and candidate.inside_budget is not False
    ]
    if not fit:
        drops = [candidate.drop for candidate in candidates if candidate.drop is not None]
        best = f"the least drop is {min(drops):.4f}" if drops else "none could be made"
        raise BudgetError(
            f"no candidate is inside the budget of {max_drop:g}: {best}; "
            "raise max_accuracy_drop, or train a model that keeps more when rounded",
            table,
        )
    _, recipe, content = min(fit, key=lambda one: one[0])
    return recipe, content
