"""Candidates in their order: made, rescued, timed."""

from collections.abc import Callable
from typing import Any

from convert.budget import Budget
from convert.recipe import Recipe
from convert.trial import Trial


class FakeWorkers:
    """Answers from a list of agreements; recipes finish in the reverse order."""

    def __init__(self, agreements: dict[str, float | str]) -> None:
        self._agreements = agreements
        self.jobs: list[tuple[str, ...]] = []

    def run(
        self, jobs: list[dict[str, Any]], done: Callable[..., None] = lambda *_: None
    ) -> list[dict[str, Any]]:
        """Does what `Workers.run` promises."""
        self.jobs.append(tuple(f"{job['do']} {job['recipe']}" for job in jobs))
        answers = [self._answer(job) for job in jobs]
        for place in reversed(range(len(jobs))):
            done(place, answers[place])
        return answers

    def _answer(self, job: dict[str, Any]) -> dict[str, Any]:
        if job["do"] == "time":
            return {"latency_ms": 2.0, "memory": 1000}
        agreement = self._agreements[job["recipe"]]
        if isinstance(agreement, str):
            return {"error": agreement}
        return {"size": 100, "gzip_size": 90, "agreement": agreement}


def trial(workers: Any, said: list[str], **limits: Any) -> Trial:
    """A trial on agreement alone."""
    return Trial(
        workers=workers,
        bases={0: "base0.tflite"},
        judge=None,
        original_metric=None,
        budget=Budget(min_agreement=0.9, **limits),
        say=said.append,
    )


def recipes(*names: str) -> list[Recipe]:
    """Recipes by name."""
    return [Recipe(name) for name in names]


def test_only_what_lost_too_much_is_rescued() -> None:
    """A rescue is tried for answers outside the budget, and stands behind what it rescues."""
    workers = FakeWorkers(
        {
            "float16": 0.5,
            "dynamic_wi8_afp32": 0.95,
            "static_wi8_ai8": 0.2,
            "static_wi8_ai8+mixed": 0.97,
            "static_wi8_ai16": "crashed: ended by SIGSEGV",
        }
    )
    said: list[str] = []
    tried = recipes("float16", "dynamic_wi8_afp32", "static_wi8_ai8", "static_wi8_ai16")
    made = trial(workers, said).run(tried, rescue=True)
    assert [
        ("float16", False),
        ("dynamic_wi8_afp32", True),
        ("static_wi8_ai8", False),
        ("static_wi8_ai8+mixed", True),
        ("static_wi8_ai16", None),
    ] == [(one.recipe, one.inside_budget) for one in made]
    assert ["[1/4] static_wi8_ai16", "[4/4] float16", "[5/5] static_wi8_ai8+mixed"] == [
        " ".join(line.split()[:2]) for line in (said[0], said[3], said[4])
    ]
    assert "crashed: ended by SIGSEGV" == made[-1].error


def test_without_a_rescue_nothing_else_is_tried() -> None:
    """A recipe asked for by name is what is tried."""
    workers = FakeWorkers({"static_wi8_ai8": 0.2})
    [made] = trial(workers, []).run(recipes("static_wi8_ai8"), rescue=False)
    assert made.inside_budget is False


def test_candidates_are_timed_one_at_a_time_after_all_work() -> None:
    """No candidate is timed while another is made, and the latency's limit counts then."""
    workers = FakeWorkers({"float32": 1.0, "float16": 1.0})
    made = trial(workers, [], max_latency_ms=1.0).run(recipes("float32", "float16"), rescue=True)
    assert [
        ("make float32", "make float16"), (), ("time float32",), ("time float16",)
    ] == workers.jobs  # fmt: skip
    assert [(2.0, 1000, False)] * 2 == [
        (one.latency_ms, one.memory, one.inside_budget) for one in made
    ]
