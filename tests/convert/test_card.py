"""model.yaml: what is read from it, and every fault by name."""

from pathlib import Path
from typing import Any

import pytest

from convert import card, metric
from convert.budget import Budget, Prefer
from convert.errors import CardError
from convert.metric import Task

WHOLE = """
name: cats
model: net/model.keras
calibration: c.npz
evaluation: e.npz
task: classification
metric: accuracy
budget: {max_accuracy_drop: 0.02, min_agreement: 0.9, max_size: 1.5 MB, max_latency_ms: 20}
prefer: latency
training: t.npz
signature: serve
picture: {width: 8, height: 9, color: rgb, range: [-1, 1]}
labels: [cat, dog]
"""


def read(folder: Path, text: str) -> card.Card:
    """Reads a card of that text."""
    (folder / "model.yaml").write_text(text)
    return card.read(folder / "model.yaml", {})


def test_whole_card(tmp_path: Path) -> None:
    """Every key arrives; paths are relative to the card."""
    assert card.Card(
        name="cats",
        model=tmp_path / "net/model.keras",
        calibration=tmp_path / "c.npz",
        evaluation=tmp_path / "e.npz",
        task=Task.CLASSIFICATION,
        training=tmp_path / "t.npz",
        signature="serve",
        metric=metric.ACCURACY,
        budget=Budget(
            max_accuracy_drop=0.02, min_agreement=0.9, max_size=1_500_000, max_latency_ms=20.0
        ),
        prefer=Prefer.LATENCY,
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
        ("model: [a]", "model: expected a .keras, .h5 or .tflite file"),
        ("task: guessing", "a mapping of outputs to these, got 'guessing'"),
        ("metric: f2", "metric: expected accuracy, top5 (any topK), f1, mean_iou, mse, mae, or"),
        ("metric: top0", "metric: expected accuracy"),
        ("metric: 'my metric:f'", "metric: expected accuracy"),
        ("metric: {function: 'm:f', better: more}", "metric: expected accuracy"),
        ("prefer: speed", "prefer: expected size or latency, got 'speed'"),
        ("signature: 3", "signature: expected the name of one"),
        ("training: []", "training: expected the path"),
        ("metric: mse", "metric: mse does not fit task classification"),
        ("budget: 0.1", "budget: expected a mapping"),
        ("budget: {}", "budget: empty, expected some of max_accuracy_drop, min_agreement"),
        ("budget: {max_size: 2 lots}", "budget.max_size: expected bytes, or a size such as"),
        ("budget: {max_size: 0}", "budget.max_size: expected bytes"),
        ("budget: {max_latency_ms: 0}", "budget.max_latency_ms: expected a number of milliseconds"),
        ("budget: {min_agreement: 99}", "budget.min_agreement: expected a number from 0 to 1"),
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


@pytest.mark.parametrize(
    ("size", "count"),
    [(500, 500), ("500", 500), ("2 MB", 2_000_000), ("1.5MiB", 1_572_864), ("3 kb", 3000)],
)
def test_sizes(tmp_path: Path, size: object, count: int) -> None:
    """A size is bytes, or a number with a unit: kB of 1000 or KiB of 1024."""
    made = read(tmp_path, f"name: cats\nmodel: m.keras\nbudget: {{max_size: {size}}}\n")
    assert count == made.budget.max_size


@pytest.mark.parametrize(
    ("text", "higher"),
    [
        ("lab.own:score", True),
        ("{function: 'lab.own:score'}", True),
        ("{function: 'lab.own:score', better: lower}", False),
    ],
)
def test_metric_of_the_users_own(tmp_path: Path, text: str, higher: bool) -> None:  # noqa: FBT001
    """A function is found in a module beside the card, and says which way is better."""
    made = read(tmp_path, f"name: cats\nmodel: m.keras\nmetric: {text}\n").metric
    assert made is not None
    function = metric.Function(file=tmp_path / "lab/own.py", name="score")
    assert (function, higher) == (made.function, made.higher_is_better)


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
