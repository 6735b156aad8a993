"""Who may assume which role: the trust policies."""

from typing import Any

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"


def deploying(
    provider_arn: str,
    *,
    subject: str,
    repository: str,
    repository_id: str,
    environment: str,
    tags_only: bool,
) -> dict[str, Any]:
    """Trust the jobs of one GitHub environment, and nothing else of the repository.

    Args:
        provider_arn: The account's GitHub identity provider.
        subject: The repository as GitHub's tokens name it.
        repository: owner/name, for the workflow's address.
        repository_id: Its number: a repository of the same name made later is another one.
        environment: The environment whose approval has been given.
        tags_only: Whether only deploy.yml as it is in a release tag may assume the role.
    """
    conditions: dict[str, dict[str, str]] = {
        "StringEquals": {
            f"{ISSUER}:aud": AUDIENCE,
            f"{ISSUER}:sub": f"{subject}:environment:{environment}",
            f"{ISSUER}:repository_id": repository_id,
        },
    }
    if tags_only:
        workflow = f"{repository}/.github/workflows/deploy.yml@refs/tags/v*"
        conditions["StringLike"] = {f"{ISSUER}:job_workflow_ref": workflow}
    return _trust(provider_arn, conditions)


def reading(provider_arn: str, *, subject: str, repository_id: str) -> dict[str, Any]:
    """Trust pull requests of the repository itself, its main branch, and its release tags.

    A fork's pull request gets no token that could be presented here.
    """
    conditions = {
        "StringEquals": {
            f"{ISSUER}:aud": AUDIENCE,
            f"{ISSUER}:repository_id": repository_id,
        },
        "StringLike": {
            f"{ISSUER}:sub": [
                f"{subject}:pull_request",
                f"{subject}:ref:refs/heads/main",
                f"{subject}:ref:refs/tags/v*",
            ],
        },
    }
    return _trust(provider_arn, conditions)


def _trust(provider_arn: str, conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": provider_arn},
                "Condition": conditions,
            },
        ],
    }
