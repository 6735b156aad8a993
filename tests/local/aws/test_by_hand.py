"""What somebody deleted or changed by hand, and how a refresh and the next `up` mend it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.engine import Deployment
from local.errors import DeploymentError
from local.state import State
from tests.local.conftest import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.values import Properties
    from tests.local.aws.conftest import Account

ROLE = "aws:iam/role:Role"
FUNCTION = "aws:lambda/function:Function"
ALIAS = "aws:lambda/alias:Alias"
IMAGE = "localhost:4566/app@sha256:" + "1" * 64
STATEMENT = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
TRUST = {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Action": "sts:AssumeRole"}]}


@dataclass(frozen=True, slots=True)
class Stack:
    """A function of an image and the alias that everybody calls, deployed by the engine."""

    path: Path
    account: Account

    def begin(self, *, preview: bool = False) -> Deployment:
        """A run of its own, which reads the state anew."""
        return Deployment(
            state=State(self.path),
            providers=self.account.kinds,
            functions={},
            preview=preview,
            quiet=True,
        )

    def up(self, timeout: int = 10) -> list[tuple[str, str]]:
        """Deploy; what changed."""
        run = self.begin()

        def register(type_: str, **inputs: Any) -> Properties:
            return run.register(f"urn:pulumi:s::p::{type_}::it", type_, inputs, OPTIONS).outputs

        role = register(ROLE, name="by-hand", assumeRolePolicy=json.dumps(TRUST))
        function = register(
            FUNCTION,
            name="by-hand",
            packageType="Image",
            imageUri=IMAGE,
            role=role["arn"],
            timeout=timeout,
            publish=True,
        )
        register(ALIAS, name="live", functionName="by-hand", functionVersion=function["version"])
        return [(str(step.op), step.type) for step in run.plan.changes]

    def refresh(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Let the state say what is there; how it differed."""
        run = self.begin()
        for resource in list(run.state.resources.values()):
            run.refresh(resource)
        return [(str(step.op), step.type, step.reasons) for step in run.plan.changes]


@pytest.fixture
def stack(account: Account, tmp_path: Path) -> Iterator[Stack]:
    """The stack, deployed, and deleted after the test."""
    made = Stack(tmp_path / "state.json", account)
    made.up()
    yield made
    made.begin().delete_unseen()


def test_a_deleted_alias_stops_an_update_with_the_way_out(stack: Stack) -> None:
    """The line says what to run; nothing that was recorded is lost."""
    stack.account.client("lambda").delete_alias(FunctionName="by-hand", Name="live")
    with pytest.raises(
        DeploymentError, match=r"`python -m local refresh --apply`\), and `up` make"
    ):
        stack.up(timeout=11)
    assert len(State(stack.path).resources) == 3


def test_a_deleted_alias_is_made_again(stack: Stack) -> None:
    """After a refresh has let the state forget it."""
    client = stack.account.client("lambda")
    client.delete_alias(FunctionName="by-hand", Name="live")
    assert stack.refresh() == [("delete", ALIAS, ())]
    assert stack.up() == [("create", ALIAS)]
    assert client.get_alias(FunctionName="by-hand", Name="live")["FunctionVersion"] == "1"


def test_what_goes_with_a_deleted_function_is_made_again(stack: Stack) -> None:
    """The alias went with it; the role did not."""
    stack.account.client("lambda").delete_function(FunctionName="by-hand")
    assert stack.refresh() == [("delete", FUNCTION, ()), ("delete", ALIAS, ())]
    assert stack.up() == [("create", FUNCTION), ("create", ALIAS)]
    assert stack.refresh() == []


def test_a_changed_timeout_is_changed_back(stack: Stack) -> None:
    """What was changed by hand becomes what the program says again, as a new version."""
    client = stack.account.client("lambda")
    client.update_function_configuration(FunctionName="by-hand", Timeout=7)
    assert stack.refresh() == [("update", FUNCTION, ("timeout",))]
    assert stack.up() == [("update", FUNCTION), ("update", ALIAS)]
    found = client.get_function(FunctionName="by-hand", Qualifier="live")["Configuration"]
    assert (found["Timeout"], found["Version"]) == (10, "2")
    assert stack.refresh() == []


def test_what_is_gone_already_can_be_deleted(stack: Stack) -> None:
    """`down` after somebody was quicker."""
    client = stack.account.client("lambda")
    client.delete_function(FunctionName="by-hand")
    stack.begin().delete_unseen()
    assert State(stack.path).resources == {}
