"""The rules, one function each.

In a preview a property may be unknown, and reading it raises UnknownValueError. That is not caught
here: pulumi_policy turns it into a remark that this rule could not be applied yet, and applies it
again during the update, when everything is known. A rule that answered "fine" instead would say
more than it knows.
"""

import re

from pulumi_policy import (
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policy import statements

FUNCTION = "aws:lambda/function:Function"
MODEL = "aws:sagemaker/model:Model"
ROUTE = "aws:apigatewayv2/route:Route"
STAGE = "aws:apigatewayv2/stage:Stage"
REPOSITORY = "aws:ecr/repository:Repository"
ENDPOINT_CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ROLE = "aws:iam/role:Role"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
ALIAS = "aws:lambda/alias:Alias"
PROVISIONED = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"

HEALTH = "GET /ping"
# What a browser asks before it sends credentials; no answer to it holds a prediction.
PREFLIGHT = "OPTIONS /{proxy+}"
LOCAL = "local"
_DIGEST = re.compile(r"(?:[^@\s]+/)?[^@:/\s]+@sha256:[0-9a-f]{64}")
_TOO_WIDE = re.compile(r"/(?:\w*FullAccess|AdministratorAccess|PowerUserAccess)$")


def image_by_digest(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """A tag can be moved onto other bytes; what runs would then depend on when it was deployed."""
    if args.resource_type == FUNCTION and args.props.get("packageType") == "Image":
        images = [args.props.get("imageUri")]
    elif args.resource_type == MODEL:
        containers = [args.props.get("primaryContainer"), *(args.props.get("containers") or ())]
        images = [container.get("image") for container in containers if container]
    else:
        return
    for image in images:
        if not _DIGEST.fullmatch(str(image)):
            report(
                f"the image is {image!r}; expected REPOSITORY@sha256:… without a tag "
                "(ModelImage.uri has this form)",
                args.urn,
            )


def no_public_route(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Everybody may ask whether it lives; nobody may predict without credentials."""
    if args.resource_type != ROUTE or _stack(args.urn) == LOCAL:
        return
    key, authorization = args.props.get("routeKey"), args.props.get("authorizationType") or "NONE"
    if authorization == "NONE" and key not in {HEALTH, PREFLIGHT}:
        report(
            f"route {key!r} has authorization {authorization}; expected AWS_IAM, JWT or CUSTOM "
            f"(setting api.auth); only {HEALTH!r} and {PREFLIGHT!r} may be open",
            args.urn,
        )


def encrypted(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """What holds the model or callers' data says how it is encrypted.

    Left out on purpose: log groups, which CloudWatch always encrypts; and topics of alarms, which
    carry names and thresholds only and which CloudWatch cannot publish to under AWS's own key.
    """
    if args.resource_type == REPOSITORY and not args.props.get("encryptionConfigurations"):
        report(
            "the repository does not say how it is encrypted, and that cannot be changed later; "
            "set encryption_configurations to AES256 or KMS",
            args.urn,
        )
    if args.resource_type == ENDPOINT_CONFIGURATION:
        capture = args.props.get("dataCaptureConfig") or {}
        if capture.get("enableCapture") and not capture.get("kmsKeyId"):
            report("requests are captured unencrypted; set its kms_key_id", args.urn)


def logs_end(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Without a retention logs are kept, and paid for, for ever."""
    if args.resource_type == LOG_GROUP:
        days = args.props.get("retentionInDays")
        if not days:
            report(
                f"retention_in_days is {days!r}; expected a number of days "
                "(setting function.logRetention)",
                args.urn,
            )


def least_privilege(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """A wildcard grants what nobody has thought of; who needs one says why, in the statement."""
    for document in statements.documents(args.resource_type, args.props):
        for statement in statements.allowed(document):
            wide = statements.wildcards(statement)
            if wide and not statements.reason(statement):
                report(
                    f"a statement grants {', '.join(wide)}; name the actions and resources, or "
                    'say why not in its Sid, such as "AnyBecauseXrayHasNoResources"',
                    args.urn,
                )
    if args.resource_type == ROLE:
        trust = args.props.get("assumeRolePolicy")
        for statement in statements.allowed(statements.parse(trust)):
            if statements.anybody(statement):
                report(
                    "the role trusts everybody; name a service or account in Principal",
                    args.urn,
                )
    if args.resource_type == ATTACHMENT and _TOO_WIDE.search(str(args.props.get("policyArn"))):
        report(
            f"{args.props['policyArn']} grants far more than one stack needs; write a policy",
            args.urn,
        )


def throttled(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """With one of the two left out the provider sends 0, and every call answers 429."""
    if args.resource_type != STAGE:
        return
    default = args.props.get("defaultRouteSettings")
    for settings in [
        *([default] if default is not None else []),
        *(args.props.get("routeSettings") or ()),
    ]:
        for key in ("throttlingRateLimit", "throttlingBurstLimit"):
            limit = settings.get(key)
            if not limit:
                report(
                    f"{key} is {limit!r}; expected a number above 0 "
                    "(settings api.throttleRate and api.throttleBurst)",
                    args.urn,
                )


def warm_or_weighted(args: StackValidationArgs, report: ReportViolation) -> None:
    """AWS refuses provisioned concurrency on an alias that splits its traffic."""
    weighted = {
        (_function(alias.props.get("functionName")), alias.props.get("name")): alias
        for alias in args.resources
        if alias.resource_type == ALIAS
        and (alias.props.get("routingConfig") or {}).get("additionalVersionWeights")
    }
    for warm in args.resources:
        if warm.resource_type == PROVISIONED:
            alias = (_function(warm.props.get("functionName")), warm.props.get("qualifier"))
            if alias in weighted:
                report(
                    f"alias {alias[1]!r} of {alias[0]} has weights and provisioned concurrency; "
                    "finish the canary first, or set function.provisionedConcurrency to 0",
                    weighted[alias].urn,
                )


def _stack(urn: str) -> str:
    return urn.split("::", 1)[0].removeprefix("urn:pulumi:")


def _function(name_or_arn: object) -> str:
    return str(name_or_arn).rpartition(":")[2]


POLICIES: list[Policy] = [
    ResourceValidationPolicy(
        name="image-by-digest",
        description="Functions and models run an image named by its digest.",
        validate=image_by_digest,
    ),
    ResourceValidationPolicy(
        name="no-public-route",
        description=(
            "Outside a local stack only GET /ping and browsers' preflights need no credentials."
        ),
        validate=no_public_route,
    ),
    ResourceValidationPolicy(
        name="encrypted",
        description="What holds the model or callers' data says how it is encrypted.",
        validate=encrypted,
    ),
    ResourceValidationPolicy(
        name="logs-end",
        description="Every log group has a retention.",
        validate=logs_end,
    ),
    ResourceValidationPolicy(
        name="least-privilege",
        description="No wildcard action, resource or principal without a stated reason.",
        validate=least_privilege,
    ),
    ResourceValidationPolicy(
        name="throttled",
        description="Route settings set both throttles.",
        validate=throttled,
    ),
    StackValidationPolicy(
        name="warm-or-weighted",
        description="No provisioned concurrency on an alias with weights.",
        validate=warm_or_weighted,
    ),
]
