"""Figures against what is promised."""

from typing import Any

import pytest

from bench.targets import Target, judge, sooner
from tests.bench.document import document


@pytest.mark.parametrize(
    ("least", "found", "kept"),
    [(False, 14.9, True), (False, 15.0, True), (False, 15.1, False), (True, 14.9, False)],
)
def test_a_target_is_kept_or_missed(least: bool, found: float, kept: bool) -> None:  # noqa: FBT001
    """The limit itself is inside."""
    target = Target(text="start, ms", limit=15, least=least, value=lambda _: found)
    verdict, line = target.judge({})
    assert (kept, "met" if kept else "missed") == (verdict, line.split()[0])
    assert f"start, ms: {found:g}, {'at least' if least else 'at most'} 15" in line


def test_every_promise_is_judged() -> None:
    """A run that is good everywhere keeps all, one line each."""
    kept, lines = judge(document())
    assert kept, lines
    assert 14 == len(lines)


@pytest.mark.parametrize(
    ("path", "value", "missed"),
    [
        (("handlers", "starts", "digits", "ours", "beyond_bare_ms"), 15.5, "digits, start to"),
        (("handlers", "images", "ours_digits_mb"), 112.5, "without Pillow"),
        (("servers", "digits", "servers", "litserve", "median", "per_second"), 1700.0, "best peer"),
    ],
)
def test_one_bad_figure_misses(path: tuple[str, ...], value: float, missed: str) -> None:
    """And the line says which."""
    changed = document()
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    kept, lines = judge(changed)
    assert not kept
    assert any(line.startswith("missed") and missed in line for line in lines), lines


def test_one_wrong_answer_misses() -> None:
    """Of any server, in any repetition."""
    changed = document()
    changed["servers"]["mobilenet"]["servers"]["bentoml"]["each"][0]["wrong"] = 1
    kept, lines = judge(changed)
    assert not kept
    assert [line for line in lines if line.startswith("missed")] == [lines[-1]]


def test_one_slow_repetition_misses() -> None:
    """The share of the cores holds in each repetition, not in the median."""
    changed = document()
    changed["servers"]["mobilenet"]["servers"]["ours"]["each"][1]["share_of_cores"] = 0.6
    assert not judge(changed)[0]


def test_no_time_at_all_is_not_infinitely_soon() -> None:
    """A difference of two starts may come out below zero: noise must not become a factor."""
    changed = document()
    changed["handlers"]["starts"]["digits"]["ours"]["beyond_bare_ms"] = -1.0
    assert 600.0 == sooner(changed, "digits", "stock")
