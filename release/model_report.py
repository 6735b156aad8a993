"""The converter's report as a reviewer wants it: what changed first, then the candidates."""

import json
from pathlib import Path
from typing import Any

from release.errors import InputError
from release.markdown import code, row
from release.mask import mask

_HEADER = (
    row("recipe", "size", "gzip", "{metric}", "drop", "agreement", "latency", "inside budget"),
    row("---", "--:", "--:", "--:", "--:", "--:", "--:", ":-:"),
)
_INSIDE = {True: "yes", False: "no", None: ""}
_KIB = 1024
_ERROR_LIMIT = 160


def load(path: Path) -> dict[str, Any]:
    """Read a report.json.

    Raises:
        InputError: The file is missing, or is not a report of this version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a model report ({error}); write it with `make convert`",
        ) from error
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise InputError(f"{path} is not a model report of schema 1; write it with `make convert`")
    return document


def render(report: dict[str, Any] | None, base: dict[str, Any] | None = None) -> str:
    """Return the report as Markdown.

    Args:
        report: The model as proposed; None when the conversion failed.
        base: The model as it is on the branch merged into; None when there is none to compare.
    """
    if report is None:
        return (
            "### Model\n\n**The conversion failed or did not run**; "
            "the job's log says why, and `make convert` repeats it."
        )
    title = f"### Model {code(str(report['model']))}"
    parts = [title, _verdict(report, base), _table(report)]
    return "\n\n".join(part for part in parts if part)


def latency_ms(report: dict[str, Any] | None) -> float | None:
    """What one prediction takes the chosen model, in milliseconds; None where no report says so."""
    chosen = _chosen(report) if report else None
    measured = chosen.get("latency_ms") if chosen else None
    return None if measured is None else float(measured)


def _verdict(report: dict[str, Any], base: dict[str, Any] | None) -> str:
    chosen = _chosen(report)
    if chosen is None:
        return "**No candidate is inside the budget.**"
    name, (metric, key) = str(report["chosen"]), _measure(report)
    facts = f"{code(name)}: {_size(chosen['bytes'])}{_judged(report, chosen)}"
    before = _chosen(base) if base else None
    if base is None or before is None:
        shrink = report["original"]["bytes"] / max(chosen["bytes"], 1)
        return f"{facts}; {shrink:.1f} times smaller than the trained model."
    # Latency is not compared: two runs on shared machines differ by more than two models.
    alike = _measure(base) == (metric, key)
    if alike and (base["chosen"], before["bytes"], before.get(key)) == (
        report["chosen"],
        chosen["bytes"],
        chosen.get(key),
    ):
        return f"No change. {facts}."
    lines = [
        row("", "before", "after", "change"),
        row("---", "--:", "--:", "--:"),
        row("recipe", code(str(base["chosen"])), code(name), ""),
        row("size", _size(before["bytes"]), _size(chosen["bytes"]), _percent(before, chosen)),
        row(
            metric,
            _number(before.get(key)) if alike else "",
            _number(chosen.get(key)),
            _difference(before.get(key), chosen.get(key)) if alike else "",
        ),
    ]
    return "\n".join(lines)


def _measure(report: dict[str, Any]) -> tuple[str, str]:
    """What models are judged by, and its key; without held-out data that is agreement alone."""
    if report["metric"] is None:
        return "agreement", "agreement"
    return str(report["metric"]), "metric"


def _judged(report: dict[str, Any], chosen: dict[str, Any]) -> str:
    metric, key = _measure(report)
    if chosen.get(key) is None:
        return ", not scored"
    on = report.get("compared_on")
    rows = f" with the original on {on['rows']} {on['data']} rows" if on and key != "metric" else ""
    return f", {metric} {_number(chosen[key])}{rows}"


def _table(report: dict[str, Any]) -> str:
    head = _HEADER[0].format(metric=report["metric"] or "metric")
    original = report["original"]
    lines = [head, _HEADER[1]]
    lines.append(
        row(
            "as trained",
            _size(original["bytes"]),
            "",
            _number(original["metric"]),
            "",
            "",
            _milliseconds(original.get("latency_ms")),
            "",
        ),
    )
    for candidate in report["candidates"]:
        name = code(str(candidate["recipe"]))
        if candidate["recipe"] == report["chosen"]:
            name = f"**{name}**"
        if candidate.get("error"):
            lines.append(
                row(
                    name, "", "", "", "", "", "", code(mask(str(candidate["error"]))[:_ERROR_LIMIT])
                )
            )
            continue
        lines.append(
            row(
                name,
                _size(candidate["bytes"]),
                _size(candidate.get("gzip_bytes")),
                _number(candidate.get("metric")),
                _number(candidate.get("drop")),
                _number(candidate.get("agreement")),
                _milliseconds(candidate.get("latency_ms")),
                _INSIDE[candidate.get("inside_budget")],
            ),
        )
    table = "\n".join(lines)
    summary = f"<summary>{len(report['candidates'])} candidates</summary>"
    return f"<details>{summary}\n\n{table}\n\n</details>"


def _chosen(report: dict[str, Any]) -> dict[str, Any] | None:
    for candidate in report["candidates"]:
        if candidate["recipe"] == report["chosen"] and not candidate.get("error"):
            return dict(candidate)
    return None


def _size(count: float | None) -> str:
    if count is None:
        return ""
    if count < _KIB:
        return f"{count:.0f} B"
    if count < _KIB * _KIB:
        return f"{count / _KIB:.1f} KiB"
    return f"{count / _KIB / _KIB:.1f} MiB"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"


def _percent(before: dict[str, Any], after: dict[str, Any]) -> str:
    if not before["bytes"]:
        return ""
    return f"{(after['bytes'] - before['bytes']) / before['bytes']:+.1%}"


def _difference(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f"{after - before:+.4f}"
