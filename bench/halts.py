"""A load that is halted every so often for a look at the bare call, which is then alone.

The machine's speed changes within a second: what the cores could have done is known from looks that
are near. Loads as short as that would be beginning and end; one that is halted has one of each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import processes
from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    Meanwhile = Callable[[int], None]

STRETCH_SECONDS = 0.5
LEFT_SECONDS = 0.2  # in which a server notices that the clients of the last load are gone
# What wrk may take before and after its own seconds: it counts as the server's time. Mostly 0.02.
AROUND_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class Halted:
    """What a halted load found.

    Attributes:
        found: What wrk says, see `load.run`: its seconds and its latencies have the halts in them.
        stretches: Seconds of each stretch between two looks, from wrk's start to its end.
        looks: Milliseconds of a bare call before the first stretch and after each.
    """

    found: dict[str, Any]
    stretches: list[float]
    looks: list[float]


def measure(
    load: Callable[[int, Meanwhile], dict[str, Any]],
    look: Callable[[], float],
    server: int,
    stretches: int,
) -> Halted:
    """Load a server, and halt it with all its processes every STRETCH_SECONDS.

    Args:
        load: Loads it for some seconds, the halts included, and meanwhile calls what it is given
            with the process that asks.
        look: Milliseconds of a bare call.
        server: The root of its process tree.
        stretches: About how many; a look that takes longer than the first one makes them fewer.

    Raises:
        BenchError: What asks began late or ended late: the stretches are not what it took.
    """
    time.sleep(LEFT_SECONDS)
    looked = time.perf_counter()
    looks = [look()]
    look_seconds = time.perf_counter() - looked
    seconds = round(stretches * STRETCH_SECONDS + (stretches - 1) * look_seconds)
    served = processes.tree(server)
    running, halted = [], []

    def halt(asking: int) -> None:
        began = time.perf_counter()
        end = began + seconds
        members = [asking, *served]
        while not processes.ended(asking, STRETCH_SECONDS):
            # About to end by itself. A halt behind its last look at the clock it would not know of.
            if time.perf_counter() > end:
                continue
            with processes.halted(members):
                stopped = time.perf_counter()
                running.append(stopped - began)
                # Only now: to look for them takes a millisecond, which those that run would share.
                started = processes.tree(*members)[len(members) :]
                with processes.halted(started):
                    looks.append(look())
                    began = time.perf_counter()
                    halted.append(began - stopped)
            members += started
        running.append(time.perf_counter() - began)

    found = load(seconds, halt)
    time.sleep(LEFT_SECONDS)
    looks.append(look())
    asked = found["seconds"] - sum(halted)
    if abs(sum(running) - asked) > AROUND_SECONDS:
        raise BenchError(
            f"the server was asked for {asked:.2f} s and ran for {sum(running):.2f} s: the "
            "machine did something else; measure again"
        )
    return Halted(found=found, stretches=running, looks=looks)
