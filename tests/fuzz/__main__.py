"""`python -m tests.fuzz`: 200,000 broken requests to the handler, 20,000 to the server.

Then schemathesis tries what the server's own /openapi.json says.

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

from tests.fuzz.contract import check_contract
from tests.fuzz.events import fuzz_events
from tests.fuzz.models import write_models
from tests.fuzz.wire import fuzz_wire, server

if TYPE_CHECKING:
    from tests.fuzz.tally import Tally

EVENTS = 200_000
CONNECTIONS = 20_000
EXAMPLES = 20


def fuzz(folder: Path, events: int, connections: int, examples: int, seed: int) -> list[Tally]:
    """Spread the requests over the models.

    Args:
        folder: Empty; the models and the server's logs are written there.
        events: To the handler, in this process.
        connections: To the server, in processes of its own.
        examples: That schemathesis makes up for each operation.
        seed: Of everything random.

    Returns:
        What came of them, printed as it came.

    Raises:
        AssertionError: The server did not do what its document says, or did not end well.
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
            if examples:
                made = check_contract(port, folder, examples, seed, twins=True)
                print(f"{model}: /openapi.json: {made:,} answers as it says", flush=True)
    return tallies


def main() -> int:
    """Read the command line, and fuzz."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="requests to the handler")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="to the server")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of schemathesis; 0: none")
    parser.add_argument("--seed", type=int, default=66)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tallies = fuzz(
            Path(folder), options.events, options.connections, options.examples, options.seed
        )
    answers = sum(tally.statuses.total() for tally in tallies)
    faults = sum(len(tally.faults) for tally in tallies)
    seconds = time.monotonic() - begun
    print(f"{answers:,} answers in {seconds:.0f} s, seed {options.seed}: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
