"""Runs many commands over embedded stacks in one process: `python -m tests.e2e.driver < JOBS`.

Importing Pulumi takes longer than a preview. Jobs and answers are JSON lists; a job says what to do
with stack `local`, and gives settings of this one run.
"""

from __future__ import annotations

import functools
import json
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from infra import model
from local import emulator
from local.errors import LocalError
from local.home import Home
from local.stack import LocalStack

if TYPE_CHECKING:
    from local.plan import Plan


def answer(home: Home, job: dict[str, Any]) -> dict[str, Any]:
    """Do one job: its steps, or the error that a user would read."""
    settings = {f"thimble:{key}": value for key, value in job["settings"].items()}
    stack = LocalStack(home, "local", quiet=True, settings=settings)
    try:
        if job["do"] == "destroy":
            machine = emulator.running(home, "local")
            assert machine is not None
            # What `down` does before it stops the emulator, which could then no more be asked.
            stack._destroy(machine)
            return {"changes": []}
        plan: Plan = getattr(stack, job["do"])()
    except LocalError as error:
        return {"error": str(error)}
    return {"changes": sorted(lines(plan))}


def lines(plan: Plan) -> list[str]:
    """One line per step that does something, such as `update Alias prediction: functionVersion`."""
    return [
        f"{step.op} {step.type.rpartition(':')[2]} {step.name}"
        + (f": {', '.join(step.reasons)}" if step.reasons else "")
        for step in plan.changes
    ]


convert = model._convert


@functools.cache
def ask(*arguments: str, remote: bool) -> tuple[int, str, str]:
    """What the converter says of a model, asked once: no file changes between jobs."""
    return convert(list(arguments), remote=remote)


def convert_or_ask(
    arguments: list[str], *, show: bool = False, remote: bool = False
) -> tuple[int, str, str]:
    """The converter, as the program calls it."""
    if "--check" in arguments or "--digest" in arguments:
        return ask(*arguments, remote=remote)
    return convert(arguments, show=show, remote=remote)


def main() -> None:
    """Answer every job, in order; what is printed on the way goes to stderr."""
    out, sys.stdout = sys.stdout, sys.stderr
    home = Home.default()
    with home.locked(), patch.object(model, "_convert", convert_or_ask):
        json.dump([answer(home, job) for job in json.load(sys.stdin)], out)


if __name__ == "__main__":
    main()
