"""What the roles may do: permission documents, scoped to one stack's names.

Every name the program gives starts with `thimble-STACK-` (infra/settings.py), or `thimble/STACK/`
in ECR; what AWS names itself, such as an API, cannot be scoped to a stack. Whoever may change the
program may give the function's role any right in its account: that is what a deploy role is.
Separate accounts and an environment's reviewers are what stands before production.
"""

from collections.abc import Sequence
from typing import Any

PROJECT = "thimble"

LAMBDA_READ = (
    "GetAlias GetFunction GetFunctionCodeSigningConfig GetFunctionConcurrency "
    "GetFunctionConfiguration GetFunctionRecursionConfig GetPolicy GetProvisionedConcurrencyConfig "
    "GetRuntimeManagementConfig ListTags ListVersionsByFunction"
)
LAMBDA_WRITE = (
    "AddPermission CreateAlias CreateFunction DeleteAlias DeleteFunction "
    "DeleteProvisionedConcurrencyConfig PublishVersion PutProvisionedConcurrencyConfig "
    "RemovePermission TagResource UntagResource UpdateAlias UpdateFunctionCode "
    "UpdateFunctionConfiguration"
)
ROLE_READ = (
    "GetRole GetRolePolicy ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies "
    "ListRoleTags"
)
ROLE_WRITE = (
    "CreateRole DeleteRole DeleteRolePolicy PutRolePolicy TagRole UntagRole "
    "UpdateAssumeRolePolicy UpdateRole"
)
ECR_READ = (
    "BatchCheckLayerAvailability BatchGetImage DescribeImages DescribeRepositories "
    "GetDownloadUrlForLayer GetLifecyclePolicy GetRepositoryPolicy ListTagsForResource"
)
# The repository's policy: Lambda lets itself in there when a function is made of an image.
ECR_WRITE = (
    "CompleteLayerUpload CreateRepository DeleteLifecyclePolicy DeleteRepository "
    "DeleteRepositoryPolicy InitiateLayerUpload PutImage PutImageScanningConfiguration "
    "PutImageTagMutability PutLifecyclePolicy SetRepositoryPolicy TagResource UntagResource "
    "UploadLayerPart"
)
LOGS_READ = "ListTagsForResource"
LOGS_WRITE = (
    "CreateLogGroup DeleteLogGroup DeleteRetentionPolicy PutRetentionPolicy TagResource "
    "UntagResource"
)
SNS_READ = (
    "GetSubscriptionAttributes GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource"
)
SNS_WRITE = (
    "CreateTopic DeleteTopic SetTopicAttributes Subscribe TagResource Unsubscribe UntagResource"
)
ALARM_READ = "GetDashboard ListTagsForResource"
ALARM_WRITE = "DeleteAlarms DeleteDashboards PutDashboard PutMetricAlarm TagResource UntagResource"
BUDGET_READ = "ListTagsForResource ViewBudget"
BUDGET_WRITE = "ModifyBudget TagResource UntagResource"
SAGEMAKER_READ = "DescribeEndpoint DescribeEndpointConfig DescribeModel ListTags"
SAGEMAKER_WRITE = (
    "AddTags CreateEndpoint CreateEndpointConfig CreateModel DeleteEndpoint DeleteEndpointConfig "
    "DeleteModel DeleteTags UpdateEndpoint UpdateEndpointWeightsAndCapacities"
)
# Delivering an API's access log knows no resources.
DELIVERY = (
    "CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies GetLogDelivery ListLogDeliveries "
    "PutResourcePolicy UpdateLogDelivery"
)
SCALING_READ = "DescribeScalableTargets DescribeScalingPolicies ListTagsForResource"
SCALING_WRITE = (
    "DeleteScalingPolicy DeregisterScalableTarget PutScalingPolicy RegisterScalableTarget "
    "TagResource UntagResource"
)


SERVICE_ROLES = (
    "lambda.application-autoscaling.amazonaws.com",
    "ops.apigateway.amazonaws.com",
    "sagemaker.application-autoscaling.amazonaws.com",
)


def reading(stacks: Sequence[str]) -> list[dict[str, Any]]:
    """What previews and drift checks of this account's stacks may do: look."""
    return [*_resources(stacks, write=False), *_unscoped(write=False)]


def deploying(stack: str, source: str | None) -> list[dict[str, Any]]:
    """What `pulumi up` of one stack may do.

    Args:
        stack: The stack.
        source: The stack whose image it takes over, in whatever account; None for one that builds.
    """
    statements = [
        *_resources([stack], write=True),
        *_unscoped(write=True),
        {
            **_allow("iam", "PassRole", [_role(stack)]),
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"],
                },
            },
        },
        # What AWS makes for itself the first time an account logs an API or scales anything.
        _allow(
            "iam",
            "CreateServiceLinkedRole",
            [f"arn:aws:iam::*:role/aws-service-role/{service}/*" for service in SERVICE_ROLES],
        ),
        # The smoke test asks for a prediction, as a caller does.
        _allow("execute-api", "Invoke", ["arn:aws:execute-api:*:*:*/*"]),
    ]
    if source:
        pull = "BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer"
        statements.append(_allow("ecr", pull, [_repository(source)]))
    return statements


