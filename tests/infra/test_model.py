"""OptimizedModel: when a conversion is due, and that nothing else makes one."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from infra.card import Card
from infra.errors import ConversionError
from infra.model import OptimizedModelProps, OptimizedModelProvider, build, fingerprint

provider = OptimizedModelProvider()
CARD = (
    "name: digits\nmodel: model.keras\nevaluation: evaluation.npz\n"
    "training: training.npz\nmetric: own:score\n"
)


def inputs() -> dict[str, Any]:
    """What the program would pass now."""
    fingerprint.cache_clear()
    return asdict(OptimizedModelProps.of(Card.load("models/digits"), "auto"))


def conversions() -> int:
    """How often the converter really ran."""
    log = Path("conversions.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def created(project: Path) -> dict[str, Any]:
    """The outputs of a first `up`."""
    assert project.is_dir()
    outs = provider.create(inputs()).outs
    assert outs is not None
    return outs


def test_outputs(created: dict[str, Any]) -> None:
    """Outputs say where the artifact is, what it is, and how good it is."""
    assert created["artifact"].startswith(".build/models/")
    assert ("float32", 7, 100, 0.97, 0.98, 1.0) == tuple(
        created[key]
        for key in ("chosen", "bytes", "original_bytes", "metric", "original_metric", "agreement")
    )
    assert [-1, 3] == json.loads(created["signature"])["outputs"][0]["shape"]


def test_no_machine_path_in_state(created: dict[str, Any], project: Path) -> None:
    """State reads the same wherever the project lies."""
    assert str(project) not in json.dumps(created)


def test_unchanged_inputs_are_no_difference(created: dict[str, Any]) -> None:
    """A second `up` converts nothing."""
    assert provider.diff("id", created, inputs()).changes is False
    assert 1 == conversions()


def test_artifact_is_reused(created: dict[str, Any]) -> None:
    """Another stack with the same inputs finds the artifact made."""
    assert created == provider.create(inputs()).outs
    assert 1 == conversions()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("model.keras", "other weights"),
        ("evaluation.npz", "other numbers"),
        ("training.npz", "more numbers"),
        ("own.py", "def score(answers, targets): return 0.5"),
        ("model.yaml", CARD + "budget: {max_accuracy_drop: 0.5}\n"),
        ("model.yaml", CARD + "budget: {max_accuracy_drop: 0.01}\nprefer: latency\n"),
    ],
    ids=["model", "evaluation", "training", "metric's file", "budget", "preference"],
)
def test_what_decides_the_bytes_is_a_difference(
    path: str, content: str, created: dict[str, Any], project: Path
) -> None:
    """Model, data, code and budget each make an update, and none of them a replacement."""
    folder = project / "models/digits"
    for name in ("training.npz", "own.py"):
        (folder / name).touch()
    (folder / "model.yaml").write_text(CARD + "budget: {max_accuracy_drop: 0.01}\n")
    before = provider.update("id", created, inputs()).outs
    assert before is not None
    (folder / path).write_text(content)
    found = provider.diff("id", before, inputs())

    assert (True, []) == (found.changes, found.replaces)


@pytest.mark.parametrize("line", ['labels: ["x", "y", "z"]', "picture: {width: 1, height: 2}"])
def test_presentation_is_no_difference(line: str, created: dict[str, Any], project: Path) -> None:
    """A label or the picture's description changes the image, and converts nothing."""
    card = project / "models/digits/model.yaml"
    kept = [text for text in card.read_text().splitlines() if not text.startswith("labels")]
    card.write_text("\n".join([*kept, line]))

    assert provider.diff("id", created, inputs()).changes is False


