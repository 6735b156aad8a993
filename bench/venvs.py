"""Each peer's own Python environment, from its pinned and hashed requirements, made once."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from bench.errors import BenchError
from bench.models import BUILT
from infra.runtime import find_uv
from local.home import PROJECT, say

PEERS = Path("bench/peers")


def prepare(name: str) -> Path:
    """The absolute folder of an environment, made if it is not there.

    Args:
        name: Of the requirements file in bench/peers.

    Raises:
        BenchError: It cannot be installed.
    """
    requirements = PEERS / f"{name}.txt"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = (PROJECT / BUILT / "venvs" / f"{name}-{key}").resolve()
    ready = folder / "ready"
    if not ready.exists():
        say(f"installing {name} into its own environment ...")
        _uv("venv", "--quiet", "--no-config", "--clear", "--python", "3.11", str(folder))
        _uv(
            *("pip", "install", "--quiet", "--no-config", "--require-hashes"),
            *("--compile-bytecode", "--python", str(folder), "--requirements", str(requirements)),
        )
        ready.touch()
    return folder


def version(name: str) -> str:
    """The peer's pinned version.

    Raises:
        BenchError: Its requirements do not pin it.
    """
    requirements = PEERS / f"{name}.txt"
    found = re.search(rf"^{name}==(\S+)", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise BenchError(
            f"{requirements} does not pin {name}; compile it anew, see its first lines"
        )
    return found[1]


def _uv(*arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    command = [*find_uv(), *arguments]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BenchError(f"uv {' '.join(arguments[:2])} failed: {said[-1] if said else 'silently'}")
