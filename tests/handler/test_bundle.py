"""The one file that an image imports a start's modules from, in fresh interpreters."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
EVENT = json.loads((PROJECT / "tests" / "events" / "predict.json").read_text(encoding="utf-8"))
IMPORTED = """
import handler.app, json, sys
finder = sys.meta_path[0]
modules = {name: module for name, module in sys.modules.items() if name.startswith("handler.")}
print(json.dumps([
    sorted(name for name, module in modules.items() if module.__spec__.loader is not finder),
    sorted(finder._codes),
]))
"""
ANSWER = f"import handler.app; print(handler.app.handler({EVENT!r}, None)['body'])"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder with the handler as it is in an image."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "handler", tmp_path / "handler", ignore=ignored)
    _run(["-m", "handler.bundle"], tmp_path, {})
    return tmp_path


def _run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-S", "-B", *arguments],
        cwd=folder,
        env={**os.environ, "TELEMETRY": "off", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_a_start_imports_all_of_the_handler_from_the_bundle(
    image: Path, environment: Mapping[str, str]
) -> None:
    """Whatever a start imports is in the bundle; beside it, what large bodies and models need."""
    outside, unused = json.loads(_run(["-c", IMPORTED], image, environment))

    assert [] == outside
    assert ["handler.base64_body", "handler.heap", "handler.protocols.raw"] == unused


def test_the_answer_is_that_of_the_files(image: Path, environment: Mapping[str, str]) -> None:
    """A prediction from the bundle is the one from the sources."""
    expected = _run(["-c", ANSWER], PROJECT, environment)

    assert expected == _run(["-c", ANSWER], image, environment)


def test_what_a_start_does_not_import_comes_from_its_file(image: Path) -> None:
    """A module that only some requests need is found beside the bundle."""
    script = "import handler.protocols.image as found; print(found.__spec__.origin)"

    assert f"{image}/handler/protocols/image.py" == _run(["-c", script], image, {}).strip()


def test_a_bundle_is_made_anew_from_the_files(image: Path) -> None:
    """Made again after a change, by a process that itself starts from the old one, it is new."""
    with (image / "handler" / "errors.py").open("a", encoding="utf-8") as file:
        file.write("\nNEW = 1\n")
    _run(["-m", "handler.bundle"], image, {})

    assert (
        "1" == _run(["-c", "import handler.errors; print(handler.errors.NEW)"], image, {}).strip()
    )


def test_a_traceback_shows_the_sources(image: Path) -> None:
    """What is wrong at a start is shown by file and line, as without a bundle."""
    script = f"""
import traceback
try:
    import os; os.environ["MODEL_DIR"] = "nowhere"
    import handler.app
except Exception:
    text = traceback.format_exc()
print("{image}/handler/app.py" in text, "SERVICE = open_service(os.environ, FILE)" in text)
"""

    assert "True True" == _run(["-c", script], image, {}).strip()
