"""What a preview may say in public: operations, names and reasons, never a property's value.

`pulumi preview --json` prints old and new state of every resource, and outputs copied from secrets
stand there in clear. So only the three fields below ever leave the machine that ran the preview,
what the stack would cost and, masked, what the engine told a person.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from release.cost import Cost, load_cost, price
from release.errors import InputError
from release.mask import mask

ERROR_LIMIT = 4_000
"""Characters of a failed preview's text that are kept: the end, where the cause stands."""

WARNING_LIMIT = 500
"""Characters of a warning that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One resource and what would happen to it."""

    op: str
    urn: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would happen to one stack; `error` is set when the preview failed.

    `warnings` are what the program warned of, such as a base image that is not pinned; `cost` is
    None where it failed, or no function will be there.
    """

    stack: str
    steps: tuple[Step, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
    cost: Cost | None = None

    def changes(self) -> tuple[Step, ...]:
        """The steps that do something, the destructive ones first."""
        changing = [step for step in self.steps if step.op not in _QUIET]
        return tuple(sorted(changing, key=lambda step: (_RANK.get(step.op, len(_RANK)), step.urn)))


_QUIET = {"same", "read", "read-discard", "refresh", "remove-pending-replace"}
_RANK = {
    op: rank
    for rank, op in enumerate(
        (
            "delete",
            "delete-replaced",
            "replace",
            "create-replacement",
            "update",
            "create",
            "import",
        ),
    )
}


def from_document(stack: str, document: dict[str, Any]) -> Preview:
    """Read what `pulumi preview --json` printed, keeping only what may be published."""
    steps = tuple(
        Step(
            op=str(step.get("op", "unknown")),
            urn=str(step.get("urn", "")),
            reasons=tuple(str(reason) for reason in step.get("diffReasons") or ()),
        )
        for step in document.get("steps") or ()
    )
    told: dict[str, list[str]] = {"error": [], "warning": []}
    for entry in document.get("diagnostics") or ():
        told.get(str(entry.get("severity")), []).append(str(entry.get("message", "")).strip())
    error = document.get("error") or "\n".join(told["error"]) or None
    cost = load_cost(document["cost"]) if "cost" in document else price(document)
    return Preview(
        stack=stack,
        steps=steps,
        error=bounded(error) if error else None,
        cost=None if error else cost,
        warnings=tuple(
            mask(text)[:WARNING_LIMIT] for text in dict.fromkeys(told["warning"]) if text
        ),
    )


def from_output(stack: str, *, code: int, stdout: str, stderr: str) -> Preview:
    """Read one run of the engine's `preview --json`, failed or not.

    Args:
        stack: The stack previewed.
        code: The engine's exit code; anything but 0 is a failed preview.
        stdout: The document, or whatever the engine printed instead.
        stderr: What the engine told a person; says more than the document when it failed.
    """
    try:
        document = json.loads(stdout)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Preview(
            stack=stack, error=bounded(_cause(stderr)) or bounded(stdout) or _silent(code)
        )
    preview = from_document(stack, document)
    if code == 0:
        return preview
    error = bounded(_cause(stderr)) or preview.error or _silent(code)
    return replace(preview, error=error, cost=None)


def _cause(text: str) -> str:
    """Cut off what the document tells better: the list of resources.

    A violated policy also ends the program, whose last words (a traceback of being stopped) would
    push the violation out of what is kept.
    """
    policies, diagnostics = (text.find(f"\n{title}:\n") for title in ("Policies", "Diagnostics"))
    if policies >= 0 and "[mandatory]" in text[policies:]:
        return text[policies : diagnostics if diagnostics > policies else None]
    return text[max(diagnostics, 0) :]


def _silent(code: int) -> str:
    return f"the preview exited with {code} and said nothing"


def bounded(text: str) -> str:
    """Return the masked end of `text`, at most `ERROR_LIMIT` characters."""
    hidden = mask(text).strip()
    if len(hidden) <= ERROR_LIMIT:
        return hidden
    return "… " + hidden[-ERROR_LIMIT:].lstrip()


def save(preview: Preview, folder: Path) -> Path:
    """Write `folder/STACK.json`, in the shape `load` and `from_document` read; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{preview.stack}.json"
    document = {
        "steps": [
            {"op": step.op, "urn": step.urn, "diffReasons": list(step.reasons)}
            for step in preview.steps
        ],
        "error": preview.error,
        "cost": None if preview.cost is None else asdict(preview.cost),
        "diagnostics": [{"severity": "warning", "message": text} for text in preview.warnings],
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def load(path: Path) -> Preview:
    """Read `STACK.json`: ours, or a document of `pulumi preview --json`.

    Raises:
        InputError: The file is not such a document.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a preview ({error}); write it with "
            f"`python -m release preview --stack {path.stem} --out {path.parent}`",
        ) from error
    if not isinstance(document, dict):
        raise InputError(f"{path} holds a {type(document).__name__}; a preview is a JSON object")
    return from_document(path.stem, document)
