"""A copy of the project, and the commands that a user runs in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
# Above what any step takes; a hang must end as a failure of its own test.
TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Project:
    """A copy of the tree and the commands that a user runs in it."""

    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m ARGUMENTS` there, whatever it exits with."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if k != "THIMBLE_HOME"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        """Run it and return what it printed; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments} exited {done.returncode}:\n{done.stderr}"
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's exports."""
        return dict(json.loads(self.ok("local", "outputs", "--json")))

    def emulator(self, stack: str = "local") -> dict[str, Any]:
        """The record of a stack's emulated AWS: its ports and processes."""
        record = self.folder / ".local/stacks" / stack / "emulator.json"
        return dict(json.loads(record.read_text()))

    @contextmanager
    def deployed_with(self, *settings: str) -> Iterator[list[str]]:
        """Stack `local` with these settings, KEY=VALUE each; afterwards with its own again.

        Yields:
            The same settings as the options of a command.
        """
        options = [part for setting in settings for part in ("--config", setting)]
        try:
            self.ok("local", "up", "--json", *options)
            yield options
        finally:
            self.ok("local", "up", "--json")

    def plan(self, command: str = "preview") -> set[tuple[str, str]]:
        """The changes of a preview: (operation, type) pairs."""
        document = json.loads(self.ok("local", command, "--json"))
        changes = [s for s in document["steps"] if s["op"] != "same"]
        return {(s["op"], s["urn"].split("::")[2].rpartition("$")[2]) for s in changes}


def copy_of_the_tree(folder: Path) -> Path:
    """What `git clone` and the uncommitted changes would give, without build output."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return folder
