"""One container of Lambda's size: 1 vCPU, 1,769 MB, no network; what it printed, then nothing."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cost import MEMORY_MB
from bench.errors import BenchError
from local.docker import docker

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "bench-inside"
TIMEOUT_SECONDS = 180
LIMITS = (
    *("--cpus=1", f"--memory={MEMORY_MB}m", f"--memory-swap={MEMORY_MB}m", "--network=none"),
    *("--env", f"AWS_LAMBDA_FUNCTION_MEMORY_SIZE={MEMORY_MB}"),
    *("--env", "AWS_LAMBDA_FUNCTION_NAME=bench", "--env", "AWS_LAMBDA_FUNCTION_VERSION=1"),
)
# Modules that our programs need inside, beside whatever the image has.
INSIDE = ("bench/__init__.py", "bench/inside/bare_call.py", "local/base/rie.py")


def run(image: str, program: Path, files: Mapping[str, bytes], *arguments: str) -> dict[str, Any]:
    """Run one of our programs in a fresh container of an image.

    Args:
        image: Which.
        program: The program; runs with the image's own Python, standard library only.
        files: Names and contents of files that the program finds in its folder.
        arguments: The program's; `{}` in one stands for that folder.

    Returns:
        The JSON document of its last line.

    Raises:
        BenchError: It failed, or printed no such thing.
        DockerError: There is no such image.
    """
    words = [argument.replace("{}", f"/{FOLDER}") for argument in arguments]
    command = ["--entrypoint=python3", image, f"/{FOLDER}", *words]
    container = docker("create", *LIMITS, *command).strip()
    try:
        # Not a mounted folder: the daemon may run on another machine.
        subprocess.run(
            ["docker", "cp", "-", f"{container}:/"],
            input=_archive(program, files),
            capture_output=True,
            check=True,
        )
        done = subprocess.run(
            ["docker", "start", "--attach", container],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{image}: docker cp failed: {error.stderr.decode().strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{image}: no result after {TIMEOUT_SECONDS} s") from error
    finally:
        docker("rm", "--force", container)
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BenchError(
            f"{image}: {program.name} ended with {done.returncode} and no result: "
            f"{said[-1] if said else 'it printed nothing'}"
        ) from error
    return found


def _archive(program: Path, files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        inside = {name: Path(name).read_bytes() for name in INSIDE}
        inside["__main__.py"] = program.read_bytes()
        folders = {FOLDER} | {
            f"{FOLDER}/{parent.as_posix()}" for name in inside for parent in Path(name).parents
        }
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in {**inside, **files}.items():
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
