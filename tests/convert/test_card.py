"""model.yaml: what is read from it, and every fault by name."""

from pathlib import Path
from typing import Any

import pytest

from convert import card
from convert.errors import CardError

WHOLE = """
name: cats
model: net/model.keras
calibration: c.npz
evaluation: e.npz
task: classification
metric: accuracy
budget: {max_accuracy_drop: 0.02}
picture: {width: 8, height: 9, color: rgb, range: [-1, 1]}
labels: [cat, dog]
"""


def read(folder: Path, text: str) -> card.Card:
    """Reads a card of that text."""
    (folder / "model.yaml").write_text(text)
    return card.read(folder / "model.yaml")


def test_whole_card(tmp_path: Path) -> None:
    """Every key arrives; paths are relative to the card."""
    assert card.Card(
        name="cats",
        model=tmp_path / "net/model.keras",
        calibration=tmp_path / "c.npz",
        evaluation=tmp_path / "e.npz",
        task=card.Task.CLASSIFICATION,
        metric=card.Metric.ACCURACY,
        max_drop=0.02,
        picture=card.Picture(width=8, height=9, color="rgb", range=(-1.0, 1.0)),
        labels=("cat", "dog"),
    ) == read(tmp_path, WHOLE)


def test_smallest_card(tmp_path: Path) -> None:
    """Name and model are enough."""
    smallest = read(tmp_path, "name: cats\nmodel: m.keras\n")
    assert ("cats", None, None) == (smallest.name, smallest.evaluation, smallest.labels)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nmae: cats", "nmae: unknown key (known here: name, model"),
        ("name: 'two words'", "name: expected 1 to 64 letters"),
        ("name: 7", "name: expected 1 to 64 letters, digits, `_` or `-`"),
        ("model: [a]", "model: expected the path"),
        ("task: guessing", "task: expected classification or regression, got 'guessing'"),
        ("metric: f1", "metric: expected accuracy, mse, mae, got 'f1'"),
        ("metric: mse", "metric: mse does not fit task classification"),
        ("budget: 0.1", "budget: expected a mapping"),
        ("budget: {}", "budget.max_accuracy_drop: missing"),
        ("budget: {max_accuracy_drop: yes}", "budget.max_accuracy_drop: expected a number"),
        ("budget: {max_accuracy_drop: 2}", "budget.max_accuracy_drop: expected a number"),
        ("budget: {max_drop: 0.1}", "budget.max_drop: unknown key"),
        ("picture: {width: 8}", "picture.height: missing"),
        (
            "picture: {width: 0, height: 8, color: gray, range: [0, 1]}",
            "picture.width: expected a whole number of pixels from 1 to 4096, got 0",
        ),
        (
            "picture: {width: 8, height: 8, color: green, range: [0, 1]}",
            "picture.color: expected gray or rgb",
        ),
        (
            "picture: {width: 8, height: 8, color: gray, range: [1, 1]}",
            "picture.range: expected two different numbers",
        ),
        ("labels: [0, 1]", "labels: expected a list of texts"),
        ("labels: []", "labels: expected a list of texts"),
    ],
)
def test_fault_is_named(tmp_path: Path, line: str, fault: str) -> None:
    """A wrong key or value is told with its key, what was expected, and what was seen."""
    key = line.split(":", maxsplit=1)[0]
    kept = [other for other in WHOLE.strip().splitlines() if not other.startswith(f"{key}:")]
    with pytest.raises(CardError) as caught:
        read(tmp_path, "\n".join([*kept, line]))
    assert fault in str(caught.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    """Three faults take one run to find, not three."""
    with pytest.raises(CardError) as caught:
        read(tmp_path, "name: 'a b'\ntask: x\nextra: 1\n")
    for fault in ("name:", "model: missing", "task:", "extra: unknown key"):
        assert fault in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [", "!!python/object:os.system {}"])
def test_not_a_card(tmp_path: Path, text: str) -> None:
    """What is not a mapping of plain YAML is refused."""
    with pytest.raises(CardError):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("labels: [a, b, c]", "labels: 3 given, but 'scores' has 4 scores"),
        (
            "picture: {width: 8, height: 8, color: gray, range: [0, 1]}",
            "picture: 8 x 8 gray makes rows of shape [8, 8, 1], but 'features' takes [12]",
        ),
    ],
)
def test_presentation_that_does_not_fit_the_model(
    zoo: Any, convert: Any, tmp_path: Path, line: str, fault: str
) -> None:
    """Labels and pictures are held against the model itself."""
    (tmp_path / "model.yaml").write_text(f"name: cats\nmodel: {zoo.keras}\n{line}\n")
    assert fault in convert.fails(tmp_path, "--recipe", "float32")


def test_missing_model_of_a_card(convert: Any, tmp_path: Path) -> None:
    """A card whose model is not there names the model's path."""
    (tmp_path / "model.yaml").write_text("name: cats\nmodel: gone.keras\n")
    assert f"{tmp_path / 'gone.keras'}: not found" in convert.fails(tmp_path, "--recipe", "float32")


def test_command_line_overrides_the_card(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """An option given wins over the card's value."""
    (tmp_path / "model.yaml").write_text(
        f"name: cats\nmodel: {zoo.keras}\nevaluation: gone.npz\nlabels: [a, b, c, d]\n"
    )
    outcome = convert(tmp_path, "--recipe", "float32", "--evaluation", zoo.evaluation)
    assert 0 == outcome.code
    assert '"name": "cats"' in (outcome.out / "model.json").read_text()
