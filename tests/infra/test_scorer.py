"""A metric of the user's own is an input with all of its code."""

from pathlib import Path

import pytest

from infra.scorer import digest


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A function that needs a module and a package beside it, and a stranger."""
    files = {
        "own.py": "import json\nimport near\ndef f(given, targets): return near.half()\n",
        "near.py": "def half():\n    from kit.parts import one\n    return one / 2\n",
        "kit/__init__.py": "",
        "kit/parts.py": "from . import deep\none = deep.one\n",
        "kit/deep.py": "one = 1\n",
        "train.py": "print('no part of it')\n",
        "json/loads.txt": "no code\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", ["own.py", "near.py", "kit/__init__.py", "kit/deep.py"])
def test_what_is_imported_from_beside_it_counts(code: Path, name: str) -> None:
    """A change in any file that the function reaches is a change of the inputs."""
    before = digest(str(code / "own.py"))
    (code / name).write_text((code / name).read_text() + "# other\n")

    assert before is not None
    assert before != digest(str(code / "own.py"))


def test_what_is_not_imported_does_not_count(code: Path) -> None:
    """A script that happens to lie there changes nothing."""
    before = digest(str(code / "own.py"))
    (code / "train.py").write_text("print('other')\n")

    assert before == digest(str(code / "own.py"))


def test_same_code_elsewhere_is_the_same(code: Path, tmp_path: Path) -> None:
    """Another folder or machine does not make another input."""
    before = digest(str(code / "own.py"))
    other = code.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))

    assert before == digest(str(other / "own.py"))


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    """A circle ends."""
    (tmp_path / "own.py").write_text("import near\n")
    (tmp_path / "near.py").write_text("import own\n")

    assert digest(str(tmp_path / "own.py")) is not None


def test_code_that_is_no_python(tmp_path: Path) -> None:
    """A file with a slip in it still counts; what it imports is for the converter to miss."""
    (tmp_path / "own.py").write_text("import near\ndef f(:\n")

    assert digest(str(tmp_path / "own.py")) is not None


@pytest.mark.parametrize("file", [None, "absent.py"])
def test_nothing_there(file: str | None) -> None:
    """No function, and no file, are no digest."""
    assert digest(file) is None
