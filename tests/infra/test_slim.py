"""Smaller shared libraries, which load and work as before."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from infra.slim import slim


@pytest.mark.parametrize(
    ("module", "most", "proof"),
    [
        ("httptools.parser.parser", 0.3, "module.HttpRequestParser(object()).feed_data(b'GET')"),
        ("PIL._imaging", 0.5, "assert module.new('RGB', (2, 3)).size == (2, 3)"),
    ],
    ids=["debug information at the end", "debug information in the middle"],
)
def test_a_library_works_without_its_debug_information(
    tmp_path: Path, module: str, most: float, proof: str
) -> None:
    """What is left is what strip leaves, and the interpreter imports and uses it."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    whole = Path(spec.origin).read_bytes()
    smaller = slim(whole)
    path = tmp_path / "library.so"
    path.write_bytes(smaller)

    assert len(smaller) < most * len(whole)
    script = (
        f"import sys, importlib.util, {module.partition('.')[0]}\n"
        f"spec = importlib.util.spec_from_file_location({module!r}, {str(path)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        f"assert module.__file__ == {str(path)!r}\n{proof}"
    )
    # Where Pillow's libraries are is written relative to its own folder.
    environment = {"LD_LIBRARY_PATH": str(Path(spec.origin).parents[1] / "pillow.libs")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_slimming_twice_changes_nothing() -> None:
    """What only the loader reads stays as it is."""
    spec = importlib.util.find_spec("httptools.parser.parser")
    assert spec is not None
    assert spec.origin is not None
    once = slim(Path(spec.origin).read_bytes())

    assert once == slim(once)


def test_what_is_no_library_stays_as_it_is() -> None:
    """A file that only has the name is copied."""
    assert b"library" == slim(b"library")
