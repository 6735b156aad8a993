"""The server against its own /openapi.json, by schemathesis."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# That whatever fits the schema is accepted is checked where that can be said: for what is read, and
# for the examples of a model without pictures that answers any number. No schema says that bytes
# have to be a picture or so many floats, that shapes of several tensors agree, that a header goes
# with one content type, or that the logarithm of 0 is no number. Every other check runs everywhere,
# that whatever does not fit is refused among them.
_SETTINGS = """
[checks]
positive_data_acceptance.enabled = false

[[operations]]
include-method = "GET"
checks.positive_data_acceptance.enabled = true

[[operations]]
include-path-regex = "/models/quantized.*:classify"
checks.positive_data_acceptance.enabled = true
"""
# The same operations at a version and a label.
_TWINS = "/(versions|labels)/"
_TIMEOUT_SECONDS = 1_200


def check_contract(port: int, folder: Path, examples: int, seed: int, *, twins: bool) -> int:
    """Let schemathesis try every operation in all its phases.

    Args:
        port: Where the server listens on 127.0.0.1.
        folder: Where schemathesis may keep what it found.
        examples: Requests made up for each operation, beside those that its schema implies.
        seed: Of what is made up.
        twins: Whether paths with a version or a label are tried too.

    Returns:
        How many requests were made.

    Raises:
        AssertionError: An answer was not what the document says.
    """
    settings = folder / "schemathesis.toml"
    settings.write_text(_SETTINGS, encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", f"--config-file={settings}", "run"]
    command += [f"http://127.0.0.1:{port}/openapi.json"]
    command += [f"--max-examples={examples}", f"--seed={seed}", "--continue-on-failure"]
    if not twins:
        command.append(f"--exclude-path-regex={_TWINS}")
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    made = re.search(r"(\d+) generated, \1 passed", done.stdout)
    assert made is not None, done.stdout[-2000:]
    return int(made[1])
