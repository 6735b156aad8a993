"""A workflow's lines, as far as a rehearsal reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.errors import LocalError
from local.home import PROJECT
from local.workflow import evaluate, holds, lines

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = """
jobs:
  deploy:
    env:
      STACK: ${{ inputs.stack }}
      AUTH: ${{ vars.API_AUTH || 'iam' }}
      COUNT: 3
    steps:
      - uses: actions/checkout@v7
      - if: inputs.source != ''
        run: gate
      - id: smoke
        run: smoke "$STACK"
        env:
          STACK: own
  only-uses:
    steps:
      - uses: actions/checkout@v7
  called:
    uses: ./.github/workflows/other.yml
"""
VALUES = {"inputs.stack": "prod", "steps.smoke.outcome": "failure"}


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A workflow of three jobs."""
    path = tmp_path / "deploy.yml"
    path.write_text(WORKFLOW)
    return path


def test_lines_are_the_commands_in_order(workflow: Path) -> None:
    """Actions are left out; ids, commands and conditions stand as they are written."""
    found = [(line.id, line.run, line.condition) for line in lines(workflow, "deploy", VALUES)]
    assert found == [("", "gate", "inputs.source != ''"), ("smoke", 'smoke "$STACK"', "")]


def test_a_steps_environment_stands_over_its_jobs(workflow: Path) -> None:
    """Expressions are evaluated; numbers are text, as in every environment."""
    gate, smoke = lines(workflow, "deploy", VALUES)
    assert gate.env == {"STACK": "prod", "AUTH": "iam", "COUNT": "3"}
    assert smoke.env == {"STACK": "own", "AUTH": "iam", "COUNT": "3"}


@pytest.mark.parametrize("job", ["absent", "only-uses", "called"])
def test_a_job_that_runs_nothing_is_refused(workflow: Path, job: str) -> None:
    """A renamed job must not turn a rehearsal into one of nothing."""
    with pytest.raises(LocalError, match=rf"^deploy.yml has no job '{job}' that runs anything"):
        lines(workflow, job, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${{ inputs.stack }}", "prod"),
        ("a-${{inputs.stack}}-${{ inputs.stack }}", "a-prod-prod"),
        ("${{ vars.ABSENT }}", ""),
        ("${{ vars.ABSENT || 'iam' }}", "iam"),
        ("${{ inputs.stack || 'iam' }}", "prod"),
        ("${{ vars.A || vars.B || inputs.stack }}", "prod"),
    ],
)
def test_evaluate(text: str, expected: str) -> None:
    """The first term that is not empty; names that stand for nothing are empty."""
    assert evaluate(text, VALUES) == expected


@pytest.mark.parametrize("text", ["${{ hashFiles('x') }}", "${{ inputs.a == 'b' }}", "${{ !a }}"])
def test_an_expression_that_it_cannot_evaluate_is_refused(text: str) -> None:
    """Empty would be a guess, and the rehearsal would play another workflow."""
    with pytest.raises(LocalError, match=r"cannot evaluate .*; teach it in local/workflow.py$"):
        evaluate(text, VALUES)


@pytest.mark.parametrize(
    ("condition", "failed", "expected"),
    [
        ("", False, True),
        ("", True, False),
        ("success()", True, False),
        ("failure()", False, False),
        ("failure()", True, True),
        ("always()", True, True),
        ("!cancelled()", True, True),
        ("inputs.stack == 'prod'", False, True),
        ("inputs.stack != 'prod'", False, False),
        ("inputs.absent != ''", False, False),
        # A comparison alone does not make a step run after a failure.
        ("inputs.stack == 'prod'", True, False),
        ("failure() && steps.smoke.outcome == 'failure' && inputs.stack == 'prod'", True, True),
        ("failure() && steps.smoke.outcome == 'failure' && inputs.stack == 'dev'", True, False),
        ("${{ failure() && inputs.stack == 'prod' }}", True, True),
    ],
)
def test_holds(condition: str, failed: bool, expected: bool) -> None:  # noqa: FBT001
    """GitHub's rule: after a failure only what asks for it runs."""
    assert holds(condition, VALUES, failed=failed) is expected


@pytest.mark.parametrize(
    "condition",
    ["github.ref == 'a' || always()", "contains(a, 'b')", "inputs.stack == prod", "inputs.stack"],
)
def test_a_condition_that_it_cannot_decide_is_refused(condition: str) -> None:
    """The line names it, and where to teach it."""
    with pytest.raises(LocalError, match=r"cannot decide `if: .*`; teach it in local/workflow.py$"):
        holds(condition, VALUES, failed=False)


@pytest.mark.parametrize(
    ("name", "job"), [("deploy", "deploy"), ("preview", "preview"), ("release", "gate")]
)
def test_our_own_workflows_are_understood(name: str, job: str) -> None:
    """Every line that a rehearsal plays, and whether it runs, can be read."""
    found = lines(PROJECT / ".github" / "workflows" / f"{name}.yml", job, VALUES)
    assert all("-m release " in line.run for line in found)
    for line in found:
        holds(line.condition, VALUES, failed=True)
