"""Which commit this is."""

import os
import subprocess


def commit() -> str:
    """The commit being deployed, or "unknown" outside a checkout.

    On a pull request GITHUB_SHA is the merge that was tested, which the branch itself has not got.
    """
    named = os.environ.get("GITHUB_SHA")
    if named:
        return named
    try:
        process = subprocess.run(
            ["git", "rev-parse", "HEAD"], check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        return "unknown"
    return process.stdout.strip() if process.returncode == 0 else "unknown"
