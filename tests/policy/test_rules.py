"""Each rule passes what it must pass and reports what it must report.

Properties go through pulumi_policy's own proxy, and violations through its own policy objects.
"""

import json
from typing import Any

import pytest
from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy

from policy import rules

IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/thimble/dev/digits"
DIGEST = IMAGE + "@sha256:" + "a" * 64
OPTIONS = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=None,
    aliases=[],
    custom_timeouts=PolicyCustomTimeouts(0, 0, 0),
    additional_secret_outputs=[],
)


def urn(kind: str, stack: str = "prod") -> str:
    """An address as the engine writes it."""
    return f"urn:pulumi:{stack}::thimble::{kind}::one"


def named(name: str) -> Any:
    """The policy of that name, as the pack holds it."""
    return next(policy for policy in rules.POLICIES if policy.name == name)


def violations(rule: str, kind: str, props: dict[str, Any], stack: str = "prod") -> list[str]:
    """What a resource rule reports about one resource."""
    policy = named(rule)
    assert isinstance(policy, ResourceValidationPolicy)
    found: list[str] = []

    def report(message: str, _urn: str | None = None) -> None:
        found.append(message)

    proxied = unknown_checking_proxy(props)
    args = ResourceValidationArgs(kind, proxied, urn(kind, stack), "one", OPTIONS, None)
    policy.validate(args, report)
    return found


