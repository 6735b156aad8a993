"""Makes candidates side by side, rescues what lost too much, and times them one by one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convert import recipe, score
from convert.budget import Budget
from convert.choose import Candidate
from convert.judge import Judge
from convert.recipe import Recipe
from convert.report import progress
from convert.score import OutputScore, WorstClass
from convert.worker import Bench
from convert.workers import Workers

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried, and what it is held against.

    Attributes:
        workers: Who does the work.
        bases: The float models' file names, by per cent of pruned weights; 0 is the model itself.
        judge: None where nothing is judged.
        original_metric: None without evaluation data.
        budget: The limits.
        say: Gets one line of progress at a time.
    """

    workers: Workers
    bases: Mapping[int, str]
    judge: Judge | None
    original_metric: float | None
    budget: Budget
    say: Say

    def run(self, tried: Sequence[Recipe], *, rescue: bool) -> list[Candidate]:
        """Makes, judges and times candidates.

        Args:
            tried: The recipes.
            rescue: Whether to try what may save a recipe whose answers are outside the budget.

        Returns:
            One candidate for each, in the order of the recipes; a rescue follows what it rescues.
        """
        made = self._make(tried, start=0)
        if rescue:
            saving = {one.recipe: self._rescue(one) for one in made}
            wanted = [other for other in saving.values() if other is not None]
            saved = {one.recipe: one for one in self._make(wanted, start=len(made))}
            made = [
                candidate
                for one in made
                for candidate in (one, saved.get(saving[one.recipe] or one.recipe))
                if candidate is not None
            ]
        return [self._timed(one) for one in made]

    def _make(self, tried: Sequence[Recipe], *, start: int) -> list[Candidate]:
        done = start

        def tell(place: int, answer: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            metric = self.judge.metric if self.judge else None
            line = progress(self._candidate(tried[place], answer), metric)
            self.say(f"[{done}/{start + len(tried)}] {line}")

        jobs = [{"do": "make", "recipe": it, "base": self.bases[it.pruned]} for it in tried]
        answers = self.workers.run(jobs, tell)
        return [self._candidate(it, answer) for it, answer in zip(tried, answers, strict=True)]

    def _rescue(self, candidate: Candidate) -> Recipe | None:
        """Names what may save it; None where it is saved already, or not by better answers."""
        wrong = {"max_accuracy_drop", "min_agreement"} & {one.limit for one in candidate.broken}
        return recipe.rescue(candidate.recipe) if wrong else None

    def _candidate(self, made: Recipe, answer: Mapping[str, Any]) -> Candidate:
        """Reads a worker's answer."""
        if "error" in answer:
            return Candidate(recipe=made, error=answer["error"])
        metric, worst = answer.get("metric"), answer.get("worst")
        drop = None
        if self.judge is not None and self.original_metric is not None and metric is not None:
            assert self.judge.metric is not None  # noqa: S101  there is a value of it
            assert self.judge.targets is not None  # noqa: S101  there is a metric
            drop = score.drop(self.judge.metric, self.original_metric, metric, self.judge.targets)
        return self._held(
            Candidate(
                recipe=made,
                size=answer["size"],
                gzip_size=answer["gzip_size"],
                metric=metric,
                drop=drop,
                agreement=answer.get("agreement"),
                worst=worst and WorstClass(**worst),
                outputs=tuple(OutputScore(**one) for one in answer.get("outputs", ())),
            ),
            # Nobody was timed yet.
            replace(self.budget, max_latency_ms=None),
        )

    def _timed(self, candidate: Candidate) -> Candidate:
        """Times it while no other work goes on: a neighbour on the next core is heard."""
        if candidate.error is not None:
            return candidate
        [answer] = self.workers.run([{"do": "time", "recipe": candidate.recipe}])
        if "error" in answer:
            return Candidate(recipe=candidate.recipe, error=answer["error"])
        return self._held(replace(candidate, **answer), self.budget)

    @staticmethod
    def _held(candidate: Candidate, budget: Budget) -> Candidate:
        if budget.is_unlimited:
            return candidate
        broken = budget.broken_by(
            drop=candidate.drop,
            agreement=candidate.agreement,
            size=candidate.size or 0,
            latency_ms=candidate.latency_ms,
        )
        return replace(candidate, broken=broken, inside_budget=not broken)


def set_up(folder: Path, bench: Bench, bases: Mapping[int, bytes]) -> dict[int, str]:
    """Puts what workers need into their folder.

    Args:
        folder: Theirs.
        bench: What all jobs share.
        bases: The float models, by per cent of pruned weights.

    Returns:
        The float models' file names.
    """
    bench.write(folder)
    names = {pruned: f"base{pruned}.tflite" for pruned in bases}
    for pruned, content in bases.items():
        (folder / names[pruned]).write_bytes(content)
    return names
