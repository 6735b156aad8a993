"""Which commit this is."""

import os
import subprocess


def commit() -> str:
    """The commit checked out, or "unknown" where there is none.

    GITHUB_SHA is asked last: for an annotated tag it may name the tag instead of the commit.
    """
    try:
        process = subprocess.run(
            ["git", "rev-parse", "HEAD"], check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        return _named()
    return process.stdout.strip() if process.returncode == 0 else _named()


def _named() -> str:
    return os.environ.get("GITHUB_SHA") or "unknown"
