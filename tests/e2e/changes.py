"""What each setting changes, as `preview` has to show it: no more, and no less.

A line is an operation, a type, a logical name, and the inputs that differ.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field

OTHER_DIGEST = "sha256:" + "d" * 64
SERVER = "https://models.example/v1/models/digits"
HERE, ELSEWHERE = ("arm64", "x86_64") if platform.machine() == "aarch64" else ("x86_64", "arm64")


def new_version(*inputs: str) -> list[str]:
    """The function changes, so a version is published and the alias moves to it."""
    changed = ", ".join(sorted(inputs))
    return [
        f"update Function prediction: {changed}",
        "update Alias prediction: functionVersion",
    ]


# The digest of what is built is not known before: in preview the function changes.
NEW_CONTEXT = [
    "update ImageTag model: context",
    "update Image model: build, imageName",
]
NEW_IMAGE = [*NEW_CONTEXT, *new_version("imageUri")]
RETENTION = "update LogGroup prediction: retentionInDays"
# SageMaker's configurations are immutable: another one, and the endpoint moves to it.
NEW_CONFIGURATION = [
    "replace EndpointConfiguration endpoint: productionVariants",
    "update Endpoint endpoint: endpointConfigName",
]
# Other hardware is another endpoint, for SageMaker can change neither in place; the function moves
# to it before the old one goes.
NEW_ENDPOINT = [
    "replace LogGroup endpoint: name",
    "update RolePolicy endpoint: policy",
    "replace EndpointConfiguration endpoint: productionVariants",
    "replace Endpoint endpoint: endpointConfigName, name",
    "update RolePolicy prediction: policy",
    *new_version("environment"),
]
ENDPOINT = [
    f"create {kind} endpoint"
    for kind in (
        *("ModelEndpoint", "LogGroup", "Role", "RolePolicy"),
        *("Model", "EndpointConfiguration", "Endpoint"),
    )
]
# Another card's name is in the name of everything, and few names can change in place. The API keeps
# its id, and with it its URL and its routes.
RENAMED = [
    "replace Repository model: name",
    "replace LifecyclePolicy model: repository",
    "replace RepositoryPolicy model: policy, repository",
    "update OptimizedModel model: card",
    *NEW_CONTEXT,
    "replace LogGroup prediction: name",
    "replace Role prediction: name",
    "replace RolePolicy prediction: policy, role",
    "replace Function prediction: imageUri, loggingConfig, name, role",
    "replace Alias prediction: functionName, functionVersion",
    "replace Permission prediction: function",
    "replace LogGroup prediction: name",
    "update Api prediction: name",
    "update Integration prediction: integrationUri",
    "update Stage prediction: accessLogSettings",
    "replace Topic watch: name",
    "replace TopicPolicy watch: arn, policy",
    "replace MetricAlarm 5xx: alarmActions, name, okActions",
    *(
        f"replace MetricAlarm {what}: alarmActions, dimensions, name, okActions"
        for what in ("errors", "throttles", "p99")
    ),
    "replace Dashboard watch: dashboardBody, dashboardName",
    "replace Budget watch: name, notifications",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One setting with another value.

    Attributes:
        key: As in Pulumi.yaml.
        value: The other value.
        changes: What preview has to show; nothing where the setting has no say.
        error: Words of the refusal, where this value alone is refused.
        also: Settings without which it would be refused.
        base: What is deployed: the session's stack as it is, or one of `BASES` on the second one.
    """

    key: str
    value: str
    changes: list[str] = field(default_factory=list)
    error: str = ""
    also: dict[str, str] = field(default_factory=dict)
    base: str = "plain"

    @property
    def settings(self) -> dict[str, str]:
        """All that the run is told beside the base's own settings."""
        return {**self.also, self.key: self.value}

    def __str__(self) -> str:
        """How pytest names it."""
        given = ",".join(f"{key}={value}" for key, value in self.settings.items())
        return f"{self.base}:{given}"


EVERYTHING = {
    # Where the check of endpoints' hardware does not ask which machine the tests run on.
    "function.architecture": "host",
    "api.auth": "jwt",
    "api.jwtIssuer": "https://issuer.example",
    "api.jwtAudiences": json.dumps(["thimble"]),
    "api.corsOrigins": json.dumps(["https://example.com"]),
    "function.provisionedConcurrency": "1",
    "watch.email": "somebody@example.com",
}
# In the order in which the other stack goes through them.
BASES = {
    "http": {**EVERYTHING, "backend": "http", "backendUrl": "http://127.0.0.1:9/v1/models/digits"},
    "serverless": {**EVERYTHING, "backend": "sagemaker"},
    "instances": {**EVERYTHING, "backend": "sagemaker", "endpoint.kind": "instances"},
}

