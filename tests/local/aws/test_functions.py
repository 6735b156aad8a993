"""Functions, what points at them, and their log groups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.aws.conftest import Account, Deployed

FUNCTION = "aws:lambda/function:Function"
ALIAS = "aws:lambda/alias:Alias"
PERMISSION = "aws:lambda/permission:Permission"
PROVISIONED = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ROLE = "aws:iam/role:Role"
STATEMENT = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
TRUST = {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Action": "sts:AssumeRole"}]}
IMAGE = "localhost:4566/app@sha256:" + "1" * 64


@pytest.fixture
def function(account: Account) -> Iterator[Deployed]:
    """A published function of an image, removed with its role after the test."""
    role = account.make(ROLE, "runner", assumeRolePolicy=json.dumps(TRUST))
    made = account.make(
        FUNCTION,
        "predict",
        packageType="Image",
        imageUri=IMAGE,
        role=role.outputs["arn"],
        architectures=["x86_64"],
        memorySize=512,
        timeout=10,
        publish=True,
        environment={"variables": {"modelDir": "/opt/model"}},
        imageConfig={"commands": ["handler.app.handler"]},
        tracingConfig={"mode": "Active"},
        loggingConfig={"logFormat": "JSON", "logGroup": "/aws/lambda/predict"},
    )
    yield made
    made.remove()
    role.remove()


def configuration(account: Account, function: Deployed, qualifier: str = "$LATEST") -> Any:
    """What Lambda holds."""
    client = account.client("lambda")
    return client.get_function(FunctionName=function.id, Qualifier=qualifier)["Configuration"]


def test_log_group(account: Account) -> None:
    """Made with a retention, changed, removed; one whose name it begins with is another's."""
    other = account.make(LOG_GROUP, "other", name="/aws/lambda/predict-2")
    made = account.make(LOG_GROUP, "logs", name="/aws/lambda/predict", retentionInDays=14)
    assert not str(made.outputs["arn"]).endswith(":*")
    made.change(retentionInDays=30)
    client = account.client("logs")
    groups = client.describe_log_groups(logGroupNamePrefix="/aws/lambda/predict")["logGroups"]
    assert made.drift() == set()
    retention = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    assert retention == {"/aws/lambda/predict": 30, "/aws/lambda/predict-2": None}
    made.change(retentionInDays=None)
    assert made.found == {"name": made.id, "retentionInDays": None}
    made.remove()
    assert other.found is not None
    other.remove()


def test_function_is_made_as_asked(account: Account, function: Deployed) -> None:
    """Camel case becomes AWS's; the names of variables stay as they are."""
    found = configuration(account, function)
    assert (found["MemorySize"], found["Timeout"]) == (512, 10)
    assert found["Environment"] == {"Variables": {"modelDir": "/opt/model"}}
    assert found["TracingConfig"]["Mode"] == "Active"
    assert found["ImageConfigResponse"]["ImageConfig"] == {"Command": ["handler.app.handler"]}
    assert found["LoggingConfig"]["LogGroup"] == "/aws/lambda/predict"


def test_function_is_published(function: Deployed) -> None:
    """Its outputs name the first version, and the function without one."""
    outputs = function.outputs
    assert (outputs["version"], outputs["qualifiedArn"]) == ("1", f"{outputs['arn']}:1")
    assert outputs["qualifiedInvokeArn"].endswith(f"functions/{outputs['arn']}:1/invocations")


def test_new_configuration_is_a_new_version(account: Account, function: Deployed) -> None:
    """The old version keeps what it had, for whoever rolls back."""
    function.change(memorySize=1024)
    assert function.outputs["version"] == "2"
    assert configuration(account, function, "1")["MemorySize"] == 512
    assert configuration(account, function, "2")["MemorySize"] == 1024


def test_new_image_is_a_new_version(account: Account, function: Deployed) -> None:
    """Code too is in the version."""
    other = IMAGE.replace("1" * 64, "2" * 64)
    function.change(imageUri=other)
    assert function.outputs["version"] == "2"
    client = account.client("lambda")
    assert client.get_function(FunctionName=function.id)["Code"]["ImageUri"] == other


