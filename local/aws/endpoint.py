"""SageMaker endpoints and their autoscaling: moto keeps the records, a container does the work."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from local import sagemaker
from local.aws.resource import Resource, pascal, some, tags

if TYPE_CHECKING:
    from local.values import Properties


class Tagged(Resource):
    """Base of what SageMaker tags; nothing else of it can be changed in place."""

    service = "sagemaker"

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """All that is left are the tags."""
        del id_, outputs, news
        return {}

    def retag(self, outputs: Properties, wanted: dict[str, str], gone: list[str]) -> None:
        """Set these tags and take those away, by SageMaker's own names for it."""
        # moto keeps a tag's old value beside the new one unless the old one goes first.
        self.client.delete_tags(ResourceArn=outputs["arn"], TagKeys=[*wanted, *gone])
        self.client.add_tags(ResourceArn=outputs["arn"], Tags=tags({"tags": wanted}))


class Model(Tagged):
    """aws.sagemaker.Model."""

    token = "aws:sagemaker/model:Model"  # noqa: S105 - a type token
    physical = "name"
    fixed = frozenset({"name", "executionRoleArn", "primaryContainer", "enableNetworkIsolation"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the model."""
        made = self.client.create_model(
            ModelName=news["name"],
            ExecutionRoleArn=news["executionRoleArn"],
            Tags=tags(news),
            **some(
                PrimaryContainer=_container(news.get("primaryContainer")),
                EnableNetworkIsolation=news.get("enableNetworkIsolation"),
            ),
        )
        return news["name"], {"arn": made["ModelArn"]}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read its role."""
        del outputs
        found = self.client.describe_model(ModelName=id_)
        return {"name": id_, "executionRoleArn": found["ExecutionRoleArn"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the model."""
        del outputs
        self.client.delete_model(ModelName=id_)


class EndpointConfiguration(Tagged):
    """aws.sagemaker.EndpointConfiguration."""

    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"  # noqa: S105
    physical = "name"
    fixed = frozenset({"name", "productionVariants", "kmsKeyArn", "namePrefix"})

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Make up a name with the prefix that the program gives, if it gives one."""
        if news.get("name") is None:
            made_up = f"{news.get('namePrefix') or name + '-'}{secrets.token_hex(4)[:7]}"
            return {**news, "name": olds.get("name") or made_up}
        return news

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Any:  # noqa: ANN401
        """Compare; an endpoint moves only when the NAME changes: replacements get a new one."""
        found = super().diff(id_, inputs, outputs, news)
        return type(found)(found.changed, found.replaces, delete_first=False)

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Create it under a name that is free, as the real provider does for a replacement.

        Even where an earlier creation was cut off: what has the name may be the configuration that
        is being replaced, which the endpoint still serves.
        """
        del resume
        if self._exists(news["name"]):
            stem = str(news["name"]).rpartition("-")[0] or news["name"]
            news = {**news, "name": f"{stem}-{secrets.token_hex(4)[:7]}"}
        id_, outputs = self.make(news)
        return id_, {**outputs, "name": news["name"]}

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the configuration."""
        variants = [_variant(v) for v in news["productionVariants"]]
        made = self.client.create_endpoint_config(
            EndpointConfigName=news["name"],
            ProductionVariants=variants,
            Tags=tags(news),
            **some(KmsKeyId=news.get("kmsKeyArn")),
        )
        return news["name"], {"arn": made["EndpointConfigArn"]}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """See that it is there."""
        del outputs
        self.client.describe_endpoint_config(EndpointConfigName=id_)
        return {}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the configuration."""
        del outputs
        self.client.delete_endpoint_config(EndpointConfigName=id_)

    def _exists(self, name: str) -> bool:
        return self.read(name, {}) is not None


class Endpoint(Tagged):
    """aws.sagemaker.Endpoint; a container of the model's image serves it."""

    token = "aws:sagemaker/endpoint:Endpoint"  # noqa: S105
    physical = "name"
    fixed = frozenset({"name"})

    @property
    def owner(self) -> str:
        """Label of this emulator's containers."""
        return str(self.aws.emulator.sagemaker_port)

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the endpoint and start its container."""
        self._serve(news)
        made = self.client.create_endpoint(
            EndpointName=news["name"],
            EndpointConfigName=news["endpointConfigName"],
            Tags=tags(news),
        )
        return news["name"], {"arn": made["EndpointArn"]}

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Move it to another configuration: moto's UpdateEndpoint fails, so it is made again."""
        if news["endpointConfigName"] == outputs["endpointConfigName"]:
            return {}
        self.delete(id_, outputs)
        return self.make(news)[1]

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read its configuration's name."""
        del outputs
        found = self.client.describe_endpoint(EndpointName=id_)
        return {"endpointConfigName": found["EndpointConfigName"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the endpoint and its container."""
        del outputs
        sagemaker.stop_container(self.owner, id_)
        self.client.delete_endpoint(EndpointName=id_)

    def _serve(self, news: Properties) -> None:
        config = self.client.describe_endpoint_config(EndpointConfigName=news["endpointConfigName"])
        model = self.client.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
        container = model["PrimaryContainer"]
        sagemaker.start_container(
            self.owner, news["name"], container["Image"], container.get("Environment") or {}
        )


class Target(Resource):
    """aws.appautoscaling.Target."""

    token = "aws:appautoscaling/target:Target"  # noqa: S105
    service = "application-autoscaling"
    fixed = frozenset({"resourceId", "scalableDimension", "serviceNamespace"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Register the target."""
        arguments = {k: v for k, v in news.items() if k not in ("tags", "roleArn")}
        self.client.register_scalable_target(**pascal(arguments))
        return news["resourceId"], {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read its bounds."""
        found = self.client.describe_scalable_targets(
            ServiceNamespace=outputs["serviceNamespace"], ResourceIds=[id_]
        )["ScalableTargets"]
        if not found:
            raise self.client.exceptions.ObjectNotFoundException(
                {"Error": {"Code": "ObjectNotFoundException"}}, "DescribeScalableTargets"
            )
        return {"minCapacity": found[0]["MinCapacity"], "maxCapacity": found[0]["MaxCapacity"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Deregister the target."""
        self.client.deregister_scalable_target(
            ServiceNamespace=outputs["serviceNamespace"],
            ResourceId=id_,
            ScalableDimension=outputs["scalableDimension"],
        )


class Policy(Resource):
    """aws.appautoscaling.Policy of target tracking."""

    token = "aws:appautoscaling/policy:Policy"  # noqa: S105
    service = "application-autoscaling"
    physical = "name"
    fixed = frozenset({"name", "resourceId", "scalableDimension", "serviceNamespace"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the policy."""
        tracking = dict(news["targetTrackingScalingPolicyConfiguration"])
        metric = tracking.pop("predefinedMetricSpecification")
        made = self.client.put_scaling_policy(
            PolicyName=news["name"],
            PolicyType=news["policyType"],
            ResourceId=news["resourceId"],
            ScalableDimension=news["scalableDimension"],
            ServiceNamespace=news["serviceNamespace"],
            TargetTrackingScalingPolicyConfiguration={
                **pascal(tracking),
                "PredefinedMetricSpecification": pascal(metric),
            },
        )
        return news["name"], {"arn": made["PolicyARN"]}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """See that it is there."""
        found = self.client.describe_scaling_policies(
            PolicyNames=[id_], ServiceNamespace=outputs["serviceNamespace"]
        )["ScalingPolicies"]
        if not found:
            raise self.client.exceptions.ObjectNotFoundException(
                {"Error": {"Code": "ObjectNotFoundException"}}, "DescribeScalingPolicies"
            )
        return {"policyType": found[0]["PolicyType"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the policy."""
        self.client.delete_scaling_policy(
            PolicyName=id_,
            ServiceNamespace=outputs["serviceNamespace"],
            ResourceId=outputs["resourceId"],
            ScalableDimension=outputs["scalableDimension"],
        )


def _container(container: Properties | None) -> Properties | None:
    if container is None:
        return None
    environment = container.get("environment")
    return {
        **pascal({k: v for k, v in container.items() if k != "environment"}),
        **some(Environment=environment),
    }


def _variant(variant: Properties) -> Properties:
    serverless = variant.get("serverlessConfig")
    answer = pascal({k: v for k, v in variant.items() if k != "serverlessConfig"})
    if serverless:
        answer["ServerlessConfig"] = {
            "MemorySizeInMB": serverless["memorySizeInMb"],
            "MaxConcurrency": serverless["maxConcurrency"],
            **some(ProvisionedConcurrency=serverless.get("provisionedConcurrency")),
        }
    return dict(answer)


TYPES = (Model, EndpointConfiguration, Endpoint, Target, Policy)
