"""report.json for machines, report.md for a pull request, report.png for the eye."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convert.budget import AS_FAST, Budget, Prefer
from convert.choose import Candidate
from convert.judge import Basis
from convert.litert import THREADS
from convert.metric import DROP, Metric
from convert.plot import Picture, Point
from convert.prune import Pruned
from convert.recipe import Recipe
from convert.way import Way
from convert.words import broke, limit, ms, number, size

SCHEMA = 1

_MOST_ROWS = 24
_MOST_OUTPUTS = 12
_LONGEST = 120
_COLUMNS = (
    *("recipe", "size", "gzip", "{metric}", "drop", "worst class", "agreement", "latency"),
    *("memory", ""),
)
_PREFERRED = {
    Prefer.SIZE: "smallest once compressed (gzip)",
    Prefer.LATENCY: f"fastest (of those at most {AS_FAST:.0%} slower the smallest)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was measured.

    Attributes:
        name: The model's.
        metric: What `metric` and `drop` mean; None without evaluation data.
        output: The output that the metric is of; None without evaluation data.
        budget: The limits.
        prefer: Which candidate inside the budget is taken.
        basis: Where the rows come from; None where nothing was compared.
        rows: How many there are; 0 without.
        ways: What makes an answer the original's, by output; empty where nothing was compared.
        agreeing: The same in words.
        labels: The names of the judged output's classes, or None.
        original_size: Bytes.
        original_gzip_size: Bytes after gzip.
        original_metric: None without evaluation data.
        metric_limit: The metric's value that the budget's drop allows at most; None without.
        constant_guess: What the best constant guess errs by; None where the metric is no error.
        original_latency_ms: Median of one call of the original, as TensorFlow runs it; None where
            there is no example to call it with.
        candidates: In the order of trying.
        not_tried: Recipes left out, each with the reason.
        pruned: What was done for each per cent of weights in the recipes.
    """

    name: str
    metric: Metric | None
    output: str | None
    budget: Budget
    prefer: Prefer
    basis: Basis | None
    rows: int
    ways: Mapping[str, Way]
    agreeing: Mapping[str, str]
    labels: Sequence[str] | None
    original_size: int
    original_gzip_size: int
    original_metric: float | None
    metric_limit: float | None
    constant_guess: float | None
    original_latency_ms: float | None
    candidates: Sequence[Candidate]
    not_tried: Sequence[tuple[Recipe, str]]
    pruned: Mapping[int, Pruned]

    def to_json(self, chosen: Recipe) -> dict[str, Any]:
        """Renders report.json."""
        held_out = self.basis is Basis.EVALUATION
        return {
            "schema": SCHEMA,
            "model": self.name,
            "metric": None if self.metric is None else str(self.metric),
            "higher_is_better": None if self.metric is None else self.metric.higher_is_better,
            "output": self.output,
            "budget": None if self.budget.is_unlimited else self.budget.to_json(),
            "metric_limit": _rounded(self.metric_limit),
            "prefer": self.prefer,
            "compared_on": None if self.basis is None else {"data": self.basis, "rows": self.rows},
            "agreement_by": dict(self.ways),
            "evaluation_rows": self.rows if held_out else 0,
            "latency_threads": THREADS,
            "original": {
                "bytes": self.original_size,
                "gzip_bytes": self.original_gzip_size,
                "metric": _rounded(self.original_metric),
                "latency_ms": _rounded(self.original_latency_ms),
            },
            "candidates": [self._candidate(candidate) for candidate in self.candidates],
            "not_tried": [{"recipe": recipe, "reason": why} for recipe, why in self.not_tried],
            "chosen": chosen,
        }

    def to_markdown(self, chosen: Recipe | None) -> str:
        """Renders report.md; `chosen` is None when nothing is inside the budget.

        Bounded, however many recipes, outputs or words there are: it goes into a comment.
        """
        metric = "metric" if self.metric is None else str(self.metric)
        lines = [
            f"### `{self.name}`: {chosen or 'no candidate inside the budget'}",
            "",
            f"| {' | '.join(_COLUMNS).format(metric=metric)} |",
            f"| --- |{' ---: |' * (len(_COLUMNS) - 2)} --- |",
            self._original_row(),
        ]
        lines += [self._row(candidate, chosen) for candidate in self.candidates[:_MOST_ROWS]]
        if len(self.candidates) > _MOST_ROWS:
            lines += [
                f"| and {len(self.candidates) - _MOST_ROWS} more, in report.json |" + " |" * 9
            ]
        lines += ["", *self._notes()]
        if self.not_tried:
            reasons: dict[str, list[str]] = {}
            for recipe, reason in self.not_tried:
                reasons.setdefault(reason, []).append(recipe)
            lines += [f"Not tried: {', '.join(of)}, {why}." for why, of in reasons.items()]
        lines += [f"+prune{share}: {done}." for share, done in self.pruned.items()]
        winner = next((one for one in self.candidates if one.recipe == chosen), None)
        if winner is not None:
            lines += self._outputs(winner)
        return "\n".join(lines) + "\n"

    def to_picture(self, chosen: Recipe) -> Picture | None:
        """Says what report.png shows; None where nothing was compared, so there is one axis."""
        if self.basis is None:
            return None
        rows = f"on {self.rows} {self.basis.rows_called} rows"
        limits = self.budget.to_json()
        # What the choice goes by; but a limit is of the file, and wants to be seen.
        packed = self.budget.max_size is None
        # Whoever limits agreement alone wants to see that.
        by_metric = self.metric is not None and (
            "max_accuracy_drop" in limits or "min_agreement" not in limits
        )
        measure = f"{self.metric} {rows}" if by_metric else f"agreement with the original {rows}"
        if by_metric and self.metric is not None and not self.metric.higher_is_better:
            measure += " (less is better)"
        name = "max_accuracy_drop" if by_metric else "min_agreement"
        at = self.metric_limit if by_metric else limits.get(name)
        values = {it.recipe: it.metric if by_metric else it.agreement for it in self.candidates}
        first = self.original_metric if by_metric else 1.0
        points = [
            Point(
                label=it.recipe,
                size=it.gzip_size if packed else it.size,
                value=value,
                inside=it.inside_budget is not False,
                chosen=it.recipe == chosen,
            )
            for it in self.candidates
            for value in [values[it.recipe]]
            if it.size is not None and it.gzip_size is not None and value is not None
        ]
        whole = self.original_gzip_size if packed else self.original_size
        if first is not None:
            points.append(Point(label="original", size=whole, value=first, original=True))
        winner = next((point for point in points if point.chosen), None)
        shrunk = f", {size(winner.size)} of {size(whole)}" if winner else ""
        return Picture(
            title=f"{self.name}: {chosen}{shrunk}",
            measure=measure,
            across="size once compressed" if packed else "size of the file",
            points=points,
            value_limit=None if at is None else (at, f"budget: {self._bound(name, at)}"),
            size_limit=None
            if self.budget.max_size is None
            else (self.budget.max_size, f"budget: {limit('max_size', self.budget.max_size)}"),
        )

    def _bound(self, name: str, at: float) -> str:
        """Says a limit in what the vertical axis has."""
        said = limit(name, self.budget.to_json()[name])
        if name == "min_agreement" or self.metric is None:
            return said
        side = "at least" if self.metric.higher_is_better else "at most"
        return f"{self.metric} {side} {at:.4g} ({said})"

    def _candidate(self, candidate: Candidate) -> dict[str, Any]:
        worst, done = candidate.worst, self.pruned.get(candidate.recipe.pruned)
        return {
            "recipe": candidate.recipe,
            "bytes": candidate.size,
            "gzip_bytes": candidate.gzip_size,
            "metric": _rounded(candidate.metric),
            "drop": _rounded(candidate.drop),
            "worst_class": worst
            and {
                "class": worst.number,
                "label": self._label(worst.number),
                "drop": _rounded(worst.drop),
                "rows": worst.rows,
            },
            "agreement": _rounded(candidate.agreement),
            "outputs": [
                {
                    "name": one.name,
                    "agreement": _rounded(one.agreement),
                    "max_abs_error": one.max_abs_error,
                    "max_relative_error": one.max_relative_error,
                }
                for one in candidate.outputs
            ],
            "latency_ms": _rounded(candidate.latency_ms),
            "memory_bytes": candidate.memory,
            "inside_budget": candidate.inside_budget,
            "broken": [breach.to_json() for breach in candidate.broken],
            "pruned": done.to_json() if done else None,
            "error": candidate.error,
        }

    def _original_row(self) -> str:
        cells = (
            *("original", size(self.original_size), size(self.original_gzip_size)),
            *(number(self.original_metric), "", "", "", ms(self.original_latency_ms), "", ""),
        )
        return f"| {' | '.join(cells)} |"

    def _row(self, candidate: Candidate, chosen: Recipe | None) -> str:
        name = str(candidate.recipe)
        if candidate.error is not None:
            return f"| {name} |{' |' * 8} {_short(candidate.error)} |"
        remark = ", ".join(map(broke, candidate.broken))
        if candidate.recipe == chosen:
            name, remark = f"**{name}**", "chosen"
        cells = (
            name,
            size(candidate.size),
            size(candidate.gzip_size),
            number(candidate.metric),
            number(candidate.drop),
            self._worst(candidate),
            number(candidate.agreement),
            ms(candidate.latency_ms),
            size(candidate.memory),
            remark,
        )
        return f"| {' | '.join(cells)} |"

    def _notes(self) -> list[str]:
        """Says what the numbers mean, and what they do not."""
        latency = (
            f"Latency: median of one call on {THREADS} thread of this machine; the original's is "
            "TensorFlow's. Memory: what loading the model and one call add, at most."
        )
        limits = [limit(name, value) for name, value in self.budget.to_json().items()]
        budget = f"Budget: {', '.join(limits)}. " if limits else ""
        if len(self.candidates) > 1:
            budget += f"Of those inside it the {_PREFERRED[self.prefer]} is taken. "
        if self.basis is None:
            return [f"Not scored: no evaluation data. {budget}{latency}"]
        rows, agreeing = f"{self.rows} {self.basis.rows_called} rows", self._agreeing()
        if self.metric is None:
            compared = (
                f"Not scored: no evaluation data. Agreement with the original is on {rows}, and "
                "says nothing of how right either is."
            )
            return [f"{compared} {budget}{latency}", agreeing]
        of = f"{self.metric} of {self.output!r}" if self._has_several() else str(self.metric)
        return [f"{budget}Scored by {of} on {rows}. {latency}", self._dropping(), agreeing]

    def _dropping(self) -> str:
        """Says what a drop is, and for an error what it is a share of."""
        share = ""
        if self.constant_guess is not None:
            share = f" (here {self.constant_guess:.4g})"
            if self.constant_guess == 0:  # targets that are all alike
                share += ", or the rise itself where that is 0"
        return f"Drop: {DROP}{share}."

    def _agreeing(self) -> str:
        """Says of each output when an answer counts as the original's."""
        said = [
            f"of {_short(name)!r} where {how}"
            for name, how in list(self.agreeing.items())[:_MOST_OUTPUTS]
        ]
        if len(self.agreeing) > _MOST_OUTPUTS:
            said.append(f"and {len(self.agreeing) - _MOST_OUTPUTS} more, in report.json")
        return f"An answer agrees with the original's: {'; '.join(said)}."

    def _outputs(self, winner: Candidate) -> list[str]:
        lines = [
            "",
            f"| output of {winner.recipe} | agreement | largest error | as a share |",
            "| --- | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {_short(one.name)} | {number(one.agreement)} | {one.max_abs_error:.2e} "
            f"| {one.max_relative_error:.2e} |"
            for one in winner.outputs[:_MOST_OUTPUTS]
        ]
        if len(winner.outputs) > _MOST_OUTPUTS:
            lines += [f"| and {len(winner.outputs) - _MOST_OUTPUTS} more, in report.json | | | |"]
        return lines if winner.outputs else []

    def _has_several(self) -> bool:
        return any(len(candidate.outputs) > 1 for candidate in self.candidates)

    def _label(self, number: int) -> str | None:
        return None if self.labels is None else self.labels[number]

    def _worst(self, candidate: Candidate) -> str:
        worst = candidate.worst
        if worst is None or worst.drop <= 0:
            return "" if worst is None else "none"
        named = self._label(worst.number) or f"class {worst.number}"
        return f"{number(worst.drop)} ({_short(named)})"


def progress(candidate: Candidate, metric: Metric | None) -> str:
    """Renders what the user sees while candidates are made."""
    if candidate.error is not None:
        return f"{candidate.recipe:<27} {candidate.error}"
    parts = [
        f"{candidate.recipe:<27}",
        f"{size(candidate.size):>9}, gzip {size(candidate.gzip_size):>9}",
    ]
    if candidate.metric is not None:
        parts.append(f"{metric} {candidate.metric:.4f}")
    if candidate.agreement is not None:
        parts.append(f"agreement {candidate.agreement:.4f}")
    if candidate.inside_budget is False:
        parts.append(f"outside the budget: {', '.join(map(broke, candidate.broken))}")
    return "  ".join(parts)


def _short(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "/")
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
