"""PredictionApi: HTTPS in front of the function's alias."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

# The health route says nothing about the model, and load balancers cannot sign requests.
HEALTH = "GET /ping"
# Everything else: the function knows its own paths and says 404 and 405 in its own words.
PREDICTIONS = "$default"
PREFLIGHT = "OPTIONS /{proxy+}"

ACCESS_LOG = json.dumps(
    {
        "requestId": "$context.requestId",
        "time": "$context.requestTime",
        "ip": "$context.identity.sourceIp",
        "caller": "$context.identity.caller",
        "method": "$context.httpMethod",
        "path": "$context.path",
        "route": "$context.routeKey",
        "status": "$context.status",
        "bytes": "$context.responseLength",
        "latency": "$context.responseLatency",
        "integrationLatency": "$context.integrationLatency",
        "error": "$context.error.message",
        "authorizerError": "$context.authorizer.error",
        "integrationError": "$context.integrationErrorMessage",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionApiArgs:
    """Who may call what, and how often.

    Attributes:
        api_name: API Gateway's name.
        function_name: The function.
        alias_name: Its alias, which alone may be called.
        invoke_arn: The alias as API Gateway addresses it.
        auth: iam, jwt or none.
        jwt_issuer: Who signs the tokens, with jwt.
        jwt_audiences: Whom they are for, with jwt.
        throttle_rate: Requests a second, over all callers.
        throttle_burst: Requests at one moment.
        cors_origins: Web pages' origins that may call; none without.
        log_retention: Days the access log is kept.
        protect: Whether Pulumi refuses to delete the API, and with it the URL.
    """

    api_name: str
    function_name: pulumi.Input[str]
    alias_name: pulumi.Input[str]
    invoke_arn: pulumi.Input[str]
    auth: str = "iam"
    jwt_issuer: str = ""
    jwt_audiences: tuple[str, ...] = ()
    throttle_rate: int = 50
    throttle_burst: int = 100
    cors_origins: tuple[str, ...] = ()
    log_retention: int = 30
    protect: bool = False


class PredictionApi(pulumi.ComponentResource):
    """An HTTP API with one stage.

    Attributes:
        url: Where to send requests; no slash at the end.
        api_id: API Gateway's identifier.
    """

    url: pulumi.Output[str]
    api_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: PredictionApiArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:api:PredictionApi", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        api = aws.apigatewayv2.Api(
            name,
            name=args.api_name,
            protocol_type="HTTP",
            cors_configuration=_cors(args),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        integration = aws.apigatewayv2.Integration(
            name,
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_uri=args.invoke_arn,
            payload_format_version="2.0",
            timeout_milliseconds=30_000,
            opts=child,
        )
        target = pulumi.Output.concat("integrations/", integration.id)
        authorizer = None
        if args.auth == "jwt":
            authorizer = aws.apigatewayv2.Authorizer(
                name,
                api_id=api.id,
                name="jwt",
                authorizer_type="JWT",
                identity_sources=["$request.header.Authorization"],
                jwt_configuration={
                    "issuer": args.jwt_issuer,
                    "audiences": list(args.jwt_audiences),
                },
                opts=child,
            )
        routes = [
            aws.apigatewayv2.Route(
                f"{name}-health",
                api_id=api.id,
                route_key=HEALTH,
                target=target,
                authorization_type="NONE",
                opts=child,
            ),
            aws.apigatewayv2.Route(
                f"{name}-predictions",
                api_id=api.id,
                route_key=PREDICTIONS,
                target=target,
                authorization_type={"iam": "AWS_IAM", "jwt": "JWT", "none": "NONE"}[args.auth],
                authorizer_id=authorizer.id if authorizer else None,
                opts=child,
            ),
        ]
        if args.cors_origins:
            # Browsers ask first, without credentials, and $default would ask them for some.
            routes.append(
                aws.apigatewayv2.Route(
                    f"{name}-preflight",
                    api_id=api.id,
                    route_key=PREFLIGHT,
                    target=target,
                    authorization_type="NONE",
                    opts=child,
                )
            )
        logs = aws.cloudwatch.LogGroup(
            name,
            # API Gateway may write to groups of this prefix without a resource policy of ours.
            name=f"/aws/vendedlogs/{args.api_name}",
            retention_in_days=args.log_retention,
            opts=child,
        )
        aws.apigatewayv2.Stage(
            name,
            api_id=api.id,
            name="$default",
            auto_deploy=True,
            access_log_settings={"destination_arn": logs.arn, "format": ACCESS_LOG},
            # Both or neither: with one left out the provider sends 0, and every call answers 429.
            default_route_settings={
                "throttling_rate_limit": args.throttle_rate,
                "throttling_burst_limit": args.throttle_burst,
                # A route's own metrics are paid for; alarms and dashboard read the stage's.
                "detailed_metrics_enabled": False,
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=routes),
        )
        aws.lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=args.function_name,
            qualifier=args.alias_name,
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.concat(api.execution_arn, "/*/*"),
            opts=child,
        )
        self.url = api.api_endpoint
        self.api_id = api.id
        self.register_outputs({"url": self.url, "api_id": self.api_id})


def _cors(args: PredictionApiArgs) -> aws.apigatewayv2.ApiCorsConfigurationArgs | None:
    if not args.cors_origins:
        return None
    return aws.apigatewayv2.ApiCorsConfigurationArgs(
        allow_origins=list(args.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=[
            "authorization",
            "content-encoding",
            "content-type",
            "inference-header-content-length",
            "x-amz-content-sha256",
            "x-amz-date",
            "x-amz-security-token",
        ],
        # What a page may read of an answer: how a raw one is laid out, and when to come again.
        expose_headers=[
            "inference-header-content-length",
            "retry-after",
            "x-tensor-dtype",
            "x-tensor-shape",
        ],
        max_age=600,
    )
