"""ModelEndpoint: what SageMaker and autoscaling receive."""

import json
from typing import Any

import pytest

from infra.endpoint import ModelEndpoint, ModelEndpointArgs

URI = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/thimble/dev/digits@sha256:" + "d" * 64
LOGS = (
    "arn:aws:logs:eu-central-1:000000000000:log-group:"
    "/aws/sagemaker/Endpoints/thimble-dev-digits-serverless"
)
INSTANCES = {"kind": "instances", "min_instances": 2, "max_instances": 4}


@pytest.fixture
def make(deploy: Any) -> Any:
    """The component alone, with defaults except for what a test names."""

    def run(**given: Any) -> Any:
        args = {
            "endpoint_name": "thimble-dev-digits",
            "image_uri": URI,
            "repository_arn": "arn:repository",
            **given,
        }
        return deploy(lambda: ModelEndpoint("endpoint", ModelEndpointArgs(**args)))

    return run


def test_same_image(make: Any) -> None:
    """SageMaker runs the function's very image, computes inside it, and its metrics have a name."""
    told = {
        "MODEL_BACKEND": "litert",
        "TELEMETRY": "metrics",
        "TELEMETRY_SERVICE": "thimble-dev-digits-endpoint",
    }
    assert {"image": URI, "environment": told} == make().cloud.one("Model")["primaryContainer"]


def test_serverless(make: Any) -> None:
    """By default an endpoint is paid per request and scales by itself."""
    made = make()

    assert [
        {
            "modelName": None,
            "variantName": "live",
            "serverlessConfig": {"memorySizeInMb": 2048, "maxConcurrency": 5},
        }
    ] == [
        {"modelName": None, **variant}
        for variant in made.cloud.one("EndpointConfiguration")["productionVariants"]
    ]
    assert not {"Target", "Policy"} & made.cloud.kinds()


def test_instances(make: Any) -> None:
    """With instances the endpoint begins with the fewest."""
    (variant,) = make(**INSTANCES).cloud.one("EndpointConfiguration")["productionVariants"]

    assert ("ml.c6g.large", 2, 1, "live") == (
        variant["instanceType"],
        variant["initialInstanceCount"],
        variant["initialVariantWeight"],
        variant["variantName"],
    )


def test_configuration_has_no_name(make: Any) -> None:
    """The endpoint moves to a new configuration only when its name changes: it must be made up."""
    assert "name" not in make().cloud.one("EndpointConfiguration")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "thimble-dev-digits-serverless"),
        ({"kind": "instances"}, "thimble-dev-digits-c6g-large"),
        ({"kind": "instances", "instance_type": "ml.m5.xlarge"}, "thimble-dev-digits-m5-xlarge"),
        ({"endpoint_name": "n" * 63}, "n" * 52 + "-serverless"),
    ],
)
def test_name_tells_the_hardware(given: dict[str, Any], expected: str, make: Any) -> None:
    """SageMaker cannot change it in place, so another one is another endpoint."""
    assert expected == make(**given).cloud.one("Endpoint")["name"]


@pytest.mark.parametrize(("given", "expected"), [({}, False), (INSTANCES, True)])
def test_network_isolation(given: dict[str, Any], expected: bool, make: Any) -> None:  # noqa: FBT001 (a parameter of the test)
    """A model on instances reaches nobody; serverless endpoints cannot be told so."""
    assert expected == make(**given).cloud.one("Model")["enableNetworkIsolation"]


def test_autoscaling(make: Any) -> None:
    """Instances follow the requests each of them gets, between the fewest and the most."""
    made = make(**INSTANCES)
    target = made.cloud.one("Target")
    policy = made.cloud.one("Policy")["targetTrackingScalingPolicyConfiguration"]

    assert ("endpoint/thimble-dev-digits-c6g-large/variant/live", 2, 4) == (
        target["resourceId"],
        target["minCapacity"],
        target["maxCapacity"],
    )
    assert (600, "SageMakerVariantInvocationsPerInstance") == (
        policy["targetValue"],
        policy["predefinedMetricSpecification"]["predefinedMetricType"],
    )


def test_least_privilege(make: Any) -> None:
    """The role pulls from the one repository and writes the one log group."""
    policy = json.loads(make().cloud.one("RolePolicy")["policy"])
    resources = [entry["Resource"] for entry in policy["Statement"]]

    assert [
        "arn:repository",
        "*",  # for ecr:GetAuthorizationToken, which knows no resource
        f"{LOGS}:*",
    ] == resources
    assert "ecr:GetAuthorizationToken" == policy["Statement"][1]["Action"]


def test_grants_come_first(make: Any) -> None:
    """SageMaker pulls with the role while it makes the model."""
    assert any("RolePolicy" in urn for urn in make().options("Model", "endpoint").dependencies)
