"""Where the embedded stack keeps what it owns, so that `down` can remove all of it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Home:
    """One folder: `docker/` for a daemon that we started, `stacks/NAME/` for each environment.

    Attributes:
        root: The folder; everything in it is ours to delete.
    """

    root: Path

    @classmethod
    def default(cls) -> Home:
        """`.local` beside the program, or what THIMBLE_HOME names."""
        return cls(Path(os.environ.get("THIMBLE_HOME") or PROJECT / ".local").resolve())

    def stack(self, name: str) -> Path:
        """The folder of one stack; its emulator's start makes it, so only what is up has one."""
        return self.root / "stacks" / name

    def stacks(self) -> list[str]:
        """Names of the stacks that have a folder."""
        folder = self.root / "stacks"
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for one command; two at once would deploy over each other.

        Raises:
            LocalError: Another command holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise LocalError(
                    f"another command (pid {lock.read().strip() or 'unknown'}) is working on "
                    f"{self.root}; wait for it, or stop it, and run this again"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def remove(self) -> None:
        """Delete the folder, whatever it holds."""
        if self.root.exists():
            shutil.rmtree(self.root)


def read_json(path: Path) -> Any:  # noqa: ANN401 - a JSON document is anything
    """The document in a file, or None where there is no file."""
    with suppress(FileNotFoundError):
        return json.loads(path.read_text())
    return None


def write_json(path: Path, document: object) -> None:
    """Replace a file by a document in one step, so that no reader ever sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=1)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def say(line: str) -> None:
    """Tell the user what is happening, at once."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Whoever read our output has seen enough: no reason to leave a deployment half done.
        sys.stdout = None
