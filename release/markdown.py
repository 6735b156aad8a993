"""Text that stays what it is inside GitHub's Markdown."""

import re


def code(text: str) -> str:
    """Return `text` as inline code, safe in a table cell."""
    flat = " ".join(text.split()).replace("|", "\\|")
    if not flat:
        return ""
    ticks = "`" * (_longest_run(flat) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def fence(text: str) -> str:
    """Return `text` as a block of code, whatever backticks it holds."""
    ticks = "`" * max(3, _longest_run(text) + 1)
    return f"{ticks}text\n{text}\n{ticks}"


def row(*cells: str) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells) + " |"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
