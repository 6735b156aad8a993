"""A section of README.md that a command writes."""

from pathlib import Path

import pytest

from bench.readme import replace_section


def test_only_the_text_between_the_markers_is_replaced(tmp_path: Path) -> None:
    """What stands around a section stays as it was."""
    document = tmp_path / "README.md"
    document.write_text("a\n<!-- sizes -->\nold\n<!-- /sizes -->\nb\n")
    replace_section(document, "sizes", "new\n")
    assert document.read_text() == "a\n<!-- sizes -->\nnew\n<!-- /sizes -->\nb\n"


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    """The same text again gives the same file."""
    document = tmp_path / "README.md"
    document.write_text("<!-- sizes -->\n<!-- /sizes -->\n")
    replace_section(document, "sizes", "new")
    once = document.read_text()
    replace_section(document, "sizes", "new")
    assert once == document.read_text()


@pytest.mark.parametrize("text", ["", "<!-- sizes -->\n", "<!-- /sizes -->\n<!-- sizes -->\n"])
def test_a_missing_marker_is_named(tmp_path: Path, text: str) -> None:
    """Without both markers nothing is written."""
    document = tmp_path / "README.md"
    document.write_text(text)
    with pytest.raises(SystemExit, match="<!-- sizes -->"):
        replace_section(document, "sizes", "new")
    assert text == document.read_text()
