"""A section of README.md that a command writes: the text between two markers."""

import os
from pathlib import Path


def replace_section(document: Path, name: str, text: str) -> None:
    """Puts `text` between `<!-- NAME -->` and `<!-- /NAME -->`.

    Args:
        document: A Markdown file; it is replaced whole, at once.
        name: Of the section.
        text: What is to stand between the markers.

    Raises:
        SystemExit: The markers are missing, or in the wrong order.
    """
    whole = document.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{document}: no section {begin.strip()} ... {end} to write to")
    part = document.with_name(f"{document.name}.part")
    part.write_text(f"{before}{begin}{text.rstrip()}\n{end}{after}", encoding="utf-8")
    os.replace(part, document)  # noqa: PTH105  atomic, and says so
