"""ModelEndpoint: the same image on SageMaker, for models that outgrow a function."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import iam

# The old and the new configuration must name their variant alike, or SageMaker cannot swap them.
VARIANT = "live"
LONGEST_NAME = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpointArgs:
    """What serves and how much of it.

    Attributes:
        endpoint_name: What SageMaker's name begins with: letters, digits and single hyphens.
        image_uri: The function's image; its entrypoint serves when called with `serve`.
        repository_arn: Where that image is.
        kind: serverless or instances.
        memory: MB, serverless.
        max_concurrency: Requests at one time, serverless.
        instance_type: Such as ml.c6g.large, instances.
        min_instances: Fewest instances.
        max_instances: Most instances.
        invocations_per_instance: Requests a minute one instance should get.
        log_retention: Days.
        telemetry: metrics, log or off.
    """

    endpoint_name: str
    image_uri: pulumi.Input[str]
    repository_arn: pulumi.Input[str]
    kind: str = "serverless"
    memory: int = 2048
    max_concurrency: int = 5
    instance_type: str = "ml.c6g.large"
    min_instances: int = 1
    max_instances: int = 2
    invocations_per_instance: int = 600
    log_retention: int = 30
    telemetry: str = "metrics"


class ModelEndpoint(pulumi.ComponentResource):
    """A SageMaker endpoint.

    Attributes:
        endpoint_name: What InvokeEndpoint calls.
        endpoint_arn: What a caller must be allowed to call.
    """

    endpoint_name: pulumi.Output[str]
    endpoint_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelEndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:endpoint:ModelEndpoint", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        endpoint_name = _name(args)
        # SageMaker decides the group's name; made here first, it has a retention and the role
        # needs no right to make groups.
        logs = aws.cloudwatch.LogGroup(
            name,
            name=f"/aws/sagemaker/Endpoints/{endpoint_name}",
            retention_in_days=args.log_retention,
            opts=child,
        )
        role = aws.iam.Role(
            name,
            name=f"{args.endpoint_name[:55]}-endpoint",  # 64 at most
            assume_role_policy=iam.assumed_by("sagemaker.amazonaws.com"),
            opts=child,
        )
        grants = aws.iam.RolePolicy(
            name,
            name="endpoint",
            role=role.name,
            policy=iam.endpoint_policy(logs.arn, args.repository_arn),
            opts=child,
        )
        model = aws.sagemaker.Model(
            name,
            execution_role_arn=role.arn,
            primary_container={
                "image": args.image_uri,
                "environment": {
                    "MODEL_BACKEND": "litert",
                    "TELEMETRY": args.telemetry,
                    # Not the function's, whose metrics have the same requests once already; and not
                    # the endpoint's, which other hardware changes.
                    "TELEMETRY_SERVICE": f"{args.endpoint_name}-endpoint",
                },
            },
            # A model needs nobody else; serverless endpoints cannot be told so.
            enable_network_isolation=args.kind == "instances",
            # SageMaker pulls with this role, so the policy must be there first.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grants]),
        )
        configuration = aws.sagemaker.EndpointConfiguration(
            name,
            # No name: the endpoint moves to a new configuration only when the name changes, which
            # Pulumi's own naming sees to.
            production_variants=[_variant(args, model.name)],
            opts=child,
        )
        endpoint = aws.sagemaker.Endpoint(
            name,
            name=endpoint_name,
            endpoint_config_name=configuration.name,
            opts=child,
        )
        if args.kind == "instances":
            _autoscale(name, args, endpoint, child)
        self.endpoint_name = endpoint.name
        self.endpoint_arn = endpoint.arn
        self.register_outputs(
            {"endpoint_name": self.endpoint_name, "endpoint_arn": self.endpoint_arn}
        )


def _name(args: ModelEndpointArgs) -> str:
    """Other hardware is another endpoint, made before the old one goes.

    SageMaker updates neither instances to serverless nor the machine of a variant that is scaled.
    """
    serverless = args.kind == "serverless"
    hardware = "serverless" if serverless else args.instance_type.removeprefix("ml.")
    tail = "-" + hardware.replace(".", "-")
    return args.endpoint_name[: LONGEST_NAME - len(tail)].rstrip("-") + tail


def _variant(
    args: ModelEndpointArgs, model: pulumi.Output[str]
) -> aws.sagemaker.EndpointConfigurationProductionVariantArgs:
    if args.kind == "serverless":
        return aws.sagemaker.EndpointConfigurationProductionVariantArgs(
            model_name=model,
            variant_name=VARIANT,
            serverless_config=aws.sagemaker.EndpointConfigurationProductionVariantServerlessConfigArgs(
                memory_size_in_mb=args.memory, max_concurrency=args.max_concurrency
            ),
        )
    return aws.sagemaker.EndpointConfigurationProductionVariantArgs(
        model_name=model,
        variant_name=VARIANT,
        initial_variant_weight=1,
        instance_type=args.instance_type,
        initial_instance_count=args.min_instances,
    )


def _autoscale(
    name: str,
    args: ModelEndpointArgs,
    endpoint: aws.sagemaker.Endpoint,
    child: pulumi.ResourceOptions,
) -> None:
    target = aws.appautoscaling.Target(
        name,
        service_namespace="sagemaker",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        resource_id=pulumi.Output.concat("endpoint/", endpoint.name, "/variant/", VARIANT),
        min_capacity=args.min_instances,
        max_capacity=args.max_instances,
        opts=child,
    )
    aws.appautoscaling.Policy(
        name,
        name=f"{args.endpoint_name}-invocations",
        policy_type="TargetTrackingScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        target_tracking_scaling_policy_configuration={
            "target_value": args.invocations_per_instance,
            "predefined_metric_specification": {
                "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
            },
            # Adding is urgent, removing is not: a new instance takes minutes to come back.
            "scale_out_cooldown": 60,
            "scale_in_cooldown": 300,
        },
        opts=child,
    )
