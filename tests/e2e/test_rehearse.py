"""A whole release and its way back, in three emulated environments."""

from __future__ import annotations

import os
import signal
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
TIMEOUT_SECONDS = 900
CLEAN_UP_SECONDS = 100


def test_release_and_rollback(tmp_path: Path) -> None:
    """What the workflows run carries one digest to production, and brings it back."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, clone], check=True)
    # In a session of its own: Ctrl-C comes once, from below, and the environments go with it.
    with subprocess.Popen(
        [sys.executable, "-m", "local.rehearse"],
        cwd=clone,
        env={k: v for k, v in os.environ.items() if k != "THIMBLE_HOME"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as rehearsal:
        try:
            told = rehearsal.communicate(timeout=TIMEOUT_SECONDS)[0]
        finally:
            if rehearsal.poll() is None:
                # To what it runs too, as a terminal would: an `up` that goes on would block `down`.
                os.killpg(rehearsal.pid, signal.SIGINT)
                rehearsal.communicate(timeout=CLEAN_UP_SECONDS)
    assert rehearsal.returncode == 0, told
    places = [told.index(line) for line in TOLD]
    assert places == sorted(places)
    assert not (clone / ".local").exists()
