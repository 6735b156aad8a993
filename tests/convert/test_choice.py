"""Which candidate wins, and what the reports say of it."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.__main__ import main
from convert.budget import Budget, Prefer
from convert.choose import Candidate, choose
from convert.errors import BudgetError
from convert.metric import DROP
from convert.recipe import Recipe, Scheme
from convert.words import broke

BUDGET = Budget(max_accuracy_drop=0.01)


def candidate(name: str, size: int, **rest: Any) -> Candidate:
    """A candidate of some size."""
    return Candidate(recipe=Recipe(name), size=size, gzip_size=rest.pop("gzip", size), **rest)


def chosen(candidates: list[Candidate], prefer: Prefer = Prefer.SIZE) -> str:
    """The recipe that is chosen."""
    return choose(candidates, BUDGET, prefer, "").recipe


def test_smallest_inside_the_budget_wins() -> None:
    """A smaller candidate outside the budget does not count."""
    assert "float16" == chosen(
        [
            candidate("float32", 9, inside_budget=True),
            candidate("float16", 5, inside_budget=True),
            candidate("static_wi8_ai8", 1, inside_budget=False),
        ]
    )


def test_smallest_is_what_the_image_carries() -> None:
    """Size is the compressed size: zeros weigh nothing in an image, if all in a file."""
    assert "float16+prune75" == chosen(
        [candidate("dynamic_wi8_afp32", 5, gzip=4), candidate("float16+prune75", 8, gzip=3)]
    )


def test_smaller_file_of_two_that_compress_alike_wins() -> None:
    """Of two that are of one size once compressed the smaller file is taken."""
    assert "float16" == chosen([candidate("float32", 9, gzip=5), candidate("float16", 6, gzip=5)])


def test_first_of_two_alike_wins() -> None:
    """Of two candidates of one size the one tried first is taken."""
    assert "float16" == chosen([candidate(name, 5) for name in ("float16", "float32")])


def test_fastest_wins_where_latency_is_preferred() -> None:
    """The fastest is taken, and the smallest among those that are as fast but for noise."""
    candidates = [
        candidate("float32", 9, latency_ms=1.0),
        candidate("float16", 5, latency_ms=1.04),
        candidate("dynamic_wi8_afp32", 2, latency_ms=1.2),
        candidate("static_wi8_ai8", 1),
    ]
    assert "float16" == chosen(candidates, Prefer.LATENCY)


def test_how_much_slower_counts_as_fast_is_told(
    zoo: Any, convert: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Help, README and the report say the tolerance."""
    outcome = convert(zoo.keras, "--min-agreement", "0", "--prefer", "latency")
    with pytest.raises(SystemExit):
        main(["--help"])
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
    told = "fastest (of those at most 5% slower the smallest)"
    assert told in " ".join(capsys.readouterr().out.split())
    assert told in (outcome.out / "report.md").read_text()
    assert "the smallest of those at most 5 % slower than the fastest" in readme


def test_failed_candidate_is_passed_over() -> None:
    """A recipe that the quantizer refused leaves the others standing."""
    failed = Candidate(recipe=Recipe("static_wi8_ai8"), error="no")
    assert "float32" == chosen([failed, candidate("float32", 9)])


def outside(name: str, budget: Budget, **measures: Any) -> Candidate:
    """A candidate that is not inside a budget."""
    found = {"drop": 0.0, "agreement": 1.0, "size": 9, "latency_ms": 1.0} | measures
    broken = budget.broken_by(**found)
    return candidate(name, found["size"], drop=found["drop"], broken=broken, inside_budget=False)


def test_nothing_inside_the_budget() -> None:
    """Where none is inside, the nearest one is told with all that it breaks, and the table."""
    budget = Budget(max_accuracy_drop=0.01, max_size=4000)
    candidates = [
        outside("float32", budget, size=9000),
        outside("float16", budget, size=5000),
        outside("dynamic_wi8_afp32", budget, size=4001, drop=0.02),
    ]
    with pytest.raises(BudgetError) as caught:
        choose(candidates, budget, Prefer.SIZE, "the table")
    assert (
        "no candidate is inside the budget (drop at most 0.01, size at most 4.0 kB): the nearest, "
        "float16, has size 5.0 kB; loosen max_size, or train a model that keeps more when rounded"
    ) == str(caught.value)
    assert "the table" == caught.value.table


