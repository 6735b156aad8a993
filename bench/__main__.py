"""`python -m bench`: measure, and write results.json, the plot and the README's tables."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from bench import handlers, models, plot, results, servers, table, targets
from bench.errors import BenchError
from bench.readme import replace_section
from infra.errors import InfraError
from local import docker
from local.errors import LocalError
from local.home import PROJECT, Home, say, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS = {"handlers": handlers.measure, "servers": servers.measure}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, and do it.

    Returns:
        0; 1 where --check found a target missed; 2 where something is missing or went wrong.
    """
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "part", nargs="?", choices=[*PARTS, "render"], help="one part alone; writes no document"
    )
    parser.add_argument("--quick", action="store_true", help="see whether it works; writes nothing")
    parser.add_argument("--check", action="store_true", help="compare results.json to the targets")
    options = parser.parse_args(arguments)
    os.chdir(PROJECT)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if options.check:
            return _check()
        if options.part == "render":
            _render(results.read())
            return 0
        measured = _measure([options.part] if options.part else list(PARTS), quick=options.quick)
        if options.part or options.quick:
            _keep(measured)
        else:
            document = results.collect(measured["handlers"], measured["servers"])
            results.write(document)
            _render(document)
            # That was the measurement; to fail where a promise is not kept is --check's.
            _check()
    except (BenchError, LocalError, InfraError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def _stop(number: int, frame: object) -> None:
    """End what was started, as on Ctrl-C: each part stops its own on the way out."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _measure(parts: list[str], *, quick: bool) -> dict[str, Any]:
    prepared = [models.prepare(name) for name in models.NAMES]
    if "handlers" in parts:
        docker.ensure(Home.default())
    return {part: PARTS[part](prepared, quick=quick) for part in parts}


def _keep(measured: dict[str, Any]) -> None:
    """A part alone is for whoever looks at it now: the document holds one whole run."""
    for part, found in measured.items():
        file = models.BUILT / f"{part}.json"
        write_json(file, found)
        print(json.dumps(found, indent=1))
        say(f"kept in {file}")


def _render(document: dict[str, Any]) -> None:
    plot.write(document, table.PLOT)
    replace_section(table.README, table.SECTION, table.render(document))
    say(table.render(document))


def _check() -> int:
    kept, lines = targets.judge(results.read())
    say("\n".join(lines))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
