"""What the user may get wrong: exit 2, one line that names it, nothing left behind."""

import copy
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import signature


def test_empty_file(convert: Any, tmp_path: Path) -> None:
    """An empty file is called empty."""
    model = tmp_path / "model.keras"
    model.touch()
    assert "empty (0 bytes)" in convert.fails(model, "--recipe", "float32")


def test_truncated_keras(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A .keras file cut short is told from a whole one before Keras sees it."""
    model = tmp_path / "model.keras"
    model.write_bytes(zoo.keras.read_bytes()[:-2000])
    assert "cut short" in convert.fails(model, "--recipe", "float32")


def test_damaged_keras(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A .keras file with a flipped byte in its weights is called damaged."""
    content = bytearray(zoo.keras.read_bytes())
    content[len(content) // 2] ^= 0xFF
    model = tmp_path / "model.keras"
    model.write_bytes(content)
    assert "fails its checksum" in convert.fails(model, "--recipe", "float32")


def test_keras_without_a_config(convert: Any, tmp_path: Path) -> None:
    """A zip that is no model says that the architecture is missing."""
    model = tmp_path / "model.keras"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no config.json" in convert.fails(model, "--recipe", "float32")


@pytest.mark.parametrize("name", ["only.weights.h5", "only.h5"])
def test_weights_only(zoo: Any, convert: Any, tmp_path: Path, name: str) -> None:
    """An .h5 of weights says what it lacks, and which call writes it."""
    zoo.model.save_weights(tmp_path / "only.weights.h5")
    (tmp_path / "only.weights.h5").rename(tmp_path / name)
    fault = convert.fails(tmp_path / name, "--recipe", "float32")
    assert "weights only" in fault
    assert "model.save(...)" in fault


def test_truncated_tflite(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A .tflite cut short is refused by name."""
    model = tmp_path / "model.tflite"
    model.write_bytes(zoo.tflite.read_bytes()[:200])
    assert convert.fails(model, "--recipe", "float32").startswith(f"{model}: damaged .tflite")


@pytest.mark.parametrize(
    ("which", "what"),
    [
        ("constant", "a constant, the same for every input"),
        ("input", "the input '"),
        ("output", "the output '"),
    ],
)
def test_output_that_no_operation_gives(
    zoo: Any, convert: Any, tmp_path: Path, which: str, what: str
) -> None:
    """LiteRT would not write it, and ends the process where it is a constant."""
    parsed = signature.parse(zoo.tflite.read_bytes())
    (entry,), graph = parsed.signatureDefs, parsed.subgraphs[0]
    held = (i for i, tensor in enumerate(graph.tensors) if signature.is_weight(parsed, tensor))
    index = {
        "constant": next(held),
        "input": entry.inputs[0].tensorIndex,
        "output": entry.outputs[0].tensorIndex,
    }[which]
    more = copy.copy(entry.outputs[0])
    more.name, more.tensorIndex = b"zzz", index
    entry.outputs = [*entry.outputs, more]
    graph.outputs = [*graph.outputs, index]
    model = tmp_path / "model.tflite"
    model.write_bytes(signature.serialize(parsed))

    fault = convert.fails(model, "--recipe", "float32")

    assert f"the output 'zzz' is {what}" in fault
    assert "leave it out of the model's outputs" in fault


def test_quantized_tflite(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A .tflite that was quantized before is refused."""
    made = convert(zoo.keras, "--recipe", "dynamic_wi8_afp32").out / "model.tflite"
    model = made.rename(tmp_path / "model.tflite")
    for left in list(made.parent.iterdir()):
        left.unlink()
    made.parent.rmdir()
    assert "already quantized" in convert.fails(model, "--recipe", "float32")


def test_unknown_suffix(convert: Any, tmp_path: Path) -> None:
    """A file of another kind is answered with the kinds there are."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"onnx")
    assert ".keras, .h5 or .tflite" in convert.fails(model, "--recipe", "float32")


def test_folder_without_a_model(convert: Any, tmp_path: Path) -> None:
    """A folder with neither a card nor a SavedModel says so."""
    assert "neither model.yaml nor saved_model.pb" in convert.fails(tmp_path)


def test_damaged_saved_model(convert: Any, tmp_path: Path) -> None:
    """A SavedModel that TensorFlow cannot parse is the user's fault, without a traceback."""
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 64)
    assert "TensorFlow cannot load it" in convert.fails(tmp_path, "--recipe", "float32")


def test_unknown_recipe(zoo: Any, convert: Any) -> None:
    """An unknown recipe is answered with the ones there are."""
    fault = convert.fails(zoo.keras, "--recipe", "int3")
    assert "unknown recipe 'int3'" in fault
    assert "static_wi8_ai8" in fault


def test_static_without_calibration(zoo: Any, convert: Any) -> None:
    """The static recipe asked for by name wants calibration data."""
    fault = convert.fails(zoo.keras, "--recipe", "static_wi8_ai8")
    assert "--calibration" in fault


def test_auto_without_evaluation(zoo: Any, convert: Any) -> None:
    """Recipe auto has nothing to judge by without evaluation data."""
    assert "--evaluation" in convert.fails(zoo.keras)


def test_budget_without_evaluation(zoo: Any, convert: Any) -> None:
    """A budget that nothing could check is refused, not ignored."""
    fault = convert.fails(zoo.keras, "--recipe", "float32", "--max-accuracy-drop", 0.1)
    assert "a budget of 0.1 cannot be kept" in fault


@pytest.mark.parametrize("budget", ["-0.1", "1.5", "nan", "little"])
def test_budget_out_of_range(zoo: Any, convert: Any, budget: str) -> None:
    """A budget is a number from 0 to 1."""
    fault = convert.fails(
        zoo.keras, "--evaluation", zoo.evaluation, f"--max-accuracy-drop={budget}"
    )
    assert budget in fault


def test_missing_evaluation_file(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """An evaluation file that is not there is named."""
    path = tmp_path / "no.npz"
    assert f"{path}: not found" in convert.fails(zoo.keras, "--evaluation", path)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"x": np.zeros((4, 3), np.float32), "y": np.zeros(4, int)}, "rows of shape [3]"),
        ({"x": np.zeros((4, 12), np.float32), "y": np.zeros(3, int)}, "x 4, y 3"),
        ({"x": np.zeros((4, 12), np.float32)}, "no array 'y'"),
        ({"z": np.zeros((4, 12), np.float32), "y": np.zeros(4, int)}, "expected features"),
        ({"x": np.zeros((4, 12), np.uint8), "y": np.zeros(4, int)}, "is uint8"),
        ({"x": np.full((4, 12), np.nan), "y": np.zeros(4, int)}, "NaN"),
        ({"x": np.zeros((4, 12), np.float32), "y": np.full(4, 9)}, "knows 0 to 3"),
        ({"x": np.zeros((4, 12), np.float32), "y": np.eye(4, dtype=int)}, "argmax"),
        ({"x": np.zeros((0, 12), np.float32), "y": np.zeros(0, int)}, "expected rows"),
        ({"x": np.array(["a"]), "y": np.zeros(1, int)}, "expected numbers"),
    ],
    ids=[
        "other shape",
        "labels of other length",
        "no labels",
        "other name",
        "unscaled",
        "not a number",
        "unknown class",
        "one-hot",
        "no rows",
        "text",
    ],
)
def test_evaluation_that_does_not_fit(
    zoo: Any, convert: Any, tmp_path: Path, arrays: dict[str, Any], fault: str
) -> None:
    """Evaluation data that does not fit the model is told with both sides."""
    np.savez(tmp_path / "evaluation.npz", **arrays)
    assert fault in convert.fails(zoo.keras, "--evaluation", tmp_path / "evaluation.npz")