@pytest.mark.parametrize(
    ("budget", "measures", "expected"),
    [
        (Budget(max_accuracy_drop=0.01), {"drop": 0.0100004}, "drop 0.0100004"),
        (Budget(max_size=4_000_000), {"size": 4_000_123}, "size 4,000,123 bytes"),
        (Budget(max_latency_ms=5.0), {"latency_ms": 5.0000001}, "latency 5.0000001 ms"),
        (Budget(max_latency_ms=5.0), {"latency_ms": None}, "latency not known"),
        (Budget(min_agreement=0.99), {"agreement": 0.5}, "agreement 0.5"),
    ],
)
def test_what_is_broken_is_told(budget: Budget, measures: Any, expected: str) -> None:
    """What is just beyond a limit is told with the digits that say so."""
    [breach] = outside("float32", budget, **measures).broken
    assert expected == broke(breach)


def test_auto_tries_all_recipes(zoo: Any, convert: Any) -> None:
    """Recipe auto scores every recipe, and takes the smallest that is inside."""
    outcome = convert(
        zoo.keras, "--calibration", zoo.calibration, "--evaluation", zoo.evaluation,
        "--max-accuracy-drop", "0.1",
    )  # fmt: skip
    report = json.loads((outcome.out / "report.json").read_text())
    assert list(Scheme) == [one["recipe"] for one in report["candidates"]]
    assert (1.0, {"max_accuracy_drop": 0.1}) == (report["original"]["metric"], report["budget"])
    fit = [one for one in report["candidates"] if one["inside_budget"]]
    smallest = min(fit, key=lambda one: one["gzip_bytes"])
    assert smallest["recipe"] == report["chosen"]
    assert smallest["bytes"] == (outcome.out / "model.tflite").stat().st_size
    assert f"**{report['chosen']}**" in (outcome.out / "report.md").read_text()


def test_auto_says_why_static_was_not_tried(zoo: Any, convert: Any) -> None:
    """Without calibration data the static recipe is left out, and both reports say so."""
    outcome = convert(zoo.keras, "--evaluation", zoo.evaluation)
    report = json.loads((outcome.out / "report.json").read_text())
    reason = "needs calibration data and none was given"
    static = ["static_wi8_ai8", "static_wi8_ai16"]
    assert [{"recipe": name, "reason": reason} for name in static] == report["not_tried"]
    assert "static_wi8_ai8" not in [one["recipe"] for one in report["candidates"]]
    assert f"Not tried: {', '.join(static)}, {reason}." in (outcome.out / "report.md").read_text()


