"""report.json for machines, report.md for a pull request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convert.choose import Candidate
from convert.litert import THREADS
from convert.metric import Metric
from convert.recipe import Recipe

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was measured.

    Attributes:
        name: The model's.
        metric: What `metric` and `drop` mean; None without evaluation data.
        max_drop: The budget; None without evaluation data.
        rows: Of evaluation data; 0 without.
        original_size: Bytes.
        original_metric: None without evaluation data.
        original_latency_ms: Median of one call of the original, as TensorFlow runs it; None where
            there is no example to call it with.
        candidates: In the order of trying.
        not_tried: Recipes left out, each with the reason.
    """

    name: str
    metric: Metric | None
    max_drop: float | None
    rows: int
    original_size: int
    original_metric: float | None
    original_latency_ms: float | None
    candidates: Sequence[Candidate]
    not_tried: Sequence[tuple[Recipe, str]]

    def to_json(self, chosen: Recipe) -> dict[str, Any]:
        """Renders report.json."""
        return {
            "schema": SCHEMA,
            "model": self.name,
            "metric": None if self.metric is None else str(self.metric),
            "budget": None if self.max_drop is None else {"max_accuracy_drop": self.max_drop},
            "evaluation_rows": self.rows,
            "latency_threads": THREADS,
            "original": {
                "bytes": self.original_size,
                "metric": _rounded(self.original_metric),
                "latency_ms": _rounded(self.original_latency_ms),
            },
            "candidates": [_candidate(candidate) for candidate in self.candidates],
            "not_tried": [{"recipe": recipe, "reason": why} for recipe, why in self.not_tried],
            "chosen": chosen,
        }

    def to_markdown(self, chosen: Recipe | None) -> str:
        """Renders report.md; `chosen` is None when nothing is inside the budget."""
        metric = str(self.metric or "metric")
        lines = [
            f"### `{self.name}`: {chosen or 'no candidate inside the budget'}",
            "",
            f"| recipe | size | gzip | {metric} | drop | agreement | latency | |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
            self._original_row(),
        ]
        lines += [_row(candidate, chosen) for candidate in self.candidates]
        lines += ["", self._footnote()]
        lines += [f"Not tried: {recipe}, {reason}." for recipe, reason in self.not_tried]
        return "\n".join(lines) + "\n"

    def _original_row(self) -> str:
        size, metric = _size(self.original_size), _number(self.original_metric)
        return f"| original | {size} | | {metric} | | | {_ms(self.original_latency_ms)} | |"

    def _footnote(self) -> str:
        latency = f"Latency: median of one row on {THREADS} thread."
        if self.metric is None or self.max_drop is None:
            return f"Not scored: no evaluation data. {latency}"
        scored = f"{self.rows} held-out rows"
        return f"Budget: {self.metric} may drop by {self.max_drop:g} on {scored}. {latency}"


def progress(candidate: Candidate, metric: Metric | None) -> str:
    """Renders what the user sees while candidates are made."""
    if candidate.error is not None:
        return f"{candidate.recipe:<18} {candidate.error}"
    parts = [f"{candidate.recipe:<18}", f"{_size(candidate.size):>9}"]
    if candidate.metric is not None:
        parts.append(f"{metric} {candidate.metric:.4f}  agreement {candidate.agreement:.4f}")
    if candidate.latency_ms is not None:
        parts.append(_ms(candidate.latency_ms))
    if candidate.inside_budget is False:
        parts.append("outside the budget")
    return "  ".join(parts)


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "recipe": candidate.recipe,
        "bytes": candidate.size,
        "gzip_bytes": candidate.gzip_size,
        "metric": _rounded(candidate.metric),
        "drop": _rounded(candidate.drop),
        "agreement": _rounded(candidate.agreement),
        "latency_ms": _rounded(candidate.latency_ms),
        "inside_budget": candidate.inside_budget,
        "error": candidate.error,
    }


def _row(candidate: Candidate, chosen: Recipe | None) -> str:
    if candidate.error is not None:
        return f"| {candidate.recipe} | | | | | | | {candidate.error.replace('|', '/')} |"
    remark = "outside the budget" if candidate.inside_budget is False else ""
    name = str(candidate.recipe)
    if candidate.recipe == chosen:
        name, remark = f"**{name}**", "chosen"
    cells = (
        name,
        _size(candidate.size),
        _size(candidate.gzip_size),
        _number(candidate.metric),
        _number(candidate.drop),
        _number(candidate.agreement),
        _ms(candidate.latency_ms),
        remark,
    )
    return f"| {' | '.join(cells)} |"


def _size(count: int | None) -> str:
    return "" if count is None else f"{count / 1000:.1f} kB"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} ms"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
