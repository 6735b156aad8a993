"""What an output's answers mean, and when one is the original's."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert import way
from convert.errors import CardError
from convert.load import load
from convert.metric import Task
from convert.quiet import quiet
from convert.request import Options, build
from convert.way import Way

CLASSES, QUANTITY = Task.CLASSIFICATION, Task.REGRESSION
SOFTMAX = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
LONE = np.array([[0.9], [0.1], [0.6]])
SEVERAL = np.array([[0.9, 0.8], [0.1, 0.2], [0.6, 0.9]])


@pytest.mark.parametrize(
    ("given", "task", "sigmoid", "sure", "expected"),
    [
        (SOFTMAX, None, False, True, Way.CLASS),
        (SOFTMAX, QUANTITY, False, False, Way.CLASS),
        (SOFTMAX, QUANTITY, False, True, Way.NUMBER),
        (LONE, None, True, False, Way.CLASS),
        (LONE[:, 0], None, True, False, Way.CLASS),
        (LONE, None, False, True, Way.NUMBER),
        (LONE, CLASSES, False, False, Way.CLASS),
        (LONE * 9, CLASSES, False, False, Way.NUMBER),
        (LONE * 9, CLASSES, False, True, Way.CLASS),
        (LONE, QUANTITY, True, False, Way.NUMBER),
        (SEVERAL, None, True, True, Way.NUMBER),
        (SEVERAL, CLASSES, True, False, Way.NUMBER),
        (SEVERAL, CLASSES, True, True, Way.LABELS),
        (SEVERAL * 9, CLASSES, False, True, Way.CLASS),
        (SEVERAL[np.newaxis, ..., np.newaxis], None, True, True, Way.NUMBER),
        (SEVERAL[np.newaxis, ..., np.newaxis], CLASSES, True, False, Way.CLASS),
        (np.array([[1, 2], [3, 4]]), CLASSES, False, True, Way.EQUAL),
        (np.zeros((0, 4)), CLASSES, False, True, Way.NUMBER),
    ],
)
def test_card_and_model_say_what_answers_mean(
    given: Any, task: Task | None, *, sigmoid: bool, sure: bool, expected: Way
) -> None:
    """What the card says by name comes first; then scores that add up to 1, and lone sigmoids."""
    assert expected is way.settle(given, task, sigmoid=sigmoid, sure=sure)


@pytest.mark.parametrize(
    ("one", "given", "expected"),
    [
        (Way.CLASS, SOFTMAX, "the same one of 2 scores is the best"),
        (Way.CLASS, LONE, "the score is on the same side of 0.5"),
        (Way.CLASS, np.array([1, 2]), "it is equal"),
        (Way.LABELS, SEVERAL, "each of 2 scores is on the same side of 0.5"),
        (Way.NUMBER, LONE, "it is within 0.008, 1 % of the original's spread"),
        (
            Way.NUMBER,
            SEVERAL * [1, 10],
            "a number is within 1 % of its column's spread, 0.008 to 0.07 in 2 columns",
        ),
        (Way.EQUAL, LONE, "it is equal"),
    ],
)
def test_each_way_is_told(one: Way, given: Any, expected: str) -> None:
    """The words name how many scores there are, and how near is near."""
    assert expected == way.told(one, given, 0.5)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A softmax, a sigmoid, three sigmoids and a quantity, all of one layer; and some rows."""
    keras.utils.set_random_seed(66)
    start = keras.Input((6,), name="mail")
    hidden = keras.layers.Dense(32, activation="relu")(start)
    spam = keras.layers.Dense(1, activation="sigmoid")(hidden)
    keras.Model(
        start,
        {
            "kind": keras.layers.Dense(3, activation="softmax")(hidden),
            "spam": keras.layers.Reshape(())(spam),
            "tags": keras.layers.Dense(3, activation="sigmoid")(hidden),
            "weight": keras.layers.Dense(1)(hidden),
        },
    ).save(tmp_path / "model.keras")
    rows = np.random.default_rng(66).normal(size=(64, 6)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=rows * 3)
    return tmp_path


def test_sigmoids_are_found_in_the_file(model: Path) -> None:
    """Whatever shape a sigmoid's answers get after it, and nothing else."""
    scratch = model / "scratch"
    scratch.mkdir()
    with quiet():
        source = load(model / "model.keras", scratch)

    assert {"spam", "tags"} == way.sigmoids(source.float_model, source.signature)


@pytest.mark.parametrize(
    ("task", "tags"),
    [("classification", "number"), ("{tags: classification, weight: regression}", "labels")],
)
def test_sigmoid_beside_others_is_a_class(convert: Any, model: Path, task: str, tags: str) -> None:
    """A side of one half is what counts, not 1 %; several are labels where the card says so."""
    (model / "model.yaml").write_text(
        f"name: mail\nmodel: model.keras\ncalibration: c.npz\ntask: {task}\n"
    )
    outcome = convert(model, "--recipe", "dynamic_wi4_afp32")
    report = json.loads((outcome.out / "report.json").read_text())

    assert {"kind": "class", "spam": "class", "tags": tags, "weight": "number"} == report[
        "agreement_by"
    ]
    [made] = report["candidates"]
    [spam] = [one for one in made["outputs"] if one["name"] == "spam"]
    # Far beyond 1 % of what a probability can be, and nearly always the same answer.
    assert spam["max_abs_error"] > 0.02
    assert spam["agreement"] > 0.9
    assert (
        "of 'spam' where the score is on the same side of 0.5;"
        in (outcome.out / "report.md").read_text()
    )


def test_task_of_an_output_that_is_not_there(convert: Any, model: Path) -> None:
    """A name that the model does not have is refused, with those that it has."""
    (model / "model.yaml").write_text(
        "name: mail\nmodel: model.keras\ncalibration: c.npz\ntask: {ham: classification}\n"
    )
    fault = convert.fails(model, "--recipe", "float16")

    assert "task: the model has no output 'ham': expected some of kind, spam, tags, weight" == fault


@pytest.mark.parametrize("task", ["guess", "{spam: guess}", "{1: regression}", "{}"])
def test_task_that_is_none(model: Path, task: str) -> None:
    """A word that is no task is refused, and so is a mapping that has one."""
    (model / "model.yaml").write_text(f"name: mail\nmodel: model.keras\ntask: {task}\n")
    with pytest.raises(CardError, match="task: expected classification or regression, or a mapp"):
        build(model, Options(recipe="float16"))
