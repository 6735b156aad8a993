"""Reads a GitHub workflow as far as a rehearsal needs it: a job's `run:` lines as they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
TERM = re.compile(r"([\w.-]+)|'([^']*)'")
COMPARISON = re.compile(r"([\w.-]+) (==|!=) '([^']*)'")


@dataclass(frozen=True, slots=True)
class Line:
    """One `run:` step.

    Attributes:
        id: The step's id, or empty.
        run: The command.
        condition: The step's `if:`, or empty.
        env: Its own environment and its job's.
    """

    id: str
    run: str
    condition: str
    env: dict[str, str]


def lines(path: Path, job: str, values: Mapping[str, str]) -> list[Line]:
    """The `run:` steps of a job, in order.

    Args:
        path: The workflow.
        job: The job's key.
        values: What expressions such as inputs.stack stand for; names absent here are empty, as
            in GitHub's own evaluation.

    Raises:
        LocalError: There is no such job, or it runs nothing.
    """
    document = yaml.safe_load(path.read_text())
    described = document["jobs"].get(job)
    if not described or not any("run" in step for step in described.get("steps", [])):
        raise LocalError(f"{path.name} has no job {job!r} that runs anything; mend the rehearsal")
    found = []
    for step in described["steps"]:
        if "run" in step:
            env = {**described.get("env", {}), **step.get("env", {})}
            given = {key: evaluate(str(value), values) for key, value in env.items()}
            condition = str(step.get("if", ""))
            found.append(Line(str(step.get("id", "")), str(step["run"]), condition, given))
    return found


def evaluate(text: str, values: Mapping[str, str]) -> str:
    """Replace each `${{ a || 'b' }}` in a text by its value.

    Raises:
        LocalError: An expression is more than names and texts joined by `||`.
    """

    def value(match: re.Match[str]) -> str:
        terms = [TERM.fullmatch(term.strip()) for term in match[1].split("||")]
        found = [values.get(term[1], "") if term[1] else term[2] for term in terms if term]
        if len(found) < len(terms):
            raise LocalError(
                f"the rehearsal cannot evaluate `{match[0]}`; teach it in local/workflow.py"
            )
        return next(filter(None, found), "")

    return EXPRESSION.sub(value, text)


def holds(condition: str, values: Mapping[str, str], *, failed: bool) -> bool:
    """Whether a step runs: GitHub's rule, for conditions joined by `&&`.

    Raises:
        LocalError: The condition says something that this cannot decide.
    """
    written = EXPRESSION.fullmatch(condition)
    terms = [term.strip() for term in (written[1] if written else condition).split("&&")]
    decided = [_holds(term, values, failed=failed) for term in terms if term]
    # A step that asks for no status runs only while nothing has failed.
    asks = any(term.endswith("()") for term in terms)
    return all(decided) and (asks or not failed)


def _holds(term: str, values: Mapping[str, str], *, failed: bool) -> bool:
    functions: dict[str, Any] = {
        "failure()": failed,
        "success()": not failed,
        "always()": True,
        "!cancelled()": True,
    }
    if term in functions:
        return bool(functions[term])
    found = COMPARISON.fullmatch(term)
    if found is None:
        raise LocalError(f"the rehearsal cannot decide `if: {term}`; teach it in local/workflow.py")
    return (values.get(found[1], "") == found[3]) is (found[2] == "==")