CASES = [
    # A card elsewhere that says the same: converted there, and nothing else is its business.
    Case(
        key="model",
        value="models/copied",
        changes=["update OptimizedModel model: card", *NEW_IMAGE],
    ),
    Case(key="model", value="models/renamed", changes=RENAMED),
    Case(key="model", value="models/absent", error="no model card at models/absent/model.yaml"),
    Case(
        key="recipe", value="float32", changes=["update OptimizedModel model: recipe", *NEW_IMAGE]
    ),
    Case(key="backend", value="http", error="backendUrl is ''"),
    Case(
        key="backend", value="http", also={"backendUrl": SERVER}, changes=new_version("environment")
    ),
    # Calling the endpoint is a right that the function's role gets.
    Case(
        key="backend",
        value="sagemaker",
        also={"function.architecture": "host"},
        changes=[*ENDPOINT, "update RolePolicy prediction: policy", *new_version("environment")],
    ),
    Case(key="backendUrl", value=SERVER, error="backend is litert"),
    Case(key="backendUrl", value=SERVER, base="http", changes=new_version("environment")),
    # The API is protected as well, which is Pulumi's own business and no step.
    Case(key="protect", value="true", changes=["update Repository model: forceDelete"]),
    Case(key="image.baseImage", value="example.com/lambda/python:3.11", changes=NEW_IMAGE),
    # Other wheels are in the image; naming the Python that the tag names already is no difference.
    Case(key="image.pythonVersion", value="3.13", changes=NEW_IMAGE),
    Case(key="image.pythonVersion", value="3.11"),
    Case(
        key="image.promoteFrom",
        value="dev",
        changes=[
            "delete ModelImage model",
            "delete Image model",
            "delete ImageTag model",
            "delete OptimizedModel model",
            "create PromotedImage model",
            *new_version("imageUri"),
        ],
    ),
    Case(key="image.promoteFrom", value="local", error="this very stack"),
    # What is built stays as it is: only what is served changes.
    Case(key="image.digest", value=OTHER_DIGEST, changes=new_version("imageUri")),
    Case(key="image.keepReleases", value="10", changes=["update LifecyclePolicy model: policy"]),
    Case(
        key="image.sharedWith",
        value='["333333333333"]',
        changes=["update RepositoryPolicy model: policy"],
    ),
    Case(key="function.memory", value="512", changes=new_version("memorySize")),
    Case(key="function.timeout", value="5", changes=new_version("timeout")),
    Case(
        key="function.architecture",
        value=ELSEWHERE,
        changes=[*NEW_CONTEXT, *new_version("architectures", "imageUri")],
    ),
    # What `host` means, said outright.
    Case(key="function.architecture", value=HERE),
    Case(key="function.ephemeralStorage", value="1024", changes=new_version("ephemeralStorage")),
    # The function's and the API's; with backend sagemaker, the endpoint's too.
    Case(key="function.logRetention", value="7", changes=[RETENTION, RETENTION]),
    Case(
        key="function.logRetention",
        value="7",
        base="serverless",
        changes=[RETENTION, RETENTION, "update LogGroup endpoint: retentionInDays"],
    ),
    # Paid for beside the function, which stays as it is.
    Case(
        key="function.provisionedConcurrency",
        value="2",
        changes=["create ProvisionedConcurrencyConfig prediction"],
    ),
    Case(
        key="function.provisionedConcurrency",
        value="2",
        base="http",
        changes=["update ProvisionedConcurrencyConfig prediction: provisionedConcurrentExecutions"],
    ),
    Case(
        key="function.provisionedConcurrency",
        value="0",
        base="http",
        changes=["delete ProvisionedConcurrencyConfig prediction"],
    ),
    Case(key="function.snapStart", value="true", error="Python 3.12 or later"),
    # The one other Python is another image; the snapshot itself is the function's.
    Case(
        key="function.snapStart",
        value="true",
        also={"image.pythonVersion": "3.13"},
        changes=[*NEW_CONTEXT, *new_version("imageUri", "snapStart")],
    ),
    Case(key="function.threads", value="1", changes=new_version("environment")),
    Case(key="function.threads", value="1", base="http", error="computes elsewhere"),
    Case(key="function.telemetry", value="off", changes=new_version("environment")),
    # A model's environment is part of what it is.
    Case(
        key="function.telemetry",
        value="log",
        base="serverless",
        changes=[
            "replace Model endpoint: primaryContainer",
            *NEW_CONFIGURATION,
            *new_version("environment"),
        ],
    ),
    # Handing X-Ray what was recorded is a right that the function's role gets.
    Case(
        key="function.tracing",
        value="true",
        changes=["update RolePolicy prediction: policy", *new_version("tracingConfig")],
    ),
    Case(
        key="api.auth",
        value="iam",
        changes=["update Route prediction-predictions: authorizationType"],
    ),
    Case(key="api.auth", value="jwt", error="api.jwtAudiences is empty"),
    Case(
        key="api.auth",
        value="jwt",
        also={"api.jwtIssuer": "https://issuer.example", "api.jwtAudiences": '["a"]'},
        changes=[
            "create Authorizer prediction",
            "update Route prediction-predictions: authorizationType, authorizerId",
        ],
    ),
    Case(key="api.jwtIssuer", value="https://other.example", error="api.auth is none"),
    Case(
        key="api.jwtIssuer",
        value="https://other.example",
        base="http",
        changes=["update Authorizer prediction: jwtConfiguration"],
    ),
    Case(key="api.jwtAudiences", value='["other"]', error="api.auth is none"),
    Case(
        key="api.jwtAudiences",
        value='["other"]',
        base="http",
        changes=["update Authorizer prediction: jwtConfiguration"],
    ),
    Case(
        key="api.throttleRate",
        value="10",
        changes=["update Stage prediction: defaultRouteSettings"],
    ),
    Case(
        key="api.throttleBurst",
        value="20",
        changes=["update Stage prediction: defaultRouteSettings"],
    ),
    Case(
        key="api.corsOrigins",
        value='["https://example.com"]',
        changes=["update Api prediction: corsConfiguration", "create Route prediction-preflight"],
    ),
    Case(
        key="api.corsOrigins",
        value="[]",
        base="http",
        changes=["update Api prediction: corsConfiguration", "delete Route prediction-preflight"],
    ),
    # Without an endpoint, nothing of it says anything.
    Case(key="endpoint.kind", value="instances"),
    Case(key="endpoint.memory", value="4096"),
    Case(key="endpoint.maxConcurrency", value="9"),
    Case(key="endpoint.instanceType", value="ml.c6i.large"),
    Case(key="endpoint.minInstances", value="2"),
    Case(key="endpoint.maxInstances", value="3"),
    Case(key="endpoint.invocationsPerInstance", value="60"),
    # A serverless endpoint's model cannot be told to keep to itself; and somebody must scale.
    Case(
        key="endpoint.kind",
        value="instances",
        base="serverless",
        changes=[
            "replace Model endpoint: enableNetworkIsolation",
            *NEW_ENDPOINT,
            "create Target endpoint",
            "create Policy endpoint",
        ],
    ),
    Case(key="endpoint.memory", value="4096", base="serverless", changes=NEW_CONFIGURATION),
    Case(key="endpoint.maxConcurrency", value="9", base="serverless", changes=NEW_CONFIGURATION),
    Case(key="endpoint.instanceType", value="ml.c6i.large", base="serverless"),
    Case(
        key="endpoint.instanceType",
        value="ml.c6i.large",
        base="instances",
        changes=[
            *NEW_ENDPOINT,
            "replace Target endpoint: resourceId",
            "replace Policy endpoint: resourceId",
        ],
    ),
    # What a configuration starts with is the fewest, lest a new release begin with too few.
    Case(
        key="endpoint.minInstances",
        value="2",
        base="instances",
        changes=[*NEW_CONFIGURATION, "update Target endpoint: minCapacity"],
    ),
    Case(
        key="endpoint.maxInstances",
        value="3",
        base="instances",
        changes=["update Target endpoint: maxCapacity"],
    ),
    Case(
        key="endpoint.invocationsPerInstance",
        value="60",
        base="instances",
        changes=["update Policy endpoint: targetTrackingScalingPolicyConfiguration"],
    ),
    Case(key="endpoint.memory", value="4096", base="instances"),
    Case(
        key="watch.email", value="somebody@example.com", changes=["create TopicSubscription watch"]
    ),
    Case(
        key="watch.email",
        value="other@example.com",
        base="http",
        changes=["replace TopicSubscription watch: endpoint"],
    ),
    Case(
        key="watch.errors",
        value="5",
        changes=["update MetricAlarm errors: alarmDescription, threshold"],
    ),
    Case(
        key="watch.throttles",
        value="5",
        changes=["update MetricAlarm throttles: alarmDescription, threshold"],
    ),
    # The dashboard draws the line.
    Case(
        key="watch.p99Milliseconds",
        value="500",
        changes=[
            "update MetricAlarm p99: alarmDescription, threshold",
            "update Dashboard watch: dashboardBody",
        ],
    ),
    Case(
        key="watch.serverErrors",
        value="5",
        changes=["update MetricAlarm 5xx: alarmDescription, threshold"],
    ),
    Case(key="watch.monthlyBudget", value="50", changes=["update Budget watch: limitAmount"]),
    Case(key="watch.monthlyBudget", value="0", changes=["delete Budget watch"]),
]