def test_impossible_budget_exits_3_with_the_table(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """Where no candidate is inside the budget, the table is shown and nothing is written."""
    # Answers that rounding cannot but change: whole targets, on the original's own numbers.
    target = zoo.model.predict(zoo.x, verbose=0).astype(np.float64)
    np.savez(tmp_path / "e.npz", x=zoo.x, y=target)
    outcome = convert(
        zoo.keras, "--recipe", "dynamic_wi8_afp32", "--evaluation", tmp_path / "e.npz",
        "--max-accuracy-drop", "0",
    )  # fmt: skip
    assert 3 == outcome.code
    assert any(line.startswith("| dynamic_wi8_afp32 |") for line in outcome.errors)
    assert outcome.errors[-1].startswith(
        "convert: no candidate is inside the budget (drop at most 0): the nearest, dynamic_"
    )
    assert [] == list(convert.folder.iterdir())


def test_regression_is_judged_by_its_error(convert: Any, prices: Any, tmp_path: Path) -> None:
    """A model of a quantity is scored by mse, and loses little of R squared at 8 bits."""
    x, y = prices
    np.savez(tmp_path / "e.npz", x=x, y=y)
    outcome = convert(tmp_path / "model.keras", "--evaluation", tmp_path / "e.npz")
    report = json.loads((outcome.out / "report.json").read_text())
    assert "mse" == report["metric"]
    drops = {one["recipe"]: one["drop"] for one in report["candidates"]}
    assert drops["float32"] < 1e-6 < drops["dynamic_wi8_afp32"] < 0.01


@pytest.mark.parametrize(
    ("metric", "guess"), [("mse", np.var), ("mae", lambda y: np.abs(y - np.median(y)).mean())]
)
def test_drop_of_an_error_is_explained(
    convert: Any, prices: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str,
    guess: Any,
) -> None:  # fmt: skip
    """Report and picture say of what the drop is a share, and which error the budget allows."""
    drawn: list[Any] = []

    def draw(picture: Any) -> bytes:
        drawn.append(picture)
        return b""

    monkeypatch.setattr("convert.plot.draw", draw)
    x, y = prices
    y = y + 10
    np.savez(tmp_path / "e.npz", x=x, y=y)
    outcome = convert(
        tmp_path / "model.keras", "--evaluation", tmp_path / "e.npz", "--metric", metric,
        "--recipe", "float16", "--max-accuracy-drop", "0.5",
    )  # fmt: skip
    report = json.loads((outcome.out / "report.json").read_text())
    [made], unit = report["candidates"], guess(y.astype(np.float64))
    rise = made["metric"] - report["original"]["metric"]
    assert pytest.approx(rise / unit, abs=1e-5) == made["drop"]
    assert f"Drop: {DROP} (here {unit:.4g})." in (outcome.out / "report.md").read_text()
    allowed = report["original"]["metric"] + 0.5 * unit
    at, said = drawn[0].value_limit
    assert pytest.approx(allowed) == at
    assert f"budget: {metric} at most {at:.4g} (drop at most 0.5)" == said


def test_help_and_readme_say_what_a_drop_is(capsys: pytest.CaptureFixture[str]) -> None:
    """One statement everywhere: of the metric, and of errors as a share."""
    with pytest.raises(SystemExit):
        main(["--help"])
    said = (capsys.readouterr().out, (Path(__file__).parents[2] / "README.md").read_text())
    assert [True, True] == [DROP in " ".join(text.split()) for text in said]


def test_named_recipe_needs_no_evaluation(zoo: Any, convert: Any) -> None:
    """A recipe asked for by name converts unscored, and the report says that it is."""
    outcome = convert(zoo.keras, "--recipe", "float16")
    report = json.loads((outcome.out / "report.json").read_text())
    assert (None, None, "float16") == (report["metric"], report["budget"], report["chosen"])
    assert report["candidates"][0]["inside_budget"] is None
    assert "Not scored" in (outcome.out / "report.md").read_text()


def test_existing_folder_keeps_its_other_files(zoo: Any, convert: Any) -> None:
    """A second run replaces its own five files and leaves strangers alone."""
    out = convert.folder / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "model.tflite").write_text("old")
    convert(zoo.keras, "--recipe", "float32")
    assert "mine" == (out / "notes.txt").read_text()
    assert b"TFL3" == (out / "model.tflite").read_bytes()[4:8]
    assert 6 == len(list(out.iterdir()))


def test_picture_of_an_earlier_run_goes(convert: Any, tmp_path: Path) -> None:
    """A run that compares nothing makes no picture, and leaves none of another model."""
    start = keras.Input((None, 4), name="steps")
    keras.Model(start, keras.layers.Dense(2)(start)).save(tmp_path / "model.keras")
    out = convert.folder / "out"
    out.mkdir()
    (out / "report.png").write_bytes(b"old")
    convert(tmp_path / "model.keras", "--recipe", "float32")
    assert ["model.json", "model.tflite", "report.json", "report.md"] == sorted(
        file.name for file in out.iterdir()
    )
