"""python -m convert diff OLD NEW: what changed between two reports."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convert.errors import ReportError
from convert.report import SCHEMA
from convert.words import ms, number, size

FILE_NAME = "report.json"
_SAME = 0.0005


def read(path: Path) -> dict[str, Any]:
    """Reads a report.json, or the one in a folder.

    Raises:
        ReportError: It is missing, no report, or of another schema.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(
            f"{file}: {error.strerror}: expected a {FILE_NAME} of python -m convert, or its folder"
        ) from error
    except ValueError as error:
        raise ReportError(f"{file}: not JSON: {error}") from error
    if not isinstance(document, dict) or "candidates" not in document or "schema" not in document:
        raise ReportError(f"{file}: not a report: expected a {FILE_NAME} of python -m convert")
    schema = document["schema"]
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        mend = "take the converter that wrote it" if newer else "convert the model again"
        raise ReportError(
            f"{file}: schema {schema!r}: this converter reads schema {SCHEMA}; {mend}"
        )
    return document


def render(old: Mapping[str, Any], new: Mapping[str, Any], *, markdown: bool) -> str:
    """Says what changed, the chosen models first, then the other candidates.

    Args:
        old: A report, as `read` gives it.
        new: Another.
        markdown: Whether as tables for a comment; otherwise as aligned text.
    """
    try:
        return _render(old, new, markdown=markdown)
    except (KeyError, TypeError, StopIteration) as error:
        raise ReportError(f"a report is damaged ({type(error).__name__}: {error})") from error


def _render(old: Mapping[str, Any], new: Mapping[str, Any], *, markdown: bool) -> str:
    rows = [("", "old", "new", "change"), *_settings(old, new)]
    before, after = _chosen(old), _chosen(new)
    rows += _measures(before, after, old, new)
    parts = [_title(old, new, markdown=markdown), _table(rows, markdown=markdown)]
    parts += [line for line in _candidates(old, new) if line]
    return "\n\n".join(parts) + "\n"


def _title(old: Mapping[str, Any], new: Mapping[str, Any], *, markdown: bool) -> str:
    quote = "`" if markdown else ""
    what = f"{old['chosen']} -> {new['chosen']}"
    if old["model"] != new["model"]:
        what += f", of another model: the old report is of {quote}{old['model']}{quote}"
    elif old == new:
        what = f"still {new['chosen']}, and nothing changed"
    elif _comparable(old) == _comparable(new):
        what = f"still {new['chosen']}, and nothing changed but latencies"
    elif old["chosen"] == new["chosen"]:
        what = f"still {new['chosen']}"
    return f"{'### ' if markdown else ''}{quote}{new['model']}{quote}: {what}"


def _comparable(report: Mapping[str, Any]) -> Any:  # noqa: ANN401  any JSON
    """A report without what differs from run to run."""
    noisy = ("latency_ms", "memory_bytes")
    return {
        **report,
        "original": {key: it for key, it in report["original"].items() if key not in noisy},
        "candidates": [
            {key: it for key, it in one.items() if key not in noisy} for one in report["candidates"]
        ],
    }


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What the two were judged by, where that differs; then the numbers do not compare."""
    named = {
        "model": "model",
        "metric": "metric",
        "budget": "budget",
        "compared on": "compared_on",
        "agreement by": "agreement_by",
        "preferred": "prefer",
    }
    return [
        (label, _plain(old.get(key)), _plain(new.get(key)), "")
        for label, key in named.items()
        if old.get(key) != new.get(key)
    ]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return "none" if value is None else str(value)


def _chosen(report: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(
        one for one in report["candidates"] if one["recipe"] == report["chosen"]
    )
    return found


def _measures(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> list[tuple[str, ...]]:
    metric = str(new["metric"] or old["metric"] or "metric")
    # Shares of other rows, or of another kind, are not to be subtracted from each other.
    alike = all(old.get(key) == new.get(key) for key in ("metric", "compared_on"))
    judged_alike = old.get("agreement_by") == new.get("agreement_by")
    start, now = old["original"], new["original"]
    rows = [
        ("chosen", before["recipe"], after["recipe"], ""),
        _ratio("original's size", start, now, "bytes", size),
        _ratio("size", before, after, "bytes", size),
        _ratio("gzip", before, after, "gzip_bytes", size),
        _difference(
            f"original's {metric}", old["original"], new["original"], "metric", alike=alike
        ),
        _difference(metric, before, after, "metric", alike=alike),
        _difference("drop", before, after, "drop", alike=alike),
        _difference("agreement", before, after, "agreement", alike=alike and judged_alike),
        _ratio("latency", before, after, "latency_ms", ms),
        _ratio("memory", before, after, "memory_bytes", size),
    ]
    return [row for row in rows if row[1] or row[2]]


def _ratio(
    label: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    key: str,
    show: Callable[[Any], str],
) -> tuple[str, ...]:
    one, other = before.get(key), after.get(key)
    change = ""
    if one and other is not None:
        ratio = other / one
        change = "same" if abs(ratio - 1) < _SAME else f"x {ratio:.3g}"
    return (label, show(one), show(other), change)


def _difference(
    label: str, before: Mapping[str, Any], after: Mapping[str, Any], key: str, *, alike: bool
) -> tuple[str, ...]:
    one, other = before.get(key), after.get(key)
    change = ""
    if alike and one is not None and other is not None:
        change = "same" if one == other else f"{other - one:+.4f}"
    return (label, number(one), number(other), change)


def _candidates(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before = {one["recipe"]: one for one in old["candidates"]}
    after = {one["recipe"]: one for one in new["candidates"]}
    both = [name for name in after if name in before]

    def turned(now: str, then: str) -> list[str]:
        return [it for it in both if (_state(before[it]), _state(after[it])) == (then, now)]

    return [
        _line("Only in new", [it for it in after if it not in before]),
        _line("Only in old", [it for it in before if it not in after]),
        *(
            _line(f"Now {now}, was {then}", turned(now, then))
            for now in _STATES
            for then in _STATES
            if now != then
        ),
    ]


_STATES = ("inside the budget", "outside the budget", "not judged", "failed")


def _state(candidate: Mapping[str, Any]) -> str:
    if candidate.get("error"):
        return "failed"
    inside = candidate.get("inside_budget")
    return "not judged" if inside is None else _STATES[0] if inside else _STATES[1]


def _line(label: str, names: list[str]) -> str:
    return f"{label}: {', '.join(names)}." if names else ""


def _table(rows: list[tuple[str, ...]], *, markdown: bool) -> str:
    if markdown:
        head, *body = [f"| {' | '.join(it.replace('|', '/') for it in row)} |" for row in rows]
        return "\n".join([head, "| --- | ---: | ---: | ---: |", *body])
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            it.ljust(width) if at == 0 else it.rjust(width)
            for at, (it, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
