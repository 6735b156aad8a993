"""The pull request's one comment: the model's report, its cost, what each stage would change."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from release import cost, model_report
from release.markdown import code, fence, row
from release.preview import Preview, Step

MARKER = "<!-- thimble:preview -->"
"""Opens the comment, unseen; how the next run finds it again."""

LIMIT = 60_000
"""Bytes a comment may have. GitHub refuses more than 65,536 characters."""

_LOUD = {"delete": "**delete**", "replace": "**replace**"}
_WORDS = {
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import": "create",
}
_HEAD = row("what", "resource", "type", "because of") + "\n" + row("---", "---", "---", "---")
_WARNINGS = 2
"""Warnings that are shown of a stage."""
_RESERVE = 400
"""Bytes kept for the line that says how many rows were left out, per stage."""


def compose(
    previews: Sequence[Preview],
    report: dict[str, Any] | None,
    base: dict[str, Any] | None = None,
    run_url: str = "",
) -> str:
    """Return the comment's Markdown, at most `LIMIT` bytes.

    Args:
        previews: One per stage, in the order of promotion.
        report: The model as proposed; None when the conversion failed.
        base: The model on the branch merged into, if there is one.
        run_url: Address of the run, where the logs are.
    """
    costs = {preview.stack: preview.cost for preview in previews if preview.cost is not None}
    bill = cost.render(costs, model_report.latency_ms(report))
    parts = [f"{MARKER}\n{model_report.render(report, base)}", bill, "### Resources\n"]
    head = "\n\n".join(part for part in parts if part)
    foot = f"\n\n[Log of this run]({run_url})\n" if run_url else "\n"
    sections: list[str] = []
    left = LIMIT - _bytes(head) - _bytes(foot)
    for done, preview in enumerate(previews):
        # Each stage may use its share of what is left, so a huge first stage starves no other.
        share = left // (len(previews) - done)
        section = _section(preview, share)
        sections.append(section)
        left -= _bytes(section)
    return head + "".join(sections) + foot


def _section(preview: Preview, budget: int) -> str:
    steps = _merged(preview.changes())
    title = f"\n**{preview.stack}**: {_counts(steps, preview)}\n"
    if preview.error:
        title += f"\n{fence(preview.error)}\n"
    for warning in preview.warnings[:_WARNINGS]:
        title += f"\nWarning:\n{fence(warning)}\n"
    if not steps:
        return title
    opening = f"\n<details><summary>{len(steps)} resources</summary>\n\n{_HEAD}\n"
    closing = "\n</details>\n"
    room = budget - _bytes(title) - _bytes(opening) - _bytes(closing) - _RESERVE
    rows: list[str] = []
    for step in steps:
        line = _row(step) + "\n"
        room -= _bytes(line)
        if room < 0:
            break
        rows.append(line)
    hidden = len(steps) - len(rows)
    more = f"\n… and {hidden} more, all in the log of this run.\n" if hidden else ""
    return title + opening + "".join(rows) + more + closing


def _merged(steps: Sequence[Step]) -> list[Step]:
    """One step per resource: the engine tells a replacement as up to three."""
    replaced = {step.urn for step in steps if step.op == "replace"}
    return [
        step
        for step in steps
        if step.op == "replace" or step.urn not in replaced or _kind(step) != "replace"
    ]


def _kind(step: Step) -> str:
    return _WORDS.get(step.op, step.op)


def _counts(steps: Sequence[Step], preview: Preview) -> str:
    if preview.error:
        return "the preview failed"
    counts = Counter(_kind(step) for step in steps)
    words = [
        f"{counts.pop(op)} to {op}"
        for op in ("create", "update", "replace", "delete")
        if counts[op]
    ]
    words += [f"{count} to {op}" for op, count in sorted(counts.items())]
    return ", ".join(words) or "no changes"


def _row(step: Step) -> str:
    kind = _kind(step)
    urn, _, name = step.urn.rpartition("::")
    resource_type = urn.rpartition("::")[2].rpartition("$")[2]
    reasons = ", ".join(code(reason) for reason in step.reasons)
    return row(_LOUD.get(kind, kind), code(name), code(resource_type), reasons)


def _bytes(text: str) -> int:
    return len(text.encode())
