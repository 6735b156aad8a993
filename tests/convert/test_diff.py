"""What changed between two reports."""

import json
from pathlib import Path
from typing import Any

import pytest

from convert.__main__ import main


def report(**changed: Any) -> dict[str, Any]:
    """A report of two candidates, the first of which won."""
    measures = {"metric": 0.9, "drop": 0.0, "agreement": 1.0, "latency_ms": 2.0, "error": None}
    small = {"recipe": "float16", "bytes": 500, "gzip_bytes": 400, "inside_budget": True}
    large = {"recipe": "float32", "bytes": 1000, "gzip_bytes": 900, "inside_budget": True}
    return {
        "schema": 1,
        "model": "cats",
        "metric": "accuracy",
        "compared_on": {"data": "evaluation", "rows": 10},
        "budget": {"max_accuracy_drop": 0.01},
        "original": {"bytes": 1100, "metric": 0.9},
        "candidates": [small | measures, large | measures],
        "chosen": "float16",
    } | changed


class Diff:
    """Runs the command on two reports."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def __call__(self, old: object, new: object, *options: str) -> tuple[int, str, str]:
        """Returns the exit code, standard output and standard error."""
        for name, value in (("old", old), ("new", new)):
            (self._folder / name).mkdir(exist_ok=True)
            text = value if isinstance(value, str) else json.dumps(value)
            (self._folder / name / "report.json").write_text(text)
        paths = [str(self._folder / "old"), str(self._folder / "new" / "report.json")]
        code = main(["diff", *paths, *options])
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    """`python -m convert diff`, in this process; a folder first, then a file."""
    return Diff(tmp_path, capsys)


def test_nothing_changed(diff: Diff) -> None:
    """Two alike say so, whatever their latencies."""
    other = report()
    other["candidates"][0]["latency_ms"] = 7.0
    code, said, _ = diff(report(), other)
    assert 0 == code
    assert "cats: still float16, and nothing changed but latencies" == said.splitlines()[0]


def test_same_report(diff: Diff) -> None:
    """A report and itself differ in nothing at all."""
    _, said, _ = diff(report(), report())
    assert "cats: still float16, and nothing changed" == said.splitlines()[0]


def test_another_original(diff: Diff) -> None:
    """A model that was trained anew is a change, even where its candidates are as they were."""
    _, said, _ = diff(report(), report(original={"bytes": 1100, "metric": 0.91}))
    assert "cats: still float16" == said.splitlines()[0]


def test_another_model(diff: Diff) -> None:
    """Reports of two models are set side by side, and the first line says that they are."""
    code, said, _ = diff(report(model="dogs"), report())
    assert 0 == code
    assert (
        "cats: float16 -> float16, of another model: the old report is of dogs"
        == said.splitlines()[0]
    )


def test_another_winner(diff: Diff) -> None:
    """Sizes and latencies are told as ratios, metrics as differences; candidates by name."""
    new = report(chosen="float32")
    new["candidates"][0] |= {"inside_budget": False}
    new["candidates"][1] |= {"metric": 0.92, "latency_ms": 1.0}
    new["candidates"].append(new["candidates"][1] | {"recipe": "static_wi8_ai8", "error": "no"})
    _, said, _ = diff(report(), new)
    rows = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert ["chosen", "float16", "float32"] == rows["chosen"]
    assert ["x", "2"] == rows["size"][-2:]
    assert ["x", "0.5"] == rows["latency"][-2:]
    assert "+0.0200" == rows["accuracy"][-1]
    assert "Only in new: static_wi8_ai8." in said
    assert "Now outside the budget, was inside the budget: float16." in said


def test_other_rows_do_not_compare(diff: Diff) -> None:
    """Where the two were judged otherwise that is told, and no difference is made up."""
    _, said, _ = diff(report(), report(compared_on={"data": "evaluation", "rows": 20}))
    rows = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert "data evaluation, rows 10" in said
    assert ["accuracy", "0.9000", "0.9000"] == rows["accuracy"]


def test_agreement_of_another_kind_does_not_compare(diff: Diff) -> None:
    """Where the card calls for another kind of agreement, only the metric's change is told."""
    old, new = report(agreement_by={"s": "class"}), report(agreement_by={"s": "number"})
    new["candidates"][0]["agreement"] = 0.5
    _, said, _ = diff(old, new)
    rows = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert ["agreement", "1.0000", "0.5000"] == rows["agreement"]
    assert ["accuracy", "0.9000", "0.9000", "same"] == rows["accuracy"]


def test_candidate_that_is_gone(diff: Diff) -> None:
    """A recipe that is no longer tried is named, and no other."""
    old = report()
    old["candidates"].append(old["candidates"][1] | {"recipe": "static_wi8_ai8"})
    _, said, _ = diff(old, report())
    assert "Only in old: static_wi8_ai8." in said


def test_markdown_is_a_table(diff: Diff) -> None:
    """For a comment the same is a Markdown table."""
    _, said, _ = diff(report(), report(chosen="float32"), "--markdown")
    assert "### `cats`: float16 -> float32" == said.splitlines()[0]
    assert "| size | 0.5 kB | 1.0 kB | x 2 |" in said.splitlines()


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        ("{", "not JSON"),
        ([], "not a report"),
        (report(schema=0), "schema 0: this converter reads schema 1; convert the model again"),
        (report(schema=9), "schema 9: this converter reads schema 1; take the converter that"),
        (report(candidates=[]), "damaged"),
        (report(chosen=None), "damaged"),
    ],
    ids=[
        "cut short",
        "another document",
        "older schema",
        "newer schema",
        "no candidates",
        "no winner",
    ],
)
def test_unusable_report(diff: Diff, new: object, fault: str) -> None:
    """What is no report exits 2 with one line."""
    code, said, fell = diff(report(), new)
    assert (2, "") == (code, said)
    assert fault in fell
    assert 1 == len(fell.splitlines())


def test_missing_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a report exits 2 and names the file that was expected."""
    assert 2 == main(["diff", str(tmp_path), str(tmp_path)])
    assert f"{tmp_path / 'report.json'}: No such file" in capsys.readouterr().err
