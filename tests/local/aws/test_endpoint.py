"""SageMaker endpoints on moto, served by a Docker that writes down what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.aws.conftest import Account, Deployed
    from tests.local.conftest import FakeDocker

MODEL = "aws:sagemaker/model:Model"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
ROLE = "arn:aws:iam::000000000000:role/runner"


def model_of(account: Account, name: str, image: str) -> Deployed:
    """A model of an image."""
    container = {"image": image, "environment": {"modelDir": "/opt/model"}}
    return account.make(MODEL, name, executionRoleArn=ROLE, primaryContainer=container)


def variant(model: str, instances: int = 1) -> dict[str, object]:
    """All traffic to one model."""
    return {
        "variantName": "all",
        "modelName": model,
        "initialInstanceCount": instances,
        "instanceType": "ml.t2.medium",
    }


@pytest.fixture
def model(account: Account) -> Iterator[Deployed]:
    """A model, removed after the test."""
    made = model_of(account, "digits", "app@sha256:1")
    yield made
    made.remove()


@pytest.fixture
def configuration(account: Account, model: Deployed) -> Iterator[Deployed]:
    """A configuration of that model, removed after the test."""
    made = account.make(CONFIGURATION, "config", productionVariants=[variant(model.id)])
    yield made
    made.remove()


@pytest.fixture
def endpoint(
    account: Account, configuration: Deployed, docker_command: FakeDocker
) -> Iterator[Deployed]:
    """An endpoint of that configuration, removed after the test."""
    made = account.make(ENDPOINT, "digits", endpointConfigName=configuration.outputs["name"])
    yield made
    docker_command.answer("ps", "abc\n")
    made.remove()
    assert ["rm", "--force", "--volumes", "abc"] in docker_command.calls


def test_model(account: Account, model: Deployed) -> None:
    """Names of variables stay as they are; any change replaces."""
    found = account.client("sagemaker").describe_model(ModelName=model.id)
    assert found["PrimaryContainer"]["Image"] == "app@sha256:1"
    assert found["PrimaryContainer"]["Environment"] == {"modelDir": "/opt/model"}
    _, diff = model.diff(primaryContainer={"image": "app@sha256:2"})
    assert (diff.replaces, diff.delete_first) == (("primaryContainer",), True)


def test_configuration(account: Account, model: Deployed, configuration: Deployed) -> None:
    """A serverless variant's memory is MemorySizeInMB to AWS."""
    client = account.client("sagemaker")
    found = client.describe_endpoint_config(EndpointConfigName=configuration.id)
    assert found["ProductionVariants"][0]["ModelName"] == model.id
    serverless = {
        "variantName": "all",
        "modelName": model.id,
        "serverlessConfig": {"memorySizeInMb": 2048, "maxConcurrency": 5},
    }
    made = account.make(CONFIGURATION, "small", productionVariants=[serverless])
    found = client.describe_endpoint_config(EndpointConfigName=made.id)
    expected = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert found["ProductionVariants"][0]["ServerlessConfig"] == expected
    made.remove()


def test_configuration_takes_the_prefix(account: Account, model: Deployed) -> None:
    """namePrefix, as the program gives it."""
    made = account.make(
        CONFIGURATION, "c", namePrefix="digits-", productionVariants=[variant(model.id)]
    )
    assert made.id.startswith("digits-")
    made.remove()


@pytest.mark.parametrize("resume", [False, True], ids=["replaced", "cut off and taken up again"])
def test_replaced_configuration_has_another_name(
    model: Deployed, configuration: Deployed, *, resume: bool
) -> None:
    """The endpoint moves only to another name, and the old one is still served until it moves."""
    news, diff = configuration.diff(productionVariants=[variant(model.id, 2)])
    assert (diff.replaces, diff.delete_first) == (("productionVariants",), False)
    id_, outputs = configuration.kind.create(news, resume=resume)
    assert outputs["name"] == id_ != configuration.id
    assert configuration.found is not None
    configuration.kind.delete(id_, outputs)


def test_endpoint(account: Account, endpoint: Deployed, docker_command: FakeDocker) -> None:
    """A container of the model's image serves it, with the model's environment."""
    found = account.client("sagemaker").describe_endpoint(EndpointName=endpoint.id)
    assert found["EndpointConfigName"] == endpoint.outputs["endpointConfigName"]
    (run,) = [call for call in docker_command.calls if call[0] == "run"]
    assert {"--env=modelDir=/opt/model", "app@sha256:1", "serve"} <= set(run)


def test_endpoint_moves_to_another_configuration(
    account: Account, endpoint: Deployed, docker_command: FakeDocker
) -> None:
    """The next container is the new model's."""
    model = model_of(account, "other", "app@sha256:2")
    other = account.make(CONFIGURATION, "other", productionVariants=[variant(model.id)])
    endpoint.change(endpointConfigName=other.id)
    assert [c[-2] for c in docker_command.calls if c[0] == "run"][-1] == "app@sha256:2"
    found = account.client("sagemaker").describe_endpoint(EndpointName=endpoint.id)
    assert found["EndpointConfigName"] == other.id
    other.remove()
    model.remove()


def test_autoscaling(account: Account, endpoint: Deployed) -> None:
    """A target with its bounds, and a policy that follows the load."""
    scaled = {
        "resourceId": f"endpoint/{endpoint.id}/variant/all",
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "serviceNamespace": "sagemaker",
    }
    target = account.make(
        "aws:appautoscaling/target:Target", "scale", minCapacity=1, maxCapacity=2, **scaled
    )
    target.change(maxCapacity=4)
    client = account.client("application-autoscaling")
    found = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [(t["MinCapacity"], t["MaxCapacity"]) for t in found] == [(1, 4)]
    tracking = {
        "predefinedMetricSpecification": {
            "predefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
        "targetValue": 100,
        "scaleInCooldown": 300,
    }
    policy = account.make(
        "aws:appautoscaling/policy:Policy",
        "follow",
        policyType="TargetTrackingScaling",
        targetTrackingScalingPolicyConfiguration=tracking,
        **scaled,
    )
    policy.change(targetTrackingScalingPolicyConfiguration={**tracking, "targetValue": 50})
    (found,) = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert found["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50
    policy.remove()
    target.remove()
