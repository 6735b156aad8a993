"""PredictionFunction: the image as a Lambda function, published as versions behind an alias."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import iam

ALIAS = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionFunctionArgs:
    """What runs and with how much.

    Attributes:
        function_name: Lambda's name, which names the log group and the role too.
        image_uri: REPOSITORY@sha256:...
        architecture: The image's: x86_64 or arm64.
        memory: MB; CPU comes in proportion, one whole core at 1769.
        timeout: Seconds.
        ephemeral_storage: MB of /tmp.
        log_retention: Days.
        backend: Where predictions are computed.
        backend_url: The server's address, with backend http.
        endpoint_name: The SageMaker endpoint to call, with backend sagemaker.
        endpoint_arn: The same, as the one endpoint the function may call.
        provisioned_concurrency: Instances kept warm; 0 for none.
        snap_start: Whether versions start from a snapshot.
        threads: Of one prediction, with backend litert; 0 for one per whole core.
        telemetry: metrics, log or off.
        tracing: Whether X-Ray records requests.
    """

    function_name: str
    image_uri: pulumi.Input[str]
    architecture: str
    memory: int = 1769
    timeout: int = 28
    ephemeral_storage: int = 512
    log_retention: int = 30
    backend: str = "litert"
    backend_url: str = ""
    endpoint_name: pulumi.Input[str] | None = None
    endpoint_arn: pulumi.Input[str] | None = None
    provisioned_concurrency: int = 0
    snap_start: bool = False
    threads: int = 0
    telemetry: str = "metrics"
    tracing: bool = False


class PredictionFunction(pulumi.ComponentResource):
    """A function that answers predictions.

    Attributes:
        function_name: Lambda's name.
        alias_name: What callers use; it points at one published version.
        alias_arn: The same, as an ARN.
        invoke_arn: The alias as API Gateway addresses it.
        version: The version the alias points at.
    """

    function_name: pulumi.Output[str]
    alias_name: pulumi.Output[str]
    alias_arn: pulumi.Output[str]
    invoke_arn: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(
        self, name: str, args: PredictionFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:function:PredictionFunction", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Made before the function, or Lambda makes it on the first call, without a retention.
        logs = aws.cloudwatch.LogGroup(
            name,
            name=f"/aws/lambda/{args.function_name}",
            retention_in_days=args.log_retention,
            opts=child,
        )
        role = aws.iam.Role(
            name,
            name=args.function_name,
            assume_role_policy=iam.assumed_by("lambda.amazonaws.com"),
            opts=child,
        )
        grants = aws.iam.RolePolicy(
            name,
            name="prediction",
            role=role.name,
            policy=iam.function_policy(logs.arn, args.endpoint_arn, tracing=args.tracing),
            opts=child,
        )
        function = aws.lambda_.Function(
            name,
            name=args.function_name,
            package_type="Image",
            image_uri=args.image_uri,
            role=role.arn,
            architectures=[args.architecture],
            memory_size=args.memory,
            timeout=args.timeout,
            ephemeral_storage={"size": args.ephemeral_storage},
            environment={"variables": _environment(args)},
            logging_config={"log_format": "JSON", "log_group": logs.name},
            # Said even when off: a function that traced before would go on, were it left out.
            tracing_config={"mode": "Active" if args.tracing else "PassThrough"},
            snap_start={"apply_on": "PublishedVersions"} if args.snap_start else None,
            publish=True,
            # The policy is not an argument, and without it the first calls could not log.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grants]),
        )
        alias = aws.lambda_.Alias(
            name,
            name=ALIAS,
            function_name=function.name,
            function_version=function.version,
            opts=child,
        )
        if args.provisioned_concurrency:
            aws.lambda_.ProvisionedConcurrencyConfig(
                name,
                function_name=function.name,
                qualifier=alias.name,
                provisioned_concurrent_executions=args.provisioned_concurrency,
                opts=child,
            )
        self.function_name = function.name
        self.alias_name = alias.name
        self.alias_arn = alias.arn
        self.invoke_arn = alias.invoke_arn
        self.version = function.version
        self.register_outputs(
            {
                "function_name": self.function_name,
                "alias_name": self.alias_name,
                "alias_arn": self.alias_arn,
                "invoke_arn": self.invoke_arn,
                "version": self.version,
            }
        )


def _environment(args: PredictionFunctionArgs) -> dict[str, pulumi.Input[str]]:
    """The handler's settings; those of other backends are left out, as it has no use for them."""
    variables: dict[str, pulumi.Input[str]] = {
        "MODEL_BACKEND": args.backend,
        "TELEMETRY": args.telemetry,
    }
    if args.threads:
        variables["MODEL_THREADS"] = str(args.threads)
    if args.backend != "litert":
        variables["BACKEND_TIMEOUT_MS"] = str(_backend_milliseconds(args.timeout))
    if args.backend_url:
        variables["BACKEND_URL"] = args.backend_url
    if args.endpoint_name is not None:
        variables["SAGEMAKER_ENDPOINT"] = args.endpoint_name
    return variables


def _backend_milliseconds(timeout: int) -> int:
    """How long to wait for a backend: stopped by Lambda, the function could not say what failed.

    Below the function's own timeout by 3 s or, where that is much of it, by a quarter.
    """
    return timeout * 1000 - min(3000, timeout * 250)
