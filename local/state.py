"""What the embedded engine knows of a stack: one JSON file, rewritten after every step."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from local.home import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1


@dataclass(slots=True, kw_only=True)
class ResourceState:
    """One resource as it was last deployed.

    Attributes:
        urn: Its name in the stack.
        type: Type token, such as aws:ecr/repository:Repository.
        custom: False for components, which exist only here.
        id: What its provider calls it; empty for components, and while a creation is under way.
        inputs: Checked inputs of the last operation, secrets masked.
        outputs: Inputs and what the provider computed, secrets masked.
        protect: Deletion and replacement are refused.
        creating: A creation began and its end was never recorded: the resource may exist.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    protect: bool = False
    creating: bool = False


class State:
    """The resources of a stack in the order in which they were made, and its outputs.

    Attributes:
        boot: The emulator's run that the resources live in.
        resources: By URN.
        doomed: Replaced resources whose deletion has not been recorded yet.
        outputs: What the program exported, secrets masked.
    """

    def __init__(self, path: Path) -> None:
        document = read_json(path) or {}
        self._path = path
        self._lock = threading.RLock()
        self.boot: str = document.get("boot", "")
        rows = document.get("resources", [])
        self.resources = {row["urn"]: ResourceState(**row) for row in rows}
        self.doomed = [ResourceState(**row) for row in document.get("doomed", [])]
        self.outputs: dict[str, Any] = document.get("outputs", {})

    def put(self, resource: ResourceState) -> None:
        """Record a resource; one that is made anew moves to the end of the order."""
        with self._lock:
            known = self.resources.get(resource.urn)
            if known is None or known.id != resource.id:
                self.resources.pop(resource.urn, None)
            self.resources[resource.urn] = resource
            self.save()

    def drop(self, urn: str) -> None:
        """Forget a resource."""
        with self._lock:
            self.resources.pop(urn, None)
            self.save()

    def save(self) -> None:
        """Write the file."""
        with self._lock:
            document = {
                "version": VERSION,
                "boot": self.boot,
                "resources": [asdict(r) for r in self.resources.values()],
                "doomed": [asdict(r) for r in self.doomed],
                "outputs": self.outputs,
            }
            write_json(self._path, document)
