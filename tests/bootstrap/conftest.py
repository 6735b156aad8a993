"""Runs the bootstrap program against Pulumi's mocks and keeps what it registers."""

import asyncio
import functools
import json
import runpy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi_aws as aws
import pytest
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.settings import SETTINGS as RUNTIME
from pulumi.runtime.stack import run_pulumi_func

from tests.event_loop import event_loop

with warnings.catch_warnings():
    # Loading a module, which happens on first use, warns of resources that nobody here uses.
    warnings.simplefilter("ignore", DeprecationWarning)
    for _module in (aws.iam, aws.kms, aws.s3):
        dir(_module)
    aws.s3.Bucket, aws.iam.Role, aws.kms.Key  # noqa: B018

PROGRAM = Path(__file__).parents[2] / "bootstrap" / "__main__.py"
SETTINGS = {
    "subject": "repo:acme@12/thimble@34",
    "repository": "acme/thimble",
    "repositoryId": "34",
    "stacks": '["dev", "staging", "prod"]',
}


@dataclass
class Account(mocks.Mocks):
    """An AWS account that accepts everything."""

    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Remember it, with an ARN."""
        self.resources[args.typ, args.name] = args.inputs
        made = {"arn": f"arn:aws:made:::{args.name}", "keyId": args.name, "bucket": args.name}
        return f"{args.name}-id", made | args.inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Answer the two questions the program asks."""
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "111122223333"},
            "aws:index/getRegion:getRegion": {"region": "eu-central-1"},
        }
        return answers[args.token], []

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Every resource of a type, by its name."""
        return {name: inputs for (typ, name), inputs in self.resources.items() if typ == kind}

    def trust(self, role: str) -> dict[str, Any]:
        """A role's trust policy: its one statement."""
        document = json.loads(self.of("aws:iam/role:Role")[role]["assumeRolePolicy"])
        (statement,) = document["Statement"]
        assert isinstance(statement, dict)
        return statement

    def grants(self, *policies: str) -> list[dict[str, Any]]:
        """The statements of some policies."""
        held = self.of("aws:iam/policy:Policy")
        return [s for name in policies for s in json.loads(held[name]["policy"])["Statement"]]


class Monitor(mocks.MockMonitor):
    """The SDK's monitor, closing the event loops it opens in threads."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        """Register a resource."""
        with event_loop():
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        """Answer a question."""
        with event_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


Bootstrap = Callable[..., Account]


@pytest.fixture(scope="session")
def bootstrap() -> Bootstrap:
    """Run the program with these settings over the usual ones, once for each; accounts are read."""

    @functools.cache
    def run(**settings: str) -> Account:
        account = Account()
        values = {f"thimble-bootstrap:{key}": value for key, value in (SETTINGS | settings).items()}

        def program() -> None:
            runpy.run_path(str(PROGRAM))

        async def whole() -> None:
            mocks.set_mocks(
                account, project="thimble-bootstrap", stack="main", monitor=Monitor(account)
            )
            # A run that failed leaves work behind, in an event loop that is gone.
            RUNTIME.rpc_manager.clear()
            RUNTIME.outputs.clear()
            set_all_config(values)
            await run_pulumi_func(program)

        asyncio.run(asyncio.wait_for(whole(), 60))
        return account

    return run
