"""The pack and the program agree: what `__main__.py` registers breaks no rule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import ResourceValidationPolicy

from policy.rules import POLICIES
from tests.infra.conftest import Deploy, deploy, project, whole_program
from tests.policy.test_rules import violations

__all__ = ["deploy", "project", "whole_program"]

RESOURCE_RULES = [p.name for p in POLICIES if isinstance(p, ResourceValidationPolicy)]
ACCOUNT = {"aws:allowedAccountIds": ["111111111111"]}
VARIANTS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "sagemaker": {
        "thimble:backend": "sagemaker",
        "thimble:endpoint": {"kind": "instances"},
    },
    "web pages with tokens": {
        "thimble:api": {
            "auth": "jwt",
            "jwtIssuer": "https://issuer.example",
            "jwtAudiences": ["thimble"],
            "corsOrigins": ["https://app.example"],
        },
    },
    "warm, shared and watched": {
        "thimble:function": {"provisionedConcurrency": 1},
        "thimble:image": {"sharedWith": ["222222222222"]},
        "thimble:watch": {"email": "ops@example.com"},
    },
}


@pytest.fixture(params=VARIANTS)
def registered(
    request: pytest.FixtureRequest,
    project: Path,
    deploy: Deploy,
    whole_program: Callable[[], None],
) -> list[tuple[str, dict[str, Any]]]:
    """Type and inputs of all that the program registers in stack dev."""
    assert project.is_dir()
    made = deploy(whole_program, config=ACCOUNT | VARIANTS[request.param])
    inputs = {(kind, name): given for (kind, name), given in made.cloud.resources.items()}
    return [
        (asked.type, inputs[asked.type.rpartition(":")[2], asked.name])
        for asked in made.registrations
        if (asked.type.rpartition(":")[2], asked.name) in inputs
    ]


@pytest.mark.parametrize("rule", RESOURCE_RULES)
def test_the_program_breaks_no_rule(
    rule: str, registered: list[tuple[str, dict[str, Any]]]
) -> None:
    """A stack that cannot be deployed under its own rules would be no example."""
    assert len(registered) > 10
    assert [] == [said for kind, given in registered for said in violations(rule, kind, given)]