def test_another_converter_is_a_difference(
    created: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code of a provider in a module is invisible to Pulumi; the converter's fingerprint is not."""
    monkeypatch.setenv("FAKE_FINGERPRINT", "0" * 64)

    assert provider.diff("id", created, inputs()).changes is True


def test_wiped_state_is_a_difference(created: dict[str, Any]) -> None:
    """State without outputs leads to an update rather than to a KeyError."""
    assert created
    assert provider.diff("id", {}, inputs()).changes is True


def test_missing_artifact_comes_back(created: dict[str, Any]) -> None:
    """A machine without the artifact makes it in preview, and equal bytes are no difference."""
    shutil.rmtree(".build")

    assert provider.diff("id", created, inputs()).changes is False
    assert Path(created["artifact"], "model.tflite").exists()


def test_other_bytes_are_a_difference(
    created: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should another machine's conversion differ, preview says so."""
    shutil.rmtree(".build")
    monkeypatch.setenv("FAKE_SALT", "another machine")

    assert provider.diff("id", created, inputs()).changes is True


def test_damaged_artifact_is_made_again(created: dict[str, Any]) -> None:
    """An artifact that is not what it says is not used."""
    Path(created["artifact"], "model.tflite").write_bytes(b"damaged")

    assert created == provider.update("id", created, inputs()).outs
    assert 2 == conversions()


def test_refresh_keeps_what_is_there(created: dict[str, Any]) -> None:
    """Refresh finds the artifact, and returns the inputs that later diffs compare with."""
    found = provider.read("id", created)

    assert ("id", inputs()) == (found.id, found.inputs)


def test_refresh_sees_damage(created: dict[str, Any]) -> None:
    """Refresh reports an artifact whose bytes changed as gone, so that `up` makes it again."""
    Path(created["artifact"], "model.tflite").write_bytes(b"damaged")

    assert "" == provider.read("id", created).id


def test_refresh_on_another_machine(created: dict[str, Any]) -> None:
    """A machine that never had the artifact does not report drift."""
    shutil.rmtree(".build")

    assert "id" == provider.read("id", created).id


def test_destroy_removes_the_artifact(created: dict[str, Any]) -> None:
    """Destroy leaves nothing of the model behind."""
    provider.delete("id", created)

    assert not Path(created["artifact"]).exists()


def test_destroy_stays_in_its_folder(created: dict[str, Any], project: Path) -> None:
    """State that names another folder does not get it removed."""
    provider.delete("id", created | {"artifact": "models/digits"})

    assert (project / "models" / "digits").exists()


def test_preview_says_what_the_converter_says(project: Path) -> None:
    """An unusable model fails the check, which runs in preview, in the converter's own words."""
    (project / "models/digits/model.keras").unlink()
    found = provider.check({}, inputs())

    assert [("card", "model.keras is missing: expected a model")] == [
        (failure.property, failure.reason) for failure in found.failures
    ]


def test_preview_passes_what_converts(project: Path) -> None:
    """A usable model passes, and checking converts nothing."""
    assert project.is_dir()

    assert [] == provider.check({}, inputs()).failures
    assert 0 == conversions()


def test_model_is_loaded_to_be_checked_only_while_it_is_new(project: Path) -> None:
    """A preview loads a model that was never converted; one that was is given a look."""
    provider.check({}, inputs())
    provider.create(inputs())
    provider.check({}, inputs())

    assert ["whole", "quick"] == (project / "checks.log").read_text().split()


def test_another_picture_is_held_against_the_data(project: Path) -> None:
    """It converts nothing, but arrays of the old scale do not fit it; the old one is known."""
    card = project / "models/digits/model.yaml"
    before = card.read_text()
    provider.create(inputs())

    card.write_text(f"{before}picture: {{width: 1, height: 2, color: gray, range: [0, 255]}}\n")
    provider.check({}, inputs())
    card.write_text(before)
    provider.check({}, inputs())

    assert ["whole", "quick"] == (project / "checks.log").read_text().split()


def test_no_candidate_shows_the_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a candidate inside the budget the error is the converter's table, and shown once."""
    (project / "models/digits/model.keras").write_bytes(b"hopeless")

    with pytest.raises(ConversionError) as caught:
        provider.create(inputs())
    assert (
        "### `digits`: no candidate inside the budget\n\n| float32 | 0.2 |\nconvert: loosen it"
    ) == str(caught.value)
    assert "converting\n" == capsys.readouterr().err
    assert not list(Path(".build/models").glob("*"))


def test_reports_have_the_name_of_today(project: Path) -> None:
    """Another name in the card converts nothing, and stands in the reports all the same."""
    artifact = Path(build(inputs())["artifact"])
    card = project / "models/digits/model.yaml"
    card.write_text(card.read_text().replace("name: digits", "name: figures"))
    provider.create(inputs())

    assert 1 == conversions()
    assert "figures" == json.loads((artifact / "report.json").read_text())["model"]
    assert "### `figures`: float32\n\n| float32 | 0.97 |\n" == (artifact / "report.md").read_text()
    assert [] == list(artifact.glob(".*"))


def test_converter_gets_no_credentials(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file can run code while it is converted; there is nothing to steal."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    provider.create(inputs())

    assert "[]\n" == (project / "conversions.log").read_text()


def test_model_on_s3_is_known_by_its_content(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a card that names S3 the converter is asked what lies there, with AWS's credentials."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    card = project / "models/digits/model.yaml"
    card.write_text(card.read_text().replace("model.keras", "s3://models/model.keras"))
    expected = hashlib.sha256(b"secret").hexdigest()

    assert expected == inputs()["model_sha256"]
    assert provider.create(inputs()).outs is not None
    assert "'AWS_SECRET_ACCESS_KEY'" in (project / "conversions.log").read_text()
