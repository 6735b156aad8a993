"""The pull request's comment: committed snapshots, bounds and secrecy.

Write the snapshots anew with `UPDATE_SNAPSHOTS=1 make test`, then read their diff.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from release import comment, preview
from release.cost import Cost
from release.preview import Preview, Step

SNAPSHOTS = Path(__file__).parent / "snapshots"
GITHUB_LIMIT = 65_536


def urn(kind: str, name: str, stack: str = "dev") -> str:
    """An address as the engine writes it, below a component."""
    return f"urn:pulumi:{stack}::thimble::thimble:function:PredictionFunction${kind}::{name}"


def report(chosen: str = "dynamic_wi8_afp32", size: int = 52_000, metric: float = 0.975) -> Any:
    """A report.json with three candidates, one of which failed."""
    return {
        "schema": 1,
        "model": "digits",
        "metric": "accuracy",
        "budget": {"max_accuracy_drop": 0.01},
        "original": {"bytes": 620_000, "metric": 0.98, "latency_ms": 1.2},
        "candidates": [
            {
                "recipe": "float32",
                "bytes": 160_000,
                "gzip_bytes": 140_000,
                "metric": 0.98,
                "drop": 0.0,
                "agreement": 1.0,
                "latency_ms": 0.021,
                "inside_budget": True,
                "error": None,
            },
            {
                "recipe": chosen,
                "bytes": size,
                "gzip_bytes": 41_000,
                "metric": metric,
                "drop": 0.98 - metric,
                "agreement": 0.994,
                "latency_ms": 0.018,
                "inside_budget": True,
                "error": None,
            },
            {"recipe": "static_wi8_ai16", "error": "no kernel for op | 7"},
        ],
        "chosen": chosen,
    }


FUNCTION, ALIAS, LOGS = (
    urn("aws:lambda/function:Function", "digits"),
    urn("aws:lambda/alias:Alias", "live"),
    urn("aws:cloudwatch/logGroup:LogGroup", "logs"),
)


def first_deploy() -> str:
    """Nothing exists yet."""
    steps = tuple(Step(op="create", urn=one) for one in (LOGS, FUNCTION, ALIAS))
    watched = Cost(
        monthly={"1 dashboard": 3.0, "9 metrics, if asked every hour": 2.7},
        million={"API Gateway": 1.0, "Lambda, requests": 0.2},
        million_ms=0.023,
        core=1.0,
    )
    costs = {"dev": replace(watched, core=0.5), "staging": watched, "prod": watched}
    stages = [Preview(stack=stage, steps=steps, cost=cost) for stage, cost in costs.items()]
    return comment.compose(stages, report())


def no_change() -> str:
    """Neither model nor resources differ."""
    steps = tuple(Step(op="same", urn=one) for one in (LOGS, FUNCTION, ALIAS))
    stages = [Preview(stack=stage, steps=steps) for stage in ("dev", "prod")]
    return comment.compose(stages, report(), report())


def model_change() -> str:
    """Another recipe, so a new image and a new version."""
    steps = (
        Step(op="update", urn=FUNCTION, reasons=("imageUri",)),
        Step(op="update", urn=ALIAS, reasons=("functionVersion",)),
        Step(op="create-replacement", urn=LOGS, reasons=("name",)),
        Step(op="replace", urn=LOGS, reasons=("name",)),
        Step(op="delete-replaced", urn=LOGS, reasons=("name",)),
        Step(op="delete", urn=urn("aws:cloudwatch/dashboard:Dashboard", "board")),
        Step(op="same", urn=urn("aws:ecr/repository:Repository", "images")),
    )
    return comment.compose(
        [Preview(stack="dev", steps=steps)],
        report(),
        report(chosen="float16", size=81_000, metric=0.979),
        "https://github.example/runs/1",
    )


def failed_preview() -> str:
    """One stage fails with a message that holds credentials; the model did not convert."""
    failed = preview.from_output(
        "staging",
        code=1,
        stdout="",
        stderr="error: ```AccessDenied``` for AKIAIOSFODNN7EXAMPLE, password: hunter22 @team",
    )
    return comment.compose([Preview(stack="dev"), failed], None)


def five_hundred() -> str:
    """Three stages of 500 resources each."""
    reasons = ("environment", "imageUri", "memorySize")
    stages = [
        Preview(
            stack=stage,
            steps=tuple(
                Step(
                    op="update",
                    urn=urn("aws:lambda/function:Function", f"resource-{n:03}-" + "x" * 40, stage),
                    reasons=reasons,
                )
                for n in range(500)
            ),
        )
        for stage in ("dev", "staging", "prod")
    ]
    return comment.compose(stages, report(), None, "https://github.example/runs/1")


CASES = {
    "first-deploy": first_deploy,
    "no-change": no_change,
    "model-change": model_change,
    "failed-preview": failed_preview,
    "five-hundred": five_hundred,
}


@pytest.mark.parametrize("case", CASES)
def test_the_comment_is_the_committed_one(case: str) -> None:
    """What reviewers see changes only together with its snapshot."""
    path = SNAPSHOTS / f"{case}.md"
    body = CASES[case]()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(body, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == body


@pytest.mark.parametrize("case", CASES)
def test_the_comment_stays_well_under_githubs_limit(case: str) -> None:
    """GitHub refuses a longer comment, and then nobody sees anything."""
    assert len(CASES[case]().encode()) <= comment.LIMIT
    assert GITHUB_LIMIT > comment.LIMIT


def test_every_stage_is_shown_however_large_the_first_is() -> None:
    """A share is kept for each stage, and what is left out is counted."""
    body = five_hundred()

    assert 3 == body.count("500 to update")
    assert 3 == body.count("more, all in the log of this run")


def test_the_model_comes_before_the_resources() -> None:
    """A reviewer of a model reads the model first."""
    body = model_change()

    assert body.index("### Model") < body.index("### Resources")


def test_a_failed_preview_shows_no_secret_and_escapes_its_block_nowhere() -> None:
    """Keys are hidden, and backticks in the message cannot end the block of code."""
    body = failed_preview()

    assert "AKIA" not in body
    assert "hunter22" not in body
    assert "````text\n" in body


def test_what_a_stage_warns_of_is_shown() -> None:
    """Above its resources, the first two."""
    stage = Preview(stack="dev", warnings=("a tag", "another", "a third"))

    body = comment.compose([stage], None)

    assert "**dev**: no changes\n\nWarning:\n```text\na tag\n```\n" in body
    assert ("another" in body, "a third" in body) == (True, False)


def test_the_worst_names_still_fit() -> None:
    """Even if each name is as long as the engine allows, the bound holds."""
    steps = tuple(Step(op="create", urn=urn("t", "é" * 5_000 + str(n))) for n in range(50))
    stages = [
        Preview(stack=stage, steps=steps, error="x" * 4_000, warnings=("é" * 500,) * 5)
        for stage in ("a", "b", "c")
    ]

    assert len(comment.compose(stages, report()).encode()) <= comment.LIMIT


def test_a_model_without_held_out_data_is_said_to_agree() -> None:
    """Without a metric the reviewer reads of agreement and on what, and never of accuracy."""
    agreed = report() | {"metric": None, "compared_on": {"data": "synthetic", "rows": 64}}
    for one in agreed["candidates"]:
        one["metric"] = one["drop"] = None
    body = comment.compose([], agreed)

    assert "agreement 0.9940 with the original on 64 synthetic rows" in body
    assert "None" not in body
    assert "accuracy" not in body
