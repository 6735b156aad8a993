"""The command line as a process: what it prints, writes and exits with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from convert.recipe import Scheme

ROOT = Path(__file__).parents[2]


def run(*arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs `python -m convert` and waits for it."""
    command = [sys.executable, "-m", "convert", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_digits_come_out_small_and_as_good(tmp_path: Path) -> None:
    """The example's card gives all four files, the smallest candidate, and only our own lines."""
    out = tmp_path / "deep" / "out"
    done = run("models/digits", "--out", out)
    assert (0, "") == (done.returncode, done.stdout)
    lines = done.stderr.splitlines()
    steps = [f"[{number}/{len(Scheme)}]" for number in range(1, len(Scheme) + 1)]
    assert ["loading", *steps, "chosen:"] == [line.split()[0] for line in lines]
    assert {"model.tflite", "model.json", "report.json", "report.md", "report.png"} == {
        file.name for file in out.iterdir()
    }
    report = json.loads((out / "report.json").read_text())
    fit = [one for one in report["candidates"] if one["inside_budget"]]
    assert min(fit, key=lambda one: one["bytes"])["recipe"] == report["chosen"]
    assert report["original"]["metric"] > 0.97
    described = json.loads((out / "model.json").read_text())
    assert [{"name": "image", "dtype": "float32", "shape": [-1, 8, 8, 1]}] == described[
        "signature"
    ]["inputs"]
    assert [{"name": "scores", "dtype": "float32", "shape": [-1, 10]}] == described["signature"][
        "outputs"
    ]
    assert str(ROOT) not in (out / "model.json").read_text() + (out / "report.md").read_text()


def test_missing_model_is_one_line(tmp_path: Path) -> None:
    """A path with nothing there exits 2 with one line, and makes nothing."""
    done = run(tmp_path / "no.keras", "--recipe", "float32", "--out", tmp_path / "out")
    assert (2, "") == (done.returncode, done.stdout)
    [line] = done.stderr.splitlines()
    assert line.startswith(f"convert: {tmp_path / 'no.keras'}: not found")
    assert [] == list(tmp_path.iterdir())


def test_text_renamed_to_keras_is_one_line(tmp_path: Path) -> None:
    """A text file called .keras exits 2 with one line, and makes nothing."""
    fake = tmp_path / "fake.keras"
    fake.write_text("not a model at all\n")
    done = run(fake, "--recipe", "float32", "--out", tmp_path / "out")
    assert 2 == done.returncode
    [line] = done.stderr.splitlines()
    assert "not a .keras file" in line
    assert [fake] == list(tmp_path.iterdir())


def test_quick_check_imports_no_tensorflow(tmp_path: Path) -> None:
    """--check --quick accepts the example without TensorFlow or Keras, and writes nothing."""
    code = (
        "import sys; from convert.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(code or 10 * bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", code, "models/digits", "--check", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert not out.exists()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with nothing but a copy of the package."""
    shutil.copytree(
        ROOT / "convert", tmp_path / "convert", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def test_fingerprint_is_of_the_sources(copied: Path) -> None:
    """--fingerprint is the same wherever the package lies, and another when one line changes."""
    here, there = run("--fingerprint"), run("--fingerprint", folder=copied)
    assert (0, "") == (there.returncode, there.stderr)
    assert here.stdout == there.stdout
    assert 64 == len(there.stdout.strip())
    source = copied / "convert" / "score.py"
    source.write_text(source.read_text() + "\n# changed\n")
    assert there.stdout != run("--fingerprint", folder=copied).stdout


def test_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    """A run ended by SIGTERM in the midst of its work takes its scratch folder with it."""
    command = [sys.executable, "-m", "convert", "models/digits", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("loading")
        assert any(tmp_path.iterdir())
        process.terminate()
        rest: Any = process.stderr.read()
    assert (143, "") == (process.returncode, rest)
    assert [] == list(tmp_path.iterdir())


def test_same_bytes_from_another_place(
    converted: dict[str, Path], zoo: Any, tmp_path: Path
) -> None:
    """Another working directory and another hash seed give the same bytes, to the last one."""
    recipe = "dynamic_wi8_afp32"
    command = [sys.executable, "-m", "convert", str(zoo.keras), "--recipe", recipe]
    subprocess.run(
        [*command, "--calibration", str(zoo.calibration), "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
        check=True,
    )
    for name in ("model.tflite", "model.json"):
        here = converted[recipe].parent / name
        assert here.read_bytes() == (tmp_path / "out" / name).read_bytes()
