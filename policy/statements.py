"""Reads IAM policy documents: what they allow, how widely, and why."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HOLDERS = {
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/policy:Policy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:sns/topicPolicy:TopicPolicy",
}
"""Resources whose property `policy` is a policy document."""

_REASON = re.compile(r"Because[A-Z][A-Za-z0-9]{3,}")


def documents(resource_type: str, props: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the documents by which a resource grants something."""
    if resource_type in HOLDERS:
        yield parse(props.get("policy"))
    if resource_type == "aws:iam/role:Role":
        for inline in props.get("inlinePolicies") or ():
            yield parse(inline.get("policy"))


def parse(policy: object) -> Mapping[str, Any]:
    """Return a document that is JSON text, or already one; anything else allows nothing."""
    if isinstance(policy, str):
        policy = json.loads(policy)
    return policy if isinstance(policy, Mapping) else {}


def allowed(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements that allow; a single one may stand without a list."""
    statements = document.get("Statement") or ()
    if isinstance(statements, Mapping):
        statements = [statements]
    return [statement for statement in statements if statement.get("Effect") == "Allow"]


def wildcards(statement: Mapping[str, Any]) -> list[str]:
    """Return what a statement grants without naming it."""
    wide = [f"action {action!r}" for action in _listed(statement.get("Action")) if "*" in action]
    wide += [
        f"resource {resource!r}"
        for resource in _listed(statement.get("Resource"))
        # arn:partition:service:region:account:what
        if resource.split(":", 5)[-1] == "*"
    ]
    wide += [
        f"everything but its {key}" for key in ("NotAction", "NotResource") if statement.get(key)
    ]
    return wide


def anybody(statement: Mapping[str, Any]) -> bool:
    """Whether a statement names everybody as its principal, without any condition."""
    principal = statement.get("Principal")
    named = principal.values() if isinstance(principal, Mapping) else [principal]
    everybody = any("*" in _listed(value) for value in named)
    return everybody and not statement.get("Condition")


def reason(statement: Mapping[str, Any]) -> str:
    """Return the reason in a statement's Sid, which may hold letters and digits only."""
    found = _REASON.search(str(statement.get("Sid") or ""))
    return found[0] if found else ""


def _listed(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(one) for one in value]
    return [str(value)]
