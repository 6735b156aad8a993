"""results.json: what was measured, on what machine, with which versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from local.docker import docker
from local.home import write_json

SCHEMA = 1
FILE = Path("bench/results.json")
DISTRIBUTIONS = ("tensorflow", "ai-edge-litert", "numpy")


def collect(handlers: dict[str, Any], servers: dict[str, Any]) -> dict[str, Any]:
    """The whole document, rounded to what is worth reading."""
    rounded: dict[str, Any] = _rounded(
        {
            "schema": SCHEMA,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": _commit(),
            "machine": _machine(),
            "versions": {name: metadata.version(name) for name in DISTRIBUTIONS},
            "handlers": handlers,
            "servers": servers,
        }
    )
    return rounded


def write(document: dict[str, Any], file: Path = FILE) -> None:
    """Replace the file in one step."""
    write_json(file, document)
    file.chmod(0o644)


def read(file: Path = FILE) -> dict[str, Any]:
    """What an earlier run wrote.

    Raises:
        BenchError: There is no such file, or it has another schema.
    """
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{file} is not there; make bench writes it") from error
    if document.get("schema") != SCHEMA:
        raise BenchError(
            f"{file} has schema {document.get('schema')!r}, expected {SCHEMA}; make bench writes it"
        )
    return document


def _machine() -> dict[str, object]:
    """What the figures depend on; nothing that names the machine."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in processors if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": models[0] if models else platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "docker": docker("version", "--format", "{{.Server.Version}}").strip(),
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _rounded(value: Any) -> Any:  # noqa: ANN401 - a JSON document is anything
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
