"""Calibration from tables and pictures."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convert import data, pictures, table
from convert.card import Picture
from convert.errors import DataError
from convert.signature import Signature, TensorSpec
from handler import pixels
from handler.manifest import Picture as HandlerPicture


def signature(*inputs: tuple[str, str, tuple[int, ...]]) -> Signature:
    """A model with these inputs."""
    return Signature(
        name="serving_default",
        inputs=tuple(TensorSpec(name=name, dtype=kind, shape=size) for name, kind, size in inputs),
        outputs=(TensorSpec(name="scores", dtype="float32", shape=(-1, 2)),),
    )


def written(folder: Path, text: str) -> Path:
    """A table."""
    path = folder / "rows.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5\n3,4\n",
        "age,height\n1,2.5\n3,4\n",
        "a:0,a:1\n1,2.5\n\n3,4\n",
        "\ufeffa,b\n1,2.5\n3,4\n",
    ],
)
def test_table_fits_the_one_input(tmp_path: Path, text: str) -> None:
    """With or without a header, the columns are the features of the one input."""
    read = data.read(written(tmp_path, text), with_targets=False)
    named = {"a": read.inputs["a"]} if "a" in read.inputs else {"a": read.inputs["x"]}
    np.testing.assert_array_equal([[1, 2.5], [3, 4]], named["a"])
    fitted = data.fit(read, signature(("a", "float32", (-1, 2))))
    assert "float32" == fitted.inputs["a"].dtype


def test_table_of_several_inputs(tmp_path: Path) -> None:
    """A header names the inputs' columns; whole numbers become integers where the model wants."""
    path = written(tmp_path, "left:0,y,left:1,tokens:0\n0.5,1,1.5,7\n2,0,3,8\n")
    model = signature(("tokens", "int32", (-1, 1)), ("left", "float32", (-1, 2)))
    fitted = data.fit(data.read(path, with_targets=True), model)
    np.testing.assert_array_equal([[0.5, 1.5], [2, 3]], fitted.inputs["left"])
    np.testing.assert_array_equal([[7], [8]], fitted.inputs["tokens"])
    assert "int32" == fitted.inputs["tokens"].dtype
    assert fitted.targets is not None
    assert ("int64", [1, 0]) == (str(fitted.targets.dtype), fitted.targets.tolist())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line of numbers"),
        ("a,b\n", "no line of numbers"),
        ("1,2\n3\n", "line 2 has 1 columns: expected 2"),
        ("a,b\n1,2\n3,four\n", "line 3 holds 'four': expected numbers only"),
        ("a,a\n1,2\n", "two columns of one name"),
        ("1,nan\n", "NaN or infinite"),
    ],
)
def test_faulty_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong with a table, and where, is told on one line."""
    with pytest.raises(DataError, match=message):
        data.read(written(tmp_path, text), with_targets=False)


def test_missing_data_is_told_all_forms(tmp_path: Path) -> None:
    """Where there is nothing, every form that would be taken is named; pictures have no targets."""
    forms = "not found: expected an .npz or a .csv file"
    for with_targets, more in ((False, ", or a folder of pictures"), (True, "")):
        with pytest.raises(DataError) as caught:
            data.read(tmp_path / "rows", with_targets=with_targets)
        assert f"{tmp_path / 'rows'}: {forms}{more}" == str(caught.value)


def test_folder_is_no_evaluation_data(tmp_path: Path) -> None:
    """A folder of pictures is refused for what it lacks, targets, and not for the card's sake."""
    with pytest.raises(DataError, match="holds no targets: expected an "):
        data.read(tmp_path, with_targets=True)


def test_text_is_no_arrays(tmp_path: Path) -> None:
    """A text file is told both forms, and nobody is told to unpickle it."""
    (tmp_path / "rows.txt").write_text("1,2\n")
    with pytest.raises(DataError) as caught:
        data.read(tmp_path / "rows.txt", with_targets=False)
    assert "expected what numpy.savez writes, or a table" in str(caught.value)
    assert "pickle" not in str(caught.value)


def test_missing_table_is_named(tmp_path: Path) -> None:
    """A table that is not there is said to be."""
    with pytest.raises(DataError, match=r"rows\.csv: not found"):
        table.read(tmp_path / "rows.csv")


