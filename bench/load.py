"""The load: wrk, eight connections, every answer compared byte for byte.

It shares the cores with the server: what it takes itself is kept small, and shown.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.stats import median
from local import docker
from local.errors import DockerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECTIONS = 8
# From here on wrk's copy of each body, before it sends it, takes longer than all else that it does.
_LARGE_BYTES = 65_536
SCRIPT = Path(__file__).with_name("load.lua")


def ensure() -> None:
    """See to it that wrk is there: Debian's package, where this may install one.

    Raises:
        BenchError: It is not, and cannot be installed.
    """
    if shutil.which("wrk") is None:
        try:
            docker.install(["wrk"])
        except DockerError as error:
            raise BenchError(
                f"the servers are loaded with wrk, which is not on PATH: {error}"
            ) from error


def run(
    url: str, media: str, requests: Sequence[bytes], expected: Sequence[bytes], seconds: int
) -> dict[str, Any]:
    """Ask a server as fast as it answers, for a while.

    Args:
        url: With the path.
        media: Content type of the requests, and what is accepted.
        requests: Bodies, sent in turn; large ones by two threads, each of them one always.
        expected: Bodies of the right answers, in any order.
        seconds: How long.

    Returns:
        `requests`, `seconds`, `p50_ms`, `p99_ms`, `max_ms`, `wrong` (another status than 200, or
        another body), `failed` (connections and time-outs), and `cpu_seconds` of wrk itself.

    Raises:
        BenchError: wrk failed.
    """
    with tempfile.TemporaryDirectory(prefix="thimble-bench-") as folder:
        for number, (body, answer) in enumerate(zip(requests, expected, strict=True), 1):
            Path(folder, f"request.{number}").write_bytes(body)
            Path(folder, f"answer.{number}").write_bytes(answer)
        threads, order = (2, "one") if len(requests[0]) > _LARGE_BYTES else (1, "in turn")
        command = ["wrk", f"--threads={threads}", f"--connections={CONNECTIONS}", "--timeout=10s"]
        command += [f"--duration={seconds}s", f"--script={SCRIPT}", url, "--"]
        command += [folder, str(len(requests)), media, order]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            output = process.stdout.read().decode() if process.stdout else ""
            # Popen's own wait says nothing of the time that it took.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    try:
        found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise BenchError(f"wrk failed at {url}: {output.strip()[-300:]}") from error
    found["cpu_seconds"] = usage.ru_utime + usage.ru_stime
    return found


def together(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What several loads of one server found: sums, the longest time, the percentiles' medians."""
    ways: dict[str, Callable[[list[float]], float]] = dict.fromkeys(parts[0], sum)
    ways |= {"p50_ms": median, "p99_ms": median, "max_ms": max}
    return {name: way([part[name] for part in parts]) for name, way in ways.items()}