def state(
    bucket: str,
    state_key: str,
    secrets_keys: Sequence[str],
    stack: str | None,
    source_key: str = "",
) -> list[dict[str, Any]]:
    """Read all of the project's state, for stacks read each other's outputs; write one stack's.

    Args:
        bucket: The state bucket's name.
        state_key: The ARN of its key.
        secrets_keys: ARNs of the keys that encrypt the secrets inside the state.
        stack: The stack that may be written; None to only read.
        source_key: The ARN of the key of the stack it promotes from: to read any output of a stack
            Pulumi first unwraps its secrets' key, and an update that may not do that fails.
    """
    arn = f"arn:aws:s3:::{bucket}"
    statements = [
        _allow("s3", "GetBucketLocation ListBucket", [arn]),
        _allow("s3", "GetObject", [f"{arn}/.pulumi/*"]),
    ]
    if stack is None:
        return [
            *statements,
            _allow("kms", "Decrypt", [state_key, *secrets_keys]),
        ]
    own = [
        f"{arn}/.pulumi/meta.yaml",
        f"{arn}/.pulumi/stacks/{PROJECT}/{stack}.json*",
        f"{arn}/.pulumi/history/{PROJECT}/{stack}/*",
        f"{arn}/.pulumi/backups/{PROJECT}/{stack}/*",
        f"{arn}/.pulumi/locks/organization/{PROJECT}/{stack}/*",
    ]
    return [
        *statements,
        _allow("s3", "DeleteObject PutObject", own),
        _allow("kms", "Decrypt GenerateDataKey", [state_key]),
        _allow("kms", "Decrypt Encrypt", secrets_keys),
        *([_allow("kms", "Decrypt", [source_key])] if source_key else []),
    ]


def document(statements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _resources(stacks: Sequence[str], *, write: bool) -> list[dict[str, Any]]:
    """Statements about everything that carries a stack's name."""

    def both(read: str, more: str) -> str:
        return f"{read} {more}" if write else read

    names = [f"{PROJECT}-{stack}-*" for stack in stacks]
    methods = "DELETE GET PATCH POST PUT TagResource UntagResource" if write else "GET"
    groups = [
        f"arn:aws:logs:*:*:log-group:{prefix}{name}"
        for name in names
        for prefix in ("/aws/lambda/", "/aws/vendedlogs/", "/aws/sagemaker/Endpoints/")
    ]
    return [
        _allow(
            "lambda",
            both(LAMBDA_READ, LAMBDA_WRITE),
            [f"arn:aws:lambda:*:*:function:{name}" for name in names],
        ),
        _allow("iam", both(ROLE_READ, ROLE_WRITE), [_role(stack) for stack in stacks]),
        _allow("ecr", both(ECR_READ, ECR_WRITE), [_repository(stack) for stack in stacks]),
        _allow("logs", both(LOGS_READ, LOGS_WRITE), groups),
        _allow("sns", both(SNS_READ, SNS_WRITE), [f"arn:aws:sns:*:*:{name}" for name in names]),
        _allow(
            "cloudwatch",
            both(ALARM_READ, ALARM_WRITE),
            [
                f"arn:aws:cloudwatch:*:*:{what}{name}"
                for name in names
                # Target tracking makes its alarms with the rights of whoever registers it.
                for what in ("alarm:", "alarm:TargetTracking-endpoint/", "dashboard/")
            ],
        ),
        _allow(
            "budgets",
            both(BUDGET_READ, BUDGET_WRITE),
            [f"arn:aws:budgets::*:budget/{name}" for name in names],
        ),
        # API Gateway chooses an API's id.
        _allow(
            "apigateway",
            methods,
            [f"arn:aws:apigateway:*::{path}" for path in ("/apis", "/apis/*", "/tags/*")],
        ),
        # Pulumi names configurations and models itself, after the program's `endpoint`.
        _allow(
            "sagemaker",
            both(SAGEMAKER_READ, SAGEMAKER_WRITE),
            [
                *(f"arn:aws:sagemaker:*:*:endpoint/{name}" for name in names),
                "arn:aws:sagemaker:*:*:endpoint-config/endpoint-*",
                "arn:aws:sagemaker:*:*:model/endpoint-*",
            ],
        ),
    ]


def _unscoped(*, write: bool) -> list[dict[str, Any]]:
    """Statements about what AWS cannot scope; each Sid says why."""
    scaling = f"{SCALING_READ} {SCALING_WRITE}" if write else SCALING_READ
    delivery = DELIVERY if write else "GetLogDelivery ListLogDeliveries"
    return [
        _any("RegistryTokenBecauseItIsForTheCaller", "ecr", "GetAuthorizationToken"),
        _any("LogGroupsBecauseListsAreNotScoped", "logs", "DescribeLogGroups"),
        _any("LogDeliveryBecauseItHasNoResources", "logs", delivery),
        _any("AlarmsBecauseListsAreNotScoped", "cloudwatch", "DescribeAlarms"),
        _any("ScalingBecauseTargetsHaveNoNames", "application-autoscaling", scaling),
    ]


def _allow(service: str, actions: str, resources: Sequence[str]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": list(resources),
    }


def _any(sid: str, service: str, actions: str) -> dict[str, Any]:
    return {"Sid": sid, **_allow(service, actions, ["*"])}


def _role(stack: str) -> str:
    return f"arn:aws:iam::*:role/{PROJECT}-{stack}-*"


def _repository(stack: str) -> str:
    return f"arn:aws:ecr:*:*:repository/{PROJECT}/{stack}/*"
