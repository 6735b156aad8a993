"""What candidates are held against: held-out rows, else calibration rows, else made-up ones."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import data, synthetic
from convert.card import Picture
from convert.errors import DataError
from convert.metric import parse
from convert.own_metric import measure
from convert.signature import Signature, TensorSpec


def signature(*inputs: tuple[str, tuple[int, ...]]) -> Signature:
    """A signature of inputs called a, b, ..."""
    specs = tuple(
        TensorSpec(name=chr(97 + at), dtype=dtype, shape=shape)
        for at, (dtype, shape) in enumerate(inputs)
    )
    return Signature(name="s", inputs=specs, outputs=specs)


def test_made_up_inputs_fit_and_repeat() -> None:
    """Every input gets its dtype and shape, a fixed batch whole calls, and always the same."""
    wanted = signature(("float32", (24, 3)), ("int64", (24, 5)), ("uint8", (24,)), ("bool", (24,)))
    made = synthetic.inputs(wanted, None)
    assert made is not None
    assert [("float32", (72, 3)), ("int64", (72, 5)), ("uint8", (72,)), ("bool", (72,))] == [
        (array.dtype.name, array.shape) for array in made.values()
    ]
    assert {0, 1} == set(made["b"].ravel())
    again = synthetic.inputs(wanted, None)
    assert again is not None
    assert all(np.array_equal(made[name], again[name]) for name in made)


def test_made_up_pictures_have_the_picture_s_range() -> None:
    """Numbers beyond what a picture can hold would compare what never happens."""
    picture = Picture(width=2, height=2, color="rgb", range=(1.0, -1.0))
    made = synthetic.inputs(signature(("float32", (-1, 2, 2, 3))), picture)
    assert made is not None
    assert -1 <= made["a"].min() < -0.5 < 0.5 < made["a"].max() <= 1


def test_free_sizes_are_not_made_up() -> None:
    """Which length makes sense is for the user's data to say."""
    assert synthetic.inputs(signature(("float32", (-1, -1))), None) is None


def own(folder: Path, body: str) -> Any:
    """A metric of the user's own, whose function has that body."""
    folder.joinpath("own.py").write_text(f"def score(answers, targets):\n    {body}\n")
    return parse("own:score", folder)