def test_pickled_evaluation(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """Python objects in an .npz are refused, not unpickled."""
    path = tmp_path / "evaluation.npz"
    np.savez(path, x=np.array([{}], dtype=object), y=np.zeros(1, int))
    assert "plain numbers" in convert.fails(zoo.keras, "--evaluation", path)


def test_npy_instead_of_npz(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """A single bare array is answered with the call that writes what is wanted."""
    np.save(tmp_path / "evaluation.npy", zoo.x)
    fault = convert.fails(zoo.keras, "--evaluation", tmp_path / "evaluation.npy")
    assert "numpy.savez" in fault


def test_truncated_npz(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """An evaluation file cut short is refused."""
    path = tmp_path / "evaluation.npz"
    path.write_bytes(zoo.evaluation.read_bytes()[:-100])
    assert "not an .npz file" in convert.fails(zoo.keras, "--evaluation", path)


def test_out_below_a_file(zoo: Any, convert: Any, tmp_path: Path) -> None:
    """--out below a file is found out before the work begins."""
    (tmp_path / "file").write_text("in the way")
    fault = convert.fails(zoo.keras, "--recipe", "float32", "--out", tmp_path / "file" / "out")
    assert f"{tmp_path / 'file'} is a file" in fault


def test_out_not_writable(zoo: Any, convert: Any) -> None:
    """--out where nothing can be made is found out before the work begins."""
    fault = convert.fails(zoo.keras, "--recipe", "float32", "--out", "/proc/out")
    assert "cannot write in /proc" in fault


def test_no_arguments(convert: Any) -> None:
    """Without a model there is one line, not argparse's usage."""
    assert "which model?" in convert.fails()


@pytest.mark.parametrize("option", ["--out", "--evaluation", "--calibration", "MODEL"])
def test_path_that_the_system_refuses(zoo: Any, convert: Any, option: str) -> None:
    """A path that cannot even be looked at, here for its length, is one line that names it."""
    long = "a" * 300
    given = [long] if option == "MODEL" else [zoo.keras, option, long]
    fault = convert.fails(*given, "--recipe", "float16")
    assert long == fault[:300]
    assert fault.endswith(": File name too long: expected a path that can be read")


def test_preference_that_is_none(convert: Any) -> None:
    """A word that is no preference is answered with those that are."""
    assert "--prefer: fast: expected size or latency" in convert.fails(
        "m.keras", "--prefer", "fast"
    )


def test_unknown_flag(convert: Any) -> None:
    """An unknown flag is one line, not argparse's usage."""
    assert "--fast" in convert.fails("--fast")