def test_concurrency_is_no_new_version(account: Account, function: Deployed) -> None:
    """A reservation belongs to the function, not to what is published."""
    function.change(reservedConcurrentExecutions=5)
    assert function.outputs["version"] == "1"
    client = account.client("lambda")
    found = client.get_function_concurrency(FunctionName=function.id)
    assert found["ReservedConcurrentExecutions"] == 5


def test_version_is_unknown_in_a_preview(function: Deployed) -> None:
    """An update publishes: what hangs on the version must not take the old one for certain."""
    news, diff = function.diff(memorySize=1024)
    foreseen = function.kind.foresee(function.outputs, news, diff)
    assert foreseen["memorySize"] == 1024
    assert foreseen["arn"] == function.outputs["arn"]
    assert not {"version", "qualifiedArn", "qualifiedInvokeArn"} & set(foreseen)


def test_drift_is_seen(account: Account, function: Deployed) -> None:
    """What somebody changed by hand."""
    client = account.client("lambda")
    client.update_function_configuration(FunctionName=function.id, Timeout=7)
    assert function.drift() == {"timeout"}


def test_package_type_replaces(function: Deployed) -> None:
    """With the same name: the old function goes first."""
    _, diff = function.diff(packageType="Zip")
    assert (diff.replaces, diff.delete_first) == (("packageType",), True)


def test_alias(account: Account, function: Deployed) -> None:
    """Points at a version, takes weights for a canary, loses them, goes."""
    made = account.make(
        ALIAS, "live", name="live", functionName=function.outputs["arn"], functionVersion="1"
    )
    assert made.id == f"{function.id}:live"
    function.change(memorySize=1024)
    weights = {"additionalVersionWeights": {"2": 0.1}}
    made.change(routingConfig=weights)
    client = account.client("lambda")
    found = client.get_alias(FunctionName=function.id, Name="live")
    assert found["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.1}}
    made.change(functionVersion="2", routingConfig=None)
    found = client.get_alias(FunctionName=function.id, Name="live")
    assert found["FunctionVersion"] == "2"
    assert not found.get("RoutingConfig", {}).get("AdditionalVersionWeights")
    assert made.outputs["invokeArn"].endswith(f"{made.outputs['arn']}/invocations")
    made.remove()


def test_permission(account: Account, function: Deployed) -> None:
    """A statement in the policy of the alias; any change replaces it, the old one first."""
    alias = account.make(ALIAS, "live", name="live", functionName=function.id, functionVersion="1")
    made = account.make(
        PERMISSION,
        "gateway",
        action="lambda:InvokeFunction",
        function=function.id,
        qualifier="live",
        principal="apigateway.amazonaws.com",
        sourceArn="arn:aws:execute-api:us-east-1:000000000000:abc/*",
    )
    policy = account.client("lambda").get_policy(FunctionName=function.id, Qualifier="live")
    (statement,) = json.loads(policy["Policy"])["Statement"]
    assert (statement["Sid"], statement["Action"]) == (made.id, "lambda:InvokeFunction")
    news, diff = made.diff(principal="events.amazonaws.com")
    assert (diff.replaces, diff.delete_first) == (("principal",), True)
    assert news["statementId"] == made.id
    made.remove()
    alias.remove()


def test_provisioned_concurrency(account: Account, function: Deployed) -> None:
    """On an alias; changed in place, removed."""
    alias = account.make(ALIAS, "live", name="live", functionName=function.id, functionVersion="1")
    made = account.make(
        PROVISIONED,
        "warm",
        functionName=function.id,
        qualifier="live",
        provisionedConcurrentExecutions=1,
    )
    made.change(provisionedConcurrentExecutions=2)
    found = account.client("lambda").get_provisioned_concurrency_config(
        FunctionName=function.id, Qualifier="live"
    )
    assert found["RequestedProvisionedConcurrentExecutions"] == 2
    made.remove()
    alias.remove()
