"""`python -m tests.fuzz`: 200,000 broken requests to the handler, and 20,000 to the server.

Seeded: the same numbers send the same requests, up to the order in which connections interleave.
Exits with 1 where an answer was not what it has to be (judge.py), a good request no longer got the
answer that it got at first, or memory grew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.events import fuzz_events
from tests.fuzz.models import write_models
from tests.fuzz.wire import fuzz_wire, server

if TYPE_CHECKING:
    from tests.fuzz.tally import Tally

EVENTS = 200_000
CONNECTIONS = 20_000


def fuzz(folder: Path, events: int, connections: int, seed: int) -> list[Tally]:
    """Spread the requests over the models.

    Args:
        folder: Empty; the models and the server's logs are written there.
        events: To the handler, in this process.
        connections: To the server, in processes of its own.
        seed: Of everything random.

    Returns:
        What came of them, printed as it came.
    """
    models = write_models(folder)
    tallies = []
    for model, environment in models.items():
        tallies.append(fuzz_events(environment, model, events // len(models), seed))
        print(tallies[-1].report, flush=True)
    for model, environment in models.items():
        with server(environment, folder / f"{model}.log") as (process, port):
            tallies.append(fuzz_wire(process, port, model, connections // len(models), seed))
        print(tallies[-1].report, flush=True)
    return tallies


def main() -> int:
    """Read the command line, and fuzz."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="requests to the handler")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="to the server")
    parser.add_argument("--seed", type=int, default=66)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tallies = fuzz(Path(folder), options.events, options.connections, options.seed)
    answers = sum(tally.statuses.total() for tally in tallies)
    faults = sum(len(tally.faults) for tally in tallies)
    seconds = time.monotonic() - begun
    print(f"{answers:,} answers in {seconds:.0f} s, seed {options.seed}: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
