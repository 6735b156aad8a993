"""IAM roles and their inline policies."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

from local.aws.resource import Resource, some, tags

if TYPE_CHECKING:
    from local.values import Properties


class Role(Resource):
    """aws.iam.Role."""

    token = "aws:iam/role:Role"  # noqa: S105 - a type token
    service = "iam"
    physical = "name"
    fixed = frozenset({"name", "path"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the role."""
        role = self.client.create_role(
            RoleName=news["name"],
            AssumeRolePolicyDocument=news["assumeRolePolicy"],
            Tags=tags(news),
            **some(
                Path=news.get("path"),
                Description=news.get("description"),
                PermissionsBoundary=news.get("permissionsBoundary"),
                MaxSessionDuration=news.get("maxSessionDuration"),
            ),
        )["Role"]
        return news["name"], {"arn": role["Arn"], "uniqueId": role["RoleId"]}

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change trust, description and session length."""
        del outputs
        self.client.update_assume_role_policy(RoleName=id_, PolicyDocument=news["assumeRolePolicy"])
        self.client.update_role(
            RoleName=id_,
            **some(
                Description=news.get("description"),
                MaxSessionDuration=news.get("maxSessionDuration"),
            ),
        )
        return {}

    def retag(self, outputs: Properties, wanted: dict[str, str], gone: list[str]) -> None:
        """IAM names a role, not an ARN."""
        name = outputs["name"]
        self.client.tag_role(RoleName=name, Tags=tags({"tags": wanted}))
        self.client.untag_role(RoleName=name, TagKeys=gone)

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read name and trust policy."""
        del outputs
        role = self.client.get_role(RoleName=id_)["Role"]
        return {"name": role["RoleName"], "assumeRolePolicy": _policy(role)}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the role; what an interrupted run attached goes first."""
        del outputs
        for name in self.client.list_role_policies(RoleName=id_)["PolicyNames"]:
            self.client.delete_role_policy(RoleName=id_, PolicyName=name)
        self.client.delete_role(RoleName=id_)


class RolePolicy(Resource):
    """aws.iam.RolePolicy; its id is `role:name`."""

    token = "aws:iam/rolePolicy:RolePolicy"  # noqa: S105
    service = "iam"
    physical = "name"
    fixed = frozenset({"name", "role"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the policy."""
        self.client.put_role_policy(
            RoleName=news["role"], PolicyName=news["name"], PolicyDocument=news["policy"]
        )
        return self.identify(news), {}

    def identify(self, news: Properties) -> str:
        """`role:name`."""
        return f"{news['role']}:{news['name']}"

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the policy."""
        del outputs
        role, _, name = id_.partition(":")
        found = self.client.get_role_policy(RoleName=role, PolicyName=name)
        return {"role": role, "name": name, "policy": _text(found["PolicyDocument"])}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the policy."""
        del outputs
        role, _, name = id_.partition(":")
        self.client.delete_role_policy(RoleName=role, PolicyName=name)


def _policy(role: dict[str, Any]) -> str:
    return _text(role["AssumeRolePolicyDocument"])


def _text(document: Any) -> str:  # noqa: ANN401 - boto3 decodes documents, or leaves them text
    if isinstance(document, str):
        return urllib.parse.unquote(document)
    return json.dumps(document)


TYPES = (Role, RolePolicy)
