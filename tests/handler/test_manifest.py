"""model.json, and what it may not say."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import StartupError
from handler.manifest import Manifest, read_manifest

PICTURE = {"width": 4, "height": 2, "color": "gray", "range": [0, 1]}


def _document(shape: list[int], **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": "m",
        "sha256": "0",
        "recipe": "float32",
        "signature": {
            "name": "serving_default",
            "inputs": [{"name": "x", "dtype": "float32", "shape": shape}],
            "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 3]}],
        },
        "picture": PICTURE,
        **changes,
    }


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([-1, 2, 4, 1], (1, 2, 4, 1)),
        ([1, 2, 4, 1], (1, 2, 4, 1)),
        ([-1, -1, -1, 1], (1, 2, 4, 1)),
        ([-1, 2, 4], (1, 2, 4)),
        ([-1, 8], (1, 8)),
    ],
)
def test_a_picture_takes_the_inputs_shape(shape: list[int], expected: tuple[int, ...]) -> None:
    """Height, width and channel, or flat: as the model has it."""
    picture = Manifest(_document(shape)).picture

    assert picture is not None
    assert expected == picture.shape


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (_document([-1, 2, 4, 1], schema=2), "schema 2, expected 1"),
        (_document([-1, 4, 2, 1]), "a gray picture of 4x2 does not fit input 'x'"),
        (_document([2, 2, 4, 1]), "does not fit input 'x'"),
        (_document([-1, 8], picture={**PICTURE, "color": "cmyk"}), "picture color is 'cmyk'"),
        (_document([-1, 8], signature={"name": "s"}), "not complete: KeyError 'inputs'"),
        (_document([-1, 8], picture={"width": 1}), "not complete: KeyError 'height'"),
    ],
)
def test_a_misfit_fails_the_start(document: dict[str, Any], message: str) -> None:
    """What could not be served is refused before the first request."""
    with pytest.raises(StartupError, match=message):
        Manifest(document)


def test_a_picture_needs_one_input(tiny: Path) -> None:
    """With several inputs nobody could say which of them the picture is."""
    document = json.loads((tiny / "model.json").read_text(encoding="utf-8"))

    with pytest.raises(StartupError, match="this one has 3: remove `picture` from the card"):
        Manifest({**document, "picture": PICTURE})


@pytest.mark.parametrize("text", ["", "{", "\ud7ff" * 3])
def test_a_file_that_is_no_json_fails_the_start(tmp_path: Path, text: str) -> None:
    """The reason names the file and the setting that chose its folder."""
    (tmp_path / "model.json").write_text(text, encoding="utf-8")

    with pytest.raises(StartupError, match=r"cannot read .*model\.json.*MODEL_DIR"):
        read_manifest(str(tmp_path))


def test_json_that_is_no_object_fails_the_start(tmp_path: Path) -> None:
    """A list is JSON, and no description of a model."""
    (tmp_path / "model.json").write_text("[]", encoding="utf-8")

    with pytest.raises(StartupError, match="expected an object"):
        read_manifest(str(tmp_path))
