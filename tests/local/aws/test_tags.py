"""Tags that a program changes later reach AWS, for every type that it tags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.aws.conftest import Account, Deployed

STATEMENT = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
TRUST = {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Action": "sts:AssumeRole"}]}
ALARM = {
    "comparisonOperator": "GreaterThanThreshold",
    "evaluationPeriods": 1,
    "metricName": "Errors",
    "namespace": "AWS/Lambda",
    "period": 60,
    "statistic": "Sum",
    "threshold": 1,
}
FUNCTION = {"packageType": "Image", "imageUri": "localhost:4566/app@sha256:" + "1" * 64}
# Per type: its inputs, and how AWS is asked for its tags.
KINDS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "aws:iam/role:Role": (
        {"assumeRolePolicy": json.dumps(TRUST)},
        *("iam", "list_role_tags", "RoleName"),
    ),
    "aws:cloudwatch/logGroup:LogGroup": ({}, "logs", "list_tags_for_resource", "resourceArn"),
    "aws:lambda/function:Function": (FUNCTION, "lambda", "list_tags", "Resource"),
    "aws:apigatewayv2/api:Api": (
        {"protocolType": "HTTP"},
        *("apigatewayv2", "get_tags", "ResourceArn"),
    ),
    "aws:sns/topic:Topic": ({}, "sns", "list_tags_for_resource", "ResourceArn"),
    "aws:ecr/repository:Repository": ({}, "ecr", "list_tags_for_resource", "resourceArn"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        ALARM,
        *("cloudwatch", "list_tags_for_resource", "ResourceARN"),
    ),
}


@pytest.fixture(params=KINDS, ids=lambda token: token.rpartition(":")[2])
def tagged(request: pytest.FixtureRequest, account: Account) -> Iterator[Deployed]:
    """A resource with two tags."""
    inputs = dict(KINDS[request.param][0])
    role = account.make("aws:iam/role:Role", "tags-role", assumeRolePolicy=json.dumps(TRUST))
    if "imageUri" in inputs:
        inputs["role"] = role.outputs["arn"]
    made = account.make(request.param, "tagged", **inputs, tags={"stage": "dev", "team": "a"})
    yield made
    made.remove()
    role.remove()


def found(account: Account, resource: Deployed) -> dict[str, str]:
    """The tags that AWS has."""
    _, service, method, key = KINDS[resource.kind.token]
    name = resource.id if key == "RoleName" else resource.outputs["arn"]
    answer = getattr(account.client(service), method)(**{key: name})
    tags = answer.get("Tags") or answer.get("tags") or {}
    if isinstance(tags, dict):
        return dict(tags)
    return {tag["Key"]: tag["Value"] for tag in tags}


def test_tags_are_changed_added_and_taken_away(account: Account, tagged: Deployed) -> None:
    """In place, and AWS has what the program says."""
    assert found(account, tagged) == {"stage": "dev", "team": "a"}
    tagged.change(tags={"stage": "prod", "cost": "1"})
    assert found(account, tagged) == {"stage": "prod", "cost": "1"}
    tagged.change(tags=None)
    assert found(account, tagged) == {}


def test_a_stages_tags(account: Account) -> None:
    """From its creation on, and as they change."""
    api = account.make("aws:apigatewayv2/api:Api", "api", protocolType="HTTP")
    stage = account.make(
        "aws:apigatewayv2/stage:Stage", "stage", apiId=api.id, name="$default", tags={"a": "1"}
    )
    client = account.client("apigatewayv2")
    assert client.get_tags(ResourceArn=stage.outputs["arn"])["Tags"] == {"a": "1"}
    stage.change(tags={"b": "2"})
    assert client.get_tags(ResourceArn=stage.outputs["arn"])["Tags"] == {"b": "2"}
    stage.remove()
    api.remove()


def test_a_models_tags(account: Account) -> None:
    """Nothing else of it can change in place, and this does not make it again."""
    made = account.make(
        "aws:sagemaker/model:Model",
        "model",
        executionRoleArn="arn:aws:iam::000000000000:role/r",
        primaryContainer={"image": "app:1"},
        tags={"a": "1", "b": "1"},
    )
    made.change(tags={"a": "2"})
    found = account.client("sagemaker").list_tags(ResourceArn=made.outputs["arn"])["Tags"]
    assert found == [{"Key": "a", "Value": "2"}]
    made.remove()


def test_tags_that_cannot_be_changed_are_refused(account: Account) -> None:
    """Rather than left as they were without a word."""
    inputs = {"budgetType": "COST", "timeUnit": "MONTHLY", "limitAmount": "1", "limitUnit": "USD"}
    made = account.make("aws:budgets/budget:Budget", "budget", **inputs)
    with pytest.raises(DeploymentError, match="cannot change the tags of a aws:budgets/budget"):
        made.change(tags={"a": "1"})
    made.remove()
