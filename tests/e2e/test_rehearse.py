"""A whole release and its way back, in three emulated environments."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# What must be told, in this order; the rehearsal itself checks each step.
TOLD = [
    "tag v1.0.0",
    "production serves the digest that dev built",
    "prod: rollback",
    "production returned to its previous digest by itself",
    "v1.1.1: gate: release gate: staging runs commit",
    "production serves the mended release",
    "rolled back by hand",
    "every step ended as it must",
]


def test_release_and_rollback(tmp_path: Path) -> None:
    """What the workflows run carries one digest to production, and brings it back."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, clone], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "local.rehearse"],
        cwd=clone,
        env={k: v for k, v in os.environ.items() if k != "THIMBLE_HOME"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    places = [done.stdout.index(line) for line in TOLD]
    assert places == sorted(places)
    assert not (clone / ".local").exists()
