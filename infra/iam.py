"""Policy documents. Each grants what its one holder calls, on the resources it calls it on."""

import json
from typing import Any

import pulumi


def assumed_by(service: str) -> str:
    """A trust policy for one AWS service."""
    return _document(
        [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]
    )


def function_policy(
    log_group_arn: pulumi.Input[str], endpoint_arn: pulumi.Input[str] | None, *, tracing: bool
) -> pulumi.Output[str]:
    """What the function may do: write its log group, trace if asked, and call its one endpoint."""

    def write(known: list[Any]) -> str:
        log_group, endpoint = known
        # The provider gives a log group's ARN without ":*", which is what its streams end in.
        statements: list[dict[str, Any]] = [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"{log_group.removesuffix(':*')}:*",
            },
        ]
        if tracing:
            statements.append(
                {
                    "Effect": "Allow",
                    "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                    "Sid": "AnyBecauseXrayHasNoResources",
                    "Resource": "*",
                }
            )
        if endpoint is not None:
            statements.append(
                {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": endpoint}
            )
        return _document(statements)

    return pulumi.Output.all(log_group_arn, endpoint_arn).apply(write)


def endpoint_policy(
    log_group_arn: pulumi.Input[str], repository_arn: pulumi.Input[str]
) -> pulumi.Output[str]:
    """What a SageMaker endpoint may do: pull its image and write its own log group."""

    def write(known: list[Any]) -> str:
        log_group, repository = known
        return _document(
            [
                {
                    "Effect": "Allow",
                    "Action": [
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:GetDownloadUrlForLayer",
                    ],
                    "Resource": repository,
                },
                {
                    "Effect": "Allow",
                    "Action": "ecr:GetAuthorizationToken",
                    "Sid": "AnyBecauseTokensAreTheCallers",
                    "Resource": "*",
                },
                {
                    "Effect": "Allow",
                    "Action": [
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:PutLogEvents",
                    ],
                    "Resource": f"{log_group.removesuffix(':*')}:*",
                },
            ]
        )

    return pulumi.Output.all(log_group_arn, repository_arn).apply(write)


def pull_policy(repository_arn: str, accounts: tuple[str, ...]) -> str:
    """A repository's policy: Lambda of its own account pulls, other accounts may copy.

    Lambda would add the first statement by itself when a function is made, to a policy that Pulumi
    then finds changed.
    """
    pull = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    # China's and the US government's regions are partitions of their own.
    _, partition, _, _, owner, _ = repository_arn.split(":", 5)
    functions = f"arn:{partition}:lambda:*:{owner}:function:*"
    statements: list[dict[str, Any]] = [
        {
            "Sid": "LambdaECRImageRetrievalPolicy",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": pull,
            "Condition": {"StringLike": {"aws:sourceArn": functions}},
        }
    ]
    if accounts:
        roots = [f"arn:{partition}:iam::{account}:root" for account in accounts]
        statements.append(
            {"Sid": "Promotion", "Effect": "Allow", "Principal": {"AWS": roots}, "Action": pull}
        )
    return _document(statements)


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)
