"""Steps of a plan, as a terminal and as Pulumi's own JSON show them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local.home import say


class Op(StrEnum):
    """What happens to one resource, in Pulumi's words."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


MARKS = {Op.SAME: " ", Op.CREATE: "+", Op.UPDATE: "~", Op.REPLACE: "+-", Op.DELETE: "-"}
DONE = {
    Op.CREATE: "created",
    Op.UPDATE: "updated",
    Op.REPLACE: "replaced",
    Op.DELETE: "deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a plan.

    Attributes:
        op: What happens.
        urn: To which resource.
        reasons: Names of the inputs that differ.
        old: Its inputs before, secrets masked; None when it is new.
        new: Its inputs after, secrets masked; None when it goes.
    """

    op: Op
    urn: str
    reasons: tuple[str, ...] = ()
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None

    @property
    def type(self) -> str:
        """Type token of the resource itself, without its parents'."""
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def chains(self) -> list[str]:
        """Qualified types of its parents, outermost first, then its own."""
        types = self.urn.split("::")[2].split("$")
        return ["$".join(types[: n + 1]) for n in range(len(types))]

    @property
    def name(self) -> str:
        """Logical name of the resource."""
        return self.urn.split("::")[3]


@dataclass(slots=True)
class Plan:
    """The steps of one run, in order."""

    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Append a step."""
        self.steps.append(step)

    @property
    def changes(self) -> list[Step]:
        """The steps that do something."""
        return [step for step in self.steps if step.op is not Op.SAME]

    def outline(self) -> list[tuple[int, Step]]:
        """The changes with their depth, each component before its parts and beside them.

        Resources are registered side by side, so the steps' own order mixes the components.
        """
        places: dict[str, int] = {}
        for step in self.steps:
            for chain in step.chains:
                places.setdefault(chain, len(places))
        changes = sorted(self.changes, key=lambda step: [places[c] for c in step.chains])
        shown = {step.chains[-1] for step in changes}
        return [(sum(c in shown for c in step.chains[:-1]), step) for step in changes]

    def summary(self, *, done: bool = False) -> str:
        """One line of counts, or `no changes`; `done` tells what happened, not what would."""
        counts = Counter(step.op for step in self.steps)
        words = [
            f"{counts[op]} {DONE[op]}" if done else f"{counts[op]} to {op}"
            for op in Op
            if counts[op] and op is not Op.SAME
        ]
        same = f"{counts[Op.SAME]} unchanged"
        return f"{', '.join(words)}, {same}" if words else f"no changes ({same})"

    def document(self) -> dict[str, Any]:
        """The shape of `pulumi preview --json`, as far as the plan has it."""
        return {
            "steps": [
                {
                    "op": str(step.op),
                    "urn": step.urn,
                    "diffReasons": list(step.reasons),
                    "oldState": _resource(step, step.old),
                    "newState": _resource(step, step.new),
                }
                for step in self.steps
            ],
            "changeSummary": dict(Counter(str(step.op) for step in self.steps)),
        }


def show(step: Step, seconds: float | None = None, depth: int = 0) -> None:
    """Print a step: what will happen, or what happened and how long it took."""
    if step.op is Op.SAME:
        return
    reasons = f"  [{', '.join(step.reasons)}]" if step.reasons else ""
    done = f"  {DONE[step.op]} ({seconds:.1f} s)" if seconds is not None else f"  {step.op}"
    say(f"  {MARKS[step.op]:2} {'  ' * depth}{step.type}  {step.name}{done}{reasons}")


def _resource(step: Step, inputs: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if inputs is None else {"urn": step.urn, "type": step.type, "inputs": inputs}
