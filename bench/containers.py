"""A program in a container of Lambda's size: 1 vCPU, 1,769 MB, no network."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.cost import MEMORY_MB
from bench.errors import BenchError
from local.docker import docker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = "bench-inside"
TIMEOUT_SECONDS = 180
READY = "ready"  # what a program prints before it waits for a line
# One vCPU as Lambda gives it: 20 ms of processor time every 20 ms, on however many cores. That is
# the rhythm in which functions are seen to be stopped (GitHub: pwrdrvr/lambda-dispatch, issue 246).
# Docker's --cpus=1 counts 100 ms at a time, within which two cores are two vCPUs: a start that was
# over sooner was not limited at all, and one with several threads took two thirds of its time.
PERIOD_US = 20_000
LIMITS = (
    *(f"--cpu-period={PERIOD_US}", f"--cpu-quota={PERIOD_US}", "--network=none"),
    *(f"--memory={MEMORY_MB}m", f"--memory-swap={MEMORY_MB}m"),
    *("--env", f"AWS_LAMBDA_FUNCTION_MEMORY_SIZE={MEMORY_MB}"),
    *("--env", "AWS_LAMBDA_FUNCTION_NAME=bench", "--env", "AWS_LAMBDA_FUNCTION_VERSION=1"),
)
# Modules that our programs need inside, beside whatever the image has.
INSIDE = ("bench/__init__.py", "bench/inside/bare_call.py", "local/base/rie.py")


class Program:
    """One of our programs, running in a container.

    Args:
        process: `docker start`, attached.
        title: What errors call it.
        errors: What it writes to stderr.
    """

    def __init__(self, process: subprocess.Popen[str], title: str, errors: IO[str]) -> None:
        self._process = process
        self._title = title
        self._errors = errors

    def go_on(self) -> dict[str, Any]:
        """Let it do its next thing, and wait for the result.

        Raises:
            BenchError: It ended, took too long, or printed something else.
        """
        with suppress(BrokenPipeError):  # it has ended, and `read` says so
            print(file=self._process.stdin, flush=True)
        text = READY
        while text == READY:
            text = self.read()
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise BenchError(f"{self._title} printed no result: {text[:300]}") from error
        return found

    def read(self) -> str:
        """The next line that it prints.

        Raises:
            BenchError: It ended, or took too long.
        """
        text = self._process.stdout.readline() if self._process.stdout else ""
        if not text:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise BenchError(
                f"{self._title} ended, or took more than {TIMEOUT_SECONDS} s: "
                f"{said[-1] if said else 'it printed nothing'}"
            )
        return text.strip()


@contextmanager
def opened(
    image: str, program: Path, files: Mapping[str, bytes], *arguments: str
) -> Iterator[Program]:
    """One of our programs in a fresh container of an image, ready for its first line.

    Args:
        image: Which.
        program: The program; runs with the image's own Python, standard library only. Whenever it
            has printed `ready` it waits for a line, and then prints a JSON document on one.
        files: Names and contents of files that the program finds in its folder.
        arguments: The program's; `{}` in one stands for that folder.

    Yields:
        The program. Afterwards the container is gone.

    Raises:
        BenchError: It failed, or printed no such thing.
        DockerError: There is no such image.
    """
    words = [argument.replace("{}", f"/{FOLDER}") for argument in arguments]
    command = ["--entrypoint=python3", image, f"/{FOLDER}", *words]
    container = docker("create", "--interactive", *LIMITS, *command).strip()
    try:
        # Not a mounted folder: the daemon may run on another machine.
        subprocess.run(
            ["docker", "cp", "-", f"{container}:/"],
            input=_archive(program, files),
            capture_output=True,
            check=True,
        )
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                ["docker", "start", "--attach", "--interactive", container],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            watch = threading.Timer(TIMEOUT_SECONDS, process.kill)
            watch.start()
            try:
                running = Program(process, f"{image}: {program.name}", errors)
                running.read()
                yield running
            finally:
                watch.cancel()
                process.kill()
                with suppress(BrokenPipeError):  # a line that nobody took
                    process.communicate()
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{image}: docker cp failed: {error.stderr.decode().strip()}") from error
    finally:
        docker("rm", "--force", container)


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
