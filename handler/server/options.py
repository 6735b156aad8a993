"""How the server runs: from the command line, else the environment, which is SageMaker's way."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CGROUP = Path("/sys/fs/cgroup")
_PORTS = 65_535
_HIGHEST = 1_000_000  # of anything else: a slip of the finger, not a setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be set.

    Attributes:
        host: Address to bind.
        port: Port to bind; 0 picks a free one.
        workers: Processes that answer; a large model is loaded once for all.
        queue: Requests that may wait for a worker's model; one more is answered 503.
        connections: Connections a worker keeps; one more is answered 503.
        max_batch_size: Most rows of concurrent requests that run together; 1 for each on its own.
        max_batch_delay_ms: Milliseconds that a request waits for others to run with, if more than
            one may.
        deadline: Seconds that a request has from its arrival to its answer; what would take longer
            is answered 503 and not begun. 0 for no limit.
        grace: Seconds that requests under way are given when the server is told to stop.
    """

    host: str
    port: int
    workers: int
    queue: int
    connections: int
    max_batch_size: int
    max_batch_delay_ms: int
    deadline: int
    grace: int


def read(arguments: Sequence[str] | None, settings: Mapping[str, str]) -> Options:
    """Read the command line; a mistake in it, or in the environment, ends the process with 2."""
    parser = argparse.ArgumentParser(
        prog="handler.serve",
        description="Serve one model over HTTP. Each option can come from the environment instead.",
    )

    def add(name: str, default: str, lowest: int, text: str, highest: int = _HIGHEST) -> None:
        variable = f"SERVE_{name.upper().replace('-', '_')}"
        parser.add_argument(
            f"--{name}",
            type=_whole(lowest, highest),
            default=settings.get(variable, default),
            help=f"{text} ({variable}; default {default})",
        )

    # A container is its own boundary: what reaches it is decided by whoever publishes the port.
    parser.add_argument("--host", default="0.0.0.0", help="address to bind")  # noqa: S104
    add("port", "8080", 0, "port to bind; 0 picks a free one", _PORTS)
    add("workers", str(cores()), 1, "processes that answer; a large model is loaded once for all")
    add("queue", "64", 0, "requests that may wait for one worker's model")
    add("connections", "1024", 1, "connections that one worker keeps")
    add("max-batch-size", "1", 1, "most rows of concurrent requests that run together; 1: never")
    add(
        "max-batch-delay-ms",
        "5",
        0,
        "how long a request waits for others to run with, if --max-batch-size is above 1",
    )
    # SageMaker waits no longer for an endpoint.
    add("deadline", "60", 0, "seconds from a request to its answer; 0 for no limit")
    add("grace", "20", 0, "seconds for requests under way when told to stop")
    return Options(**vars(parser.parse_args(arguments)))


def cores(cgroup: Path = _CGROUP) -> int:
    """How many processors this process may use: those it is bound to, or its container's share."""
    bound = len(os.sched_getaffinity(0))
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except OSError:
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return bound
    if quota in {"max", "-1"}:
        return bound
    return max(1, min(bound, math.ceil(int(quota) / int(period))))


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read_number(text: str) -> int:
        digits = text.isdecimal() and text.isascii() and len(text) <= len(str(highest))
        number = int(text) if digits else -1
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(
                f"'{text:.32}' is not a whole number from {lowest} to {highest}"
            )
        return number

    return read_number