def test_own_metric_gets_answers_and_targets(tmp_path: Path) -> None:
    """The user's function gets both as they are, and its number is the metric."""
    metric = own(tmp_path, "return (answers * 2 == targets).mean()")
    assert 0.5 == measure(metric, np.array([1.0, 2.0]), np.array([2, 5]))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("raise ValueError('two\\n    lines')", "ValueError: two lines"),
        ("return None", "TypeError"),
        ("return float('nan')", "returned nan: expected a finite number"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_own_metric_that_fails(tmp_path: Path, body: str, fault: str) -> None:
    """Whatever the user's function does wrong is one line that names it."""
    with pytest.raises(Exception, match=rf"metric own:score: {fault}"):
        measure(own(tmp_path, body), np.zeros(1), np.zeros(1))


def test_auto_on_calibration_rows(zoo: Any, convert: Any) -> None:
    """Without held-out data `auto` keeps an agreement on calibration rows, and says just that."""
    outcome = convert(zoo.keras, "--calibration", zoo.calibration, "--min-agreement", 0.9)
    report = json.loads((outcome.out / "report.json").read_text())
    assert (None, {"min_agreement": 0.9}) == (report["metric"], report["budget"])
    assert {"data": "calibration", "rows": 48} == report["compared_on"]
    assert all(one["agreement"] >= 0.9 for one in report["candidates"] if one["inside_budget"])
    text = (outcome.out / "report.md").read_text()
    assert "Agreement with the original is on 48 calibration rows" in text
    assert "accuracy" not in text + json.dumps(report)


def test_named_recipe_on_made_up_rows_keeps_its_budget(zoo: Any, convert: Any) -> None:
    """A recipe asked for by name is held against the limits as well, and told which it broke."""
    outcome = convert(
        zoo.keras, "--recipe", "dynamic_wi8_afp32", "--min-agreement", 0.5, "--max-size", "2 kB"
    )
    assert 3 == outcome.code
    [row] = [line for line in outcome.errors if line.startswith("| dynamic_wi8_afp32")]
    assert re.search(r"\| size \d+\.\d kB \|$", row)
    assert "(agreement at least 0.5, size at most 2.0 kB)" in outcome.errors[-1]
    assert re.search(r"has size \d+\.\d kB; loosen max_size", outcome.errors[-1])


def test_own_metric_decides_in_a_worker(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A function beside the card is the metric; it runs in another process, without credentials."""
    (tmp_path / "own.py").write_text(
        "import os\n"
        "def score(answers, targets):\n"
        f"    assert os.getpid() != {os.getpid()}\n"
        "    assert not [name for name in os.environ if 'SECRET' in name]\n"
        "    return float((answers.argmax(-1) != targets).mean())\n"
    )
    (tmp_path / "model.yaml").write_text(
        f"name: cats\nmodel: {zoo.keras}\nevaluation: {zoo.evaluation}\n"
        "metric: {function: 'own:score', better: lower}\n"
    )
    os.environ["MY_SECRET"] = "secret"
    try:
        outcome = convert(tmp_path, "--recipe", "float16")
    finally:
        del os.environ["MY_SECRET"]
    report = json.loads((outcome.out / "report.json").read_text())
    assert ("own:score", False) == (report["metric"], report["higher_is_better"])
    assert 0.0 == report["original"]["metric"]


def test_whole_quantities_under_an_own_metric(convert: Any, prices: Any, tmp_path: Path) -> None:
    """Prices are held against the original's as quantities, though they are whole numbers."""
    x, y = prices
    np.savez(tmp_path / "e.npz", x=x, y=(y * 100).round().astype(np.int64))
    # Scales fixed on rows near 0 cut off every larger answer, and keep its sign.
    np.savez(tmp_path / "c.npz", x=x[:8] * 0.01)
    (tmp_path / "own.py").write_text("def score(answers, targets): return 1\n")
    (tmp_path / "model.yaml").write_text(
        "name: price\nmodel: model.keras\nevaluation: e.npz\ncalibration: c.npz\n"
        "metric: own:score\n"
    )
    outcome = convert(tmp_path, "--recipe", "static_wi8_ai8")
    [found] = json.loads((outcome.out / "report.json").read_text())["candidates"]
    assert found["agreement"] < 0.1


def test_own_metric_that_is_not_there(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A function that the file does not have is found out before anything is loaded."""
    (tmp_path / "own.py").write_text("def scored(answers, targets): return 1\n")
    (tmp_path / "model.yaml").write_text(
        f"name: cats\nmodel: {zoo.keras}\nevaluation: {zoo.evaluation}\nmetric: own:score\n"
    )
    fault = convert.fails(tmp_path, "--recipe", "float16")
    assert "no function 'score' in it: it has scored" in fault


def test_targets_of_one_of_several_outputs(convert: Any, tmp_path: Path) -> None:
    """The metric is of the output that the targets name; agreement and errors are of all."""
    import keras

    keras.utils.set_random_seed(66)
    start = keras.Input((6,), name="rooms")
    hidden = keras.layers.Dense(32, activation="relu")(start)
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(hidden)
    price = keras.layers.Dense(1, name="price")(hidden)
    model = keras.Model(start, [kind, price])
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(66).normal(size=(64, 6)).astype(np.float32)
    kinds = model.predict(x, verbose=0)[0].argmax(-1)
    np.savez(tmp_path / "e.npz", x=x, y_kind=kinds)
    outcome = convert(
        tmp_path / "model.keras", "--recipe", "float16", "--evaluation", tmp_path / "e.npz"
    )
    report = json.loads((outcome.out / "report.json").read_text())
    assert ("accuracy", "kind", 1.0) == (
        report["metric"],
        report["output"],
        report["original"]["metric"],
    )
    [candidate] = report["candidates"]
    assert {"kind", "price"} == {one["name"] for one in candidate["outputs"]}
    assert candidate["agreement"] == min(one["agreement"] for one in candidate["outputs"])


def test_output_without_an_axis_for_scores(convert: Any, tmp_path: Path) -> None:
    """One probability a row, as tf.squeeze leaves it, is held against one target a row."""
    import keras

    keras.utils.set_random_seed(66)
    start = keras.Input((6,), name="rooms")
    chance = keras.layers.Dense(1, activation="sigmoid")(start)
    model = keras.Model(start, keras.layers.Reshape((), name="chance")(chance))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(66).normal(size=(64, 6)).astype(np.float32)
    y = (model.predict(x, verbose=0) > 0.5).astype(np.int64)
    y[:16] = 1 - y[:16]
    np.savez(tmp_path / "e.npz", x=x, y=y)
    outcome = convert(
        tmp_path / "model.keras", "--recipe", "float32", "--evaluation", tmp_path / "e.npz"
    )
    assert 0.75 == json.loads((outcome.out / "report.json").read_text())["original"]["metric"]


@pytest.mark.parametrize("middle", [0.0, 0.5])
def test_lone_score_without_a_sigmoid(convert: Any, tmp_path: Path, middle: float) -> None:
    """A logit is judged by its sign; a line that was trained to answer 0 and 1, by one half."""
    import keras

    keras.utils.set_random_seed(66)
    start = keras.Input((6,), name="rooms")
    model = keras.Model(start, keras.layers.Dense(1, name="logit")(start))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(66).normal(size=(64, 6)).astype(np.float32)
    np.savez(tmp_path / "e.npz", x=x, y=(model.predict(x, verbose=0)[:, 0] > middle).astype(int))
    outcome = convert(
        tmp_path / "model.keras", "--recipe", "float32", "--evaluation", tmp_path / "e.npz"
    )
    report = json.loads((outcome.out / "report.json").read_text())
    assert (1.0, 1.0) == (report["original"]["metric"], report["candidates"][0]["metric"])


@pytest.mark.parametrize(
    ("labels", "expected"), [(["left", "right"], None), (["a", "b", "c", "d", "e"], "e")]
)
def test_labels_of_one_of_several_outputs(
    convert: Any, tmp_path: Path, labels: list[str], expected: str | None
) -> None:
    """Labels name the judged output's classes where there is one for each, and none otherwise."""
    import keras

    keras.utils.set_random_seed(66)
    start = keras.Input((6,), name="rooms")
    kind = keras.layers.Dense(5, activation="softmax", name="kind")(start)
    side = keras.layers.Dense(2, activation="softmax", name="side")(start)
    keras.Model(start, [kind, side]).save(tmp_path / "model.keras")
    np.savez(tmp_path / "e.npz", x=np.eye(6, dtype=np.float32), y_kind=np.full(6, 4))
    (tmp_path / "model.yaml").write_text(
        f"{{name: rooms, model: model.keras, evaluation: e.npz, labels: {labels}}}"
    )
    outcome = convert(tmp_path, "--recipe", "float32")
    [found] = json.loads((outcome.out / "report.json").read_text())["candidates"]
    assert (4, expected) == (found["worst_class"]["class"], found["worst_class"]["label"])


def test_original_that_finds_nothing(convert: Any, tmp_path: Path) -> None:
    """A model that answers as many rows as it finds, and finds none, is converted."""
    import tensorflow as tf

    class Finder(tf.Module):  # type: ignore[misc]  # tensorflow publishes no types
        @tf.function(input_signature=[tf.TensorSpec((None, 4))])  # type: ignore[untyped-decorator]  # tensorflow publishes no types
        def find(self, x: Any) -> dict[str, Any]:
            return {"boxes": tf.gather(x, tf.where(x[:, 0] > 100.0)[:, 0])}

    finder = Finder()
    tf.saved_model.save(finder, str(tmp_path / "finder"), signatures=finder.find)
    outcome = convert(tmp_path / "finder", "--recipe", "float32")
    [found] = json.loads((outcome.out / "report.json").read_text())["candidates"]
    assert 1.0 == found["agreement"]


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["y"], "call it y_a or y_b"),
        (["y_size"], "no output 'size', it has a, b"),
        (["y_a", "y_b"], "several targets (y_a, y_b)"),
    ],
)
def test_targets_that_do_not_say_whose_they_are(
    tmp_path: Path, names: list[str], fault: str
) -> None:
    """Where a model has several outputs, the targets name one of them, and only one."""
    arrays: dict[str, Any] = {name: np.zeros((2, 1), np.float32) for name in ("a", "b", *names)}
    np.savez(tmp_path / "e.npz", **arrays)
    of = signature(("float32", (-1, 1)), ("float32", (-1, 1)))
    with pytest.raises(DataError, match=re.escape(fault)):
        data.fit(data.read(tmp_path / "e.npz", with_targets=True), of)
