"""The code behind a metric of the user's own: its file, and what it imports from beside it.

Found by reading, never by running. What it imports from installed packages is the lock file's to
fix, and data that it opens nobody's: neither is here.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path


def digest(file: str | None) -> str | None:
    """SHA-256 of the names and contents of all that code; None where there is none.

    Args:
        file: The Python file that holds the function; what lies in its folder it may import.
    """
    if file is None or not Path(file).exists():
        return None
    folder, total = Path(file).parent, hashlib.sha256()
    for path in sorted(_reached(Path(file))):
        total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _reached(file: Path) -> set[Path]:
    """A file, and the files beside it that it imports, directly or not."""
    found, left = {file}, [file]
    while left:
        for name in _imported(left.pop()):
            new = set(_files(file.parent, name)) - found
            found |= new
            left += new
    return found


def _imported(file: Path) -> Iterator[str]:
    """The first parts of the names that a file imports; relative ones stay inside its package."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # the converter says so, in preview
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _files(folder: Path, name: str) -> list[Path]:
    """A module's file, or all of a package's; none where it is installed and not here."""
    module, package = folder / f"{name}.py", folder / name
    # As Python does: where both are there, the package is the one that is imported.
    if package.is_dir():
        return [path for path in package.rglob("*.py") if path.is_file()]
    return [module] if module.is_file() else []