def granting(**statement: Any) -> dict[str, Any]:
    """An inline policy of one allowing statement."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    return {"policy": json.dumps(document)}


INLINE = "aws:iam/rolePolicy:RolePolicy"
CHARGED = {"throttlingRateLimit": 50, "throttlingBurstLimit": 100}
KEPT = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/thimble-prod-digits:*"

PASSING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "an image by digest": (
        "image-by-digest",
        rules.FUNCTION,
        {"packageType": "Image", "imageUri": DIGEST},
    ),
    "a registry with a port": (
        "image-by-digest",
        rules.FUNCTION,
        {"packageType": "Image", "imageUri": "localhost:4566/thimble@sha256:" + "b" * 64},
    ),
    "a function without an image": ("image-by-digest", rules.FUNCTION, {"packageType": "Zip"}),
    "a model by digest": ("image-by-digest", rules.MODEL, {"primaryContainer": {"image": DIGEST}}),
    "a signed route": (
        "no-public-route",
        rules.ROUTE,
        {"routeKey": "$default", "authorizationType": "AWS_IAM"},
    ),
    "the open health route": (
        "no-public-route",
        rules.ROUTE,
        {"routeKey": "GET /ping", "authorizationType": "NONE"},
    ),
    "a browser's first question": (
        "no-public-route",
        rules.ROUTE,
        {"routeKey": "OPTIONS /{proxy+}", "authorizationType": "NONE"},
    ),
    "a repository that says how": (
        "encrypted",
        rules.REPOSITORY,
        {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
    ),
    "an endpoint that captures nothing": ("encrypted", rules.ENDPOINT_CONFIGURATION, {}),
    "an endpoint that captures encrypted": (
        "encrypted",
        rules.ENDPOINT_CONFIGURATION,
        {"dataCaptureConfig": {"enableCapture": True, "kmsKeyId": "key"}},
    ),
    "logs that end": ("logs-end", rules.LOG_GROUP, {"retentionInDays": 30}),
    "named actions on a named resource": (
        "least-privilege",
        INLINE,
        granting(Action=["logs:PutLogEvents"], Resource=KEPT),
    ),
    "a wildcard with its reason": (
        "least-privilege",
        INLINE,
        granting(Sid="AnyBecauseXrayHasNoResources", Action="xray:PutTraceSegments", Resource="*"),
    ),
    "a wildcard that is denied": (
        "least-privilege",
        INLINE,
        {"policy": json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})},
    ),
    "a role that one service assumes": (
        "least-privilege",
        rules.ROLE,
        {"assumeRolePolicy": granting(Principal={"Service": "lambda.amazonaws.com"})["policy"]},
    ),
    "a narrow managed policy": (
        "least-privilege",
        rules.ATTACHMENT,
        {"policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"},
    ),
    "both throttles": ("throttled", rules.STAGE, {"defaultRouteSettings": CHARGED}),
    "no route settings at all": ("throttled", rules.STAGE, {}),
}

FAILING: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "an image by tag": (
        "image-by-digest",
        rules.FUNCTION,
        {"packageType": "Image", "imageUri": IMAGE + ":v1"},
        "expected REPOSITORY@sha256:",
    ),
    "an image by tag and digest, which Lambda refuses": (
        "image-by-digest",
        rules.FUNCTION,
        {"packageType": "Image", "imageUri": IMAGE + ":v1@sha256:" + "a" * 64},
        "without a tag",
    ),
    "a model by tag": (
        "image-by-digest",
        rules.MODEL,
        {"primaryContainer": {"image": IMAGE + ":latest"}},
        "latest",
    ),
    "an open route": (
        "no-public-route",
        rules.ROUTE,
        {"routeKey": "$default", "authorizationType": "NONE"},
        "'$default' has authorization NONE",
    ),
    "a route that says nothing": (
        "no-public-route",
        rules.ROUTE,
        {"routeKey": "POST /x"},
        "authorization NONE",
    ),
    "an open route beside the first question": (
        "no-public-route",
        rules.ROUTE,
        {"routeKey": "ANY /{proxy+}", "authorizationType": "NONE"},
        "'ANY /{proxy+}' has authorization NONE",
    ),
    "a repository that does not say how": ("encrypted", rules.REPOSITORY, {}, "cannot be changed"),
    "requests captured in clear": (
        "encrypted",
        rules.ENDPOINT_CONFIGURATION,
        {"dataCaptureConfig": {"enableCapture": True}},
        "captured unencrypted",
    ),
    "logs without end": ("logs-end", rules.LOG_GROUP, {}, "retention_in_days is None"),
    "logs of zero days, which is for ever": (
        "logs-end",
        rules.LOG_GROUP,
        {"retentionInDays": 0},
        "retention_in_days is 0",
    ),
    "a wildcard action": (
        "least-privilege",
        INLINE,
        granting(Action=["s3:Get*"], Resource=KEPT),
        "action 's3:Get*'",
    ),
    "a wildcard resource": (
        "least-privilege",
        INLINE,
        granting(Action="s3:GetObject", Resource="*"),
        "resource '*'",
    ),
    "a wildcard in a bucket's clothes": (
        "least-privilege",
        INLINE,
        granting(Action="s3:GetObject", Resource=["arn:aws:s3:::*"]),
        "arn:aws:s3:::*",
    ),
    "everything but": (
        "least-privilege",
        INLINE,
        granting(NotAction="iam:*", Resource=KEPT),
        "everything but its NotAction",
    ),
    "a reason that gives none": (
        "least-privilege",
        INLINE,
        granting(Sid="Because", Action="*", Resource="*"),
        "say why not in its Sid",
    ),
    "a wildcard inside a role": (
        "least-privilege",
        rules.ROLE,
        {"inlinePolicies": [granting(Action="*", Resource="*")], "assumeRolePolicy": "{}"},
        "action '*'",
    ),
    "a role for everybody": (
        "least-privilege",
        rules.ROLE,
        {"assumeRolePolicy": granting(Principal={"AWS": "*"})["policy"]},
        "trusts everybody",
    ),
    "an administrator": (
        "least-privilege",
        rules.ATTACHMENT,
        {"policyArn": "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"},
        "more than one stack needs",
    ),
    "one throttle of two": (
        "throttled",
        rules.STAGE,
        {"defaultRouteSettings": {"throttlingRateLimit": 50}},
        "throttlingBurstLimit is None",
    ),
    "metrics without throttles": (
        "throttled",
        rules.STAGE,
        {"defaultRouteSettings": {"detailedMetricsEnabled": True}},
        "throttlingRateLimit is None",
    ),
    "a throttle of nothing": (
        "throttled",
        rules.STAGE,
        {"routeSettings": [{"routeKey": "GET /ping", **CHARGED, "throttlingRateLimit": 0}]},
        "throttlingRateLimit is 0",
    ),
}


@pytest.mark.parametrize("case", PASSING)
def test_a_rule_lets_pass(case: str) -> None:
    """What is right is not reported."""
    rule, kind, props = PASSING[case]

    assert [] == violations(rule, kind, props)


@pytest.mark.parametrize("case", FAILING)
def test_a_rule_reports(case: str) -> None:
    """What is wrong is reported with the value seen."""
    rule, kind, props, said = FAILING[case]

    assert any(said in message for message in violations(rule, kind, props))


def test_every_resource_rule_has_both_fixtures() -> None:
    """No rule is added without a case that passes and one that fails."""
    names = {p.name for p in rules.POLICIES if isinstance(p, ResourceValidationPolicy)}

    assert names == {rule for rule, *_ in PASSING.values()}
    assert names == {rule for rule, *_ in FAILING.values()}


def test_a_local_stack_may_be_open() -> None:
    """On this machine nobody else can call."""
    props = {"routeKey": "$default", "authorizationType": "NONE"}

    assert [] == violations("no-public-route", rules.ROUTE, props, stack="local")


def test_a_stack_named_almost_local_may_not() -> None:
    """Only the stack called local is on this machine."""
    props = {"routeKey": "$default", "authorizationType": "NONE"}

    assert 1 == len(violations("no-public-route", rules.ROUTE, props, stack="local-2"))


def test_an_unknown_value_is_neither_right_nor_wrong() -> None:
    """In a preview the rule says that it cannot say; pulumi_policy turns that into a remark."""
    props = {"packageType": "Image", "imageUri": UNKNOWN_STRING_VALUE}

    with pytest.raises(UnknownValueError):
        violations("image-by-digest", rules.FUNCTION, props)


def resource(kind: str, props: dict[str, Any]) -> PolicyResource:
    """One resource of a stack."""
    proxied = unknown_checking_proxy(props)
    return PolicyResource(kind, proxied, urn(kind), "one", OPTIONS, None, None, [], {})


def stack_violations(*resources: PolicyResource) -> list[tuple[str, str | None]]:
    """What the stack rule reports, and about which resource."""
    policy = named("warm-or-weighted")
    assert isinstance(policy, StackValidationPolicy)
    found: list[tuple[str, str | None]] = []

    def report(message: str, about: str | None = None) -> None:
        found.append((message, about))

    policy.validate(StackValidationArgs(list(resources)), report)
    return found


WARM = {"functionName": "digits", "qualifier": "live", "provisionedConcurrentExecutions": 1}
SPLIT = {"routingConfig": {"additionalVersionWeights": {"7": 0.1}}}


def test_weights_on_a_warm_alias_are_reported() -> None:
    """AWS refuses the pair; the rule says so before the deployment is half done."""
    arn = "arn:aws:lambda:eu-west-1:111122223333:function:digits"
    alias = resource(rules.ALIAS, {"functionName": arn, "name": "live", **SPLIT})

    ((message, where),) = stack_violations(alias, resource(rules.PROVISIONED, WARM))

    assert "'live' of digits has weights and provisioned concurrency" in message
    assert urn(rules.ALIAS) == where


@pytest.mark.parametrize(
    "alias",
    [
        {"functionName": "digits", "name": "live"},
        {"functionName": "digits", "name": "other", **SPLIT},
        {"functionName": "letters", "name": "live", **SPLIT},
    ],
    ids=["no weights", "another alias", "another function"],
)
def test_warm_and_weighted_apart_pass(alias: dict[str, Any]) -> None:
    """Either alone is fine."""
    pair = (resource(rules.ALIAS, alias), resource(rules.PROVISIONED, WARM))

    assert [] == stack_violations(*pair)