def drawn(mode: str, size: tuple[int, int]) -> Image.Image:
    """A picture of noise."""
    noise = np.random.default_rng(66).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_pictures_are_the_handlers(tmp_path: Path, color: str) -> None:
    """A folder's rows are, number for number, what the handler makes of the same files."""
    drawn("RGB", (9, 7)).save(tmp_path / "a.png")
    drawn("L", (4, 4)).save(tmp_path / "b.jpg")
    drawn("RGBA", (3, 8)).save(tmp_path / "c.webp", lossless=True)
    drawn("P", (6, 6)).save(tmp_path / "d.png", transparency=bytes(256))
    upright = drawn("RGB", (6, 3)).getexif()
    upright[0x0112] = 6
    (tmp_path / "below").mkdir()
    drawn("RGB", (6, 3)).save(tmp_path / "below" / "e.jpeg", exif=upright)
    for orientation in range(1, 10):
        # A width in letters beside it, as no camera should write it.
        tags = struct.pack("<HHLHH", 0x0112, 3, 1, orientation, 0) + b"\0\1\2\0\4\0\0\0abc\0"
        exif = b"Exif\0\0II*\0" + struct.pack("<LH", 8, 2) + tags + bytes(4)
        drawn("RGB", (6, 3)).save(tmp_path / "below" / f"{orientation}.png", exif=exif)
    (tmp_path / "notes.txt").write_text("no picture")
    deep = np.random.default_rng(6).integers(0, 65536, (5, 5)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "f.png")
    card = Picture(width=5, height=4, color=color, range=(-1.0, 1.0))
    channels = 1 if color == "gray" else 3
    taken = HandlerPicture(5, 4, color, -1.0, 1.0, (1, 4, 5, channels))
    files = sorted(file for file in tmp_path.rglob("*") if file.suffix not in (".txt", ""))
    wanted = pixels.decode([file.read_bytes() for file in files], taken, "float32")
    rows = data.read(tmp_path, with_targets=False, picture=card)
    fitted = data.fit(rows, signature(("image", "float32", (-1, 4, 5, channels))))
    assert 15 == fitted.rows
    assert bytes(wanted.data) == fitted.inputs["image"].tobytes()


def test_gray_pictures_fit_an_input_without_channels(tmp_path: Path) -> None:
    """Where a model takes rows of height and width only, the one channel is left out."""
    drawn("L", (4, 4)).save(tmp_path / "a.png")
    card = Picture(width=4, height=4, color="gray", range=(0.0, 255.0))
    rows = data.read(tmp_path, with_targets=False, picture=card)
    fitted = data.fit(rows, signature(("image", "uint8", (-1, 4, 4))))
    np.testing.assert_array_equal([np.asarray(drawn("L", (4, 4)))], fitted.inputs["image"])


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no pictures in it"), (b"\x89PNG\r\n\x1a\nrubbish", "a damaged picture")],
)
def test_faulty_folder_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A folder without pictures, or with a damaged one, is told on one line."""
    if content is not None:
        (tmp_path / "a.png").write_bytes(io.BytesIO(content).read())
    with pytest.raises(DataError, match=message):
        pictures.read(tmp_path, Picture(width=4, height=4, color="rgb", range=(0.0, 1.0)))


def test_folder_without_a_picture_in_the_card_is_refused(tmp_path: Path) -> None:
    """Nobody can tell how large a picture is to be when the card says nothing of it."""
    with pytest.raises(DataError, match="needs the card's `picture:`"):
        data.read(tmp_path, with_targets=False)


def test_static_recipe_takes_either(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A static recipe calibrated by the same rows is the same file, from .npz as from .csv."""
    rows = np.load(zoo.calibration)["x"]
    # Nine digits are enough to say a float32 exactly.
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", fmt="%.9g")
    made = []
    for calibration in (zoo.calibration, tmp_path / "rows.csv"):
        outcome = convert(zoo.tflite, "--recipe", "static_wi8_ai8", "--calibration", calibration)
        made.append((outcome.out / "model.tflite").read_bytes())
    assert made[0] == made[1]
