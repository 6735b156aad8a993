"""The model's card, as far as the program needs it."""

from pathlib import Path

import pytest

from infra.card import Card, digest
from infra.errors import CardError


def test_paths_are_relative_to_the_project(project: Path) -> None:
    """Files named beside the card are found from the project, and never by a machine's path."""
    assert project.is_dir()
    card = Card.load("models/digits")

    assert ("models/digits/model.keras", "models/digits/evaluation.npz", None) == (
        card.model,
        card.evaluation,
        card.calibration,
    )


def test_card_file_itself(project: Path) -> None:
    """The card may be named instead of its folder."""
    assert project.is_dir()
    assert Card.load("models/digits") == Card.load("models/digits/model.yaml")


def test_absent_settings_stay_out(project: Path) -> None:
    """State drops a null inside a map, so one passed in would be a difference for ever."""
    (project / "models/digits/model.yaml").write_text("name: digits\nmodel: m.keras\nmetric:\n")

    assert {} == Card.load("models/digits").conversion


@pytest.mark.parametrize(
    ("data", "decide"),
    [
        ("calibration: pictures\nevaluation: e.npz", ["picture"]),
        ("evaluation: e.npz", []),
        ("calibration: c.npz", []),
        ("", ["picture"]),
    ],
    ids=["pictures", "arrays", "calibration arrays", "made-up inputs"],
)
def test_picture_is_an_input_where_numbers_are_made_by_it(
    data: str, decide: list[str], project: Path
) -> None:
    """How pictures are read decides the bytes only where the converter reads or invents some."""
    (project / "models/digits/model.yaml").write_text(
        f"name: digits\nmodel: m.keras\npicture: {{width: 8}}\n{data}\n"
    )

    assert decide == list(Card.load("models/digits").conversion)


NAMED = "name: digits\nmodel: m.keras\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("name: [", "is not YAML"),
        ("- digits", "holds list; expected keys"),
        ("model: model.keras", "name is None"),
        ("name: a b\nmodel: model.keras", "name is 'a b'; expected 1 to 64"),
        ("name: digits", "model is None; expected the trained model's file"),
        (f"{NAMED}evaluation: 3", "evaluation is 3; expected data's path"),
        (f"{NAMED}calibration: [a]", r"calibration is \['a'\]; expected data's path"),
        (f"{NAMED}training: {{a: b}}", "training is {'a': 'b'}; expected data's path"),
        (f"{NAMED}labels: 3", "labels is 3; expected a list of texts"),
        (f"{NAMED}labels: abc", "labels is 'abc'; expected a list of texts"),
        (f"{NAMED}picture: 3", "picture is 3; expected a mapping"),
        (f"{NAMED}task: 2026-11-23", "task is datetime.date.*; expected texts and numbers"),
        (f"{NAMED}budget: {{max_size: 2026-11-23}}", "budget is .*; expected texts and numbers"),
        (f"{NAMED}budget: {{3: 4}}", "budget is {3: 4}; expected texts and numbers"),
        (f"{NAMED}picture: {{range: [2026-11-23]}}", "picture is .*; expected texts and numbers"),
    ],
)
def test_unusable_card(content: str, expected: str, project: Path) -> None:
    """A card that this program cannot work with is refused in one line, and not by a traceback."""
    (project / "models/digits/model.yaml").write_text(content)

    with pytest.raises(CardError, match=expected) as caught:
        Card.load("models/digits")
    assert "\n" not in str(caught.value)


def test_absolute_path_is_refused(project: Path) -> None:
    """A machine's path would end up in state."""
    with pytest.raises(CardError, match="relative to the project"):
        Card.load(str(project / "models" / "digits"))


def test_digest_of_a_folder(tmp_path: Path) -> None:
    """A SavedModel's digest covers names as well as contents."""
    (tmp_path / "a").write_text("1")
    before = digest(str(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")

    assert before != digest(str(tmp_path))


def test_digest_of_nothing(tmp_path: Path) -> None:
    """A missing file has no digest; the converter's check says what is missing."""
    assert digest(str(tmp_path / "none")) is None
