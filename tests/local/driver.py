"""Runs a tiny project on the engine: `python -m tests.local.driver FOLDER up|preview`.

A process of its own, for the SDK keeps its stack in module globals. Prints one JSON document: what
was exported, the steps, what the cloud holds, or the one line of the error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from local import program
from local.engine import Deployment
from local.errors import DeploymentError
from local.home import read_json, write_json
from local.state import State
from tests.local.conftest import KIND, Cloud

if TYPE_CHECKING:
    from local.values import Properties


def main(folder: Path, command: str) -> dict[str, Any]:
    """Run the program once over the folder's state and cloud."""
    cloud = Cloud(things=read_json(folder / "cloud.json") or {})
    deployment = Deployment(
        state=State(folder / "state.json"),
        providers={KIND: cloud},
        functions={"test:index:double": lambda arguments: {"twice": 2 * arguments["x"]}},
        preview=command == "preview",
        quiet=True,
    )
    found: dict[str, Any] = {}
    try:
        with patch.object(program, "PROJECT", folder):
            config = program.configuration("local")
            found["outputs"] = program.run(deployment, "local", config, _reference)
        deployment.delete_unseen()
    except DeploymentError as error:
        found["error"] = str(error)
    write_json(folder / "cloud.json", cloud.things)
    steps = [[str(step.op), step.type, step.name] for step in deployment.plan.steps]
    return {**found, "steps": steps, "cloud": cloud.things, "log": cloud.log}


def _reference(name: str) -> Properties:
    return {"url": f"https://{name.replace('/', '.')}"}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
