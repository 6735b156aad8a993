"""Roles and their policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.local.aws.conftest import Account

ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/rolePolicy:RolePolicy"


def trust(service: str) -> str:
    """Who may take the role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def access(action: str) -> str:
    """What the role may do."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_role(account: Account) -> None:
    """Made, trusted by another service, removed."""
    made = account.make(ROLE, "runner", assumeRolePolicy=trust("lambda.amazonaws.com"))
    client = account.client("iam")
    assert client.get_role(RoleName=made.id)["Role"]["Arn"] == made.outputs["arn"]
    made.change(assumeRolePolicy=trust("sagemaker.amazonaws.com"), description="serves")
    found = client.get_role(RoleName=made.id)["Role"]
    assert found["AssumeRolePolicyDocument"] == json.loads(trust("sagemaker.amazonaws.com"))
    assert found["Description"] == "serves"
    assert made.diff(path="/other/")[1].replaces == ("path",)
    made.remove()


def test_role_with_leftovers_is_removed(account: Account) -> None:
    """A policy that an interrupted run put and never recorded does not hold the role back."""
    made = account.make(ROLE, "runner", assumeRolePolicy=trust("lambda.amazonaws.com"))
    client = account.client("iam")
    client.put_role_policy(RoleName=made.id, PolicyName="left", PolicyDocument=access("logs:*"))
    made.remove()


def test_role_policy(account: Account) -> None:
    """Put, put anew, removed from its role."""
    role = account.make(ROLE, "runner", assumeRolePolicy=trust("lambda.amazonaws.com"))
    made = account.make(POLICY, "logs", role=role.id, policy=access("logs:PutLogEvents"))
    assert made.id == f"{role.id}:{made.inputs['name']}"
    made.change(policy=access("xray:*"))
    client = account.client("iam")
    found = client.get_role_policy(RoleName=role.id, PolicyName=made.inputs["name"])
    assert found["PolicyDocument"] == json.loads(access("xray:*"))
    made.remove()
    assert client.list_role_policies(RoleName=role.id)["PolicyNames"] == []
    role.remove()


def test_a_creation_that_was_cut_off_is_taken_up_again(account: Account) -> None:
    """What is there under the recorded name is removed first; without `resume`, AWS refuses."""
    made = account.make(ROLE, "runner", assumeRolePolicy=trust("lambda.amazonaws.com"))
    with pytest.raises(ClientError, match="already exists"):
        made.kind.create(made.inputs, resume=False)
    id_, outputs = made.kind.create(made.inputs, resume=True)
    assert (id_, outputs["arn"]) == (made.id, made.outputs["arn"])
    made.remove()
