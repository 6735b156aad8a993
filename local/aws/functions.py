"""Lambda functions, their aliases and who may call them; log groups."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from local.aws.resource import Resource, pascal, some
from local.emulator import REGION

if TYPE_CHECKING:
    from local.values import Properties

CODE = ("imageUri", "architectures")
NOT_PUBLISHED = {"tags", "publish", "reservedConcurrentExecutions", "skipDestroy"}


class LogGroup(Resource):
    """aws.cloudwatch.LogGroup."""

    token = "aws:cloudwatch/logGroup:LogGroup"  # noqa: S105 - a type token
    service = "logs"
    physical = "name"
    fixed = frozenset({"name"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the group and set its retention."""
        self.client.create_log_group(
            logGroupName=news["name"],
            **some(kmsKeyId=news.get("kmsKeyId"), tags=news.get("tags") or None),
        )
        self._retain(news)
        group = self._describe(news["name"])
        return news["name"], {"arn": str(group["arn"]).removesuffix(":*")}

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change the retention, or keep the logs for ever."""
        if outputs.get("retentionInDays") and not news.get("retentionInDays"):
            self.client.delete_retention_policy(logGroupName=id_)
        self._retain(news)
        return {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read name and retention."""
        del outputs
        group = self._describe(id_)
        return {"name": id_, "retentionInDays": group.get("retentionInDays")}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the group."""
        del outputs
        self.client.delete_log_group(logGroupName=id_)

    def _retain(self, news: Properties) -> None:
        if news.get("retentionInDays"):
            self.client.put_retention_policy(
                logGroupName=news["name"], retentionInDays=news["retentionInDays"]
            )

    def _describe(self, name: str) -> dict[str, Any]:
        groups = self.client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        for group in groups:
            if group["logGroupName"] == name:
                return dict(group)
        raise self.client.exceptions.ResourceNotFoundException(
            {"Error": {"Code": "ResourceNotFoundException"}}, "DescribeLogGroups"
        )


class Function(Resource):
    """aws.lambda_.Function of package type Image, with published versions."""

    token = "aws:lambda/function:Function"  # noqa: S105
    service = "lambda"
    physical = "name"
    fixed = frozenset({"name", "packageType"})
    volatile = frozenset(
        {"version", "qualifiedArn", "qualifiedInvokeArn", "lastModified", "codeSha256"}
    )

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the function and publish its first version."""
        made = self.client.create_function(
            FunctionName=news["name"],
            PackageType=news.get("packageType", "Image"),
            Code={"ImageUri": news["imageUri"]},
            Publish=bool(news.get("publish", False)),
            **some(Architectures=news.get("architectures"), Tags=news.get("tags")),
            **_configuration(news),
        )
        self._reserve(news)
        return news["name"], _outputs(made)

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change configuration, then code, then publish what came of it."""
        changed = {k for k in news if news[k] != outputs.get(k)}
        if changed - set(CODE) - NOT_PUBLISHED:
            self.client.update_function_configuration(FunctionName=id_, **_configuration(news))
        if changed & set(CODE):
            self.client.update_function_code(
                FunctionName=id_,
                ImageUri=news["imageUri"],
                **some(Architectures=news.get("architectures")),
            )
        self._reserve(news)
        if news.get("publish") and changed - NOT_PUBLISHED:
            return _outputs(self.client.publish_version(FunctionName=id_))
        return {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read what a person might have changed in the console."""
        del outputs
        found = self.client.get_function(FunctionName=id_)
        configuration = found["Configuration"]
        return {
            "name": id_,
            "imageUri": found["Code"]["ImageUri"],
            "memorySize": configuration["MemorySize"],
            "timeout": configuration["Timeout"],
            "role": configuration["Role"],
        }

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the function with all versions."""
        del outputs
        self.client.delete_function(FunctionName=id_)

    def _reserve(self, news: Properties) -> None:
        reserved = news.get("reservedConcurrentExecutions")
        if reserved is not None and reserved >= 0:
            self.client.put_function_concurrency(
                FunctionName=news["name"], ReservedConcurrentExecutions=reserved
            )


class Alias(Resource):
    """aws.lambda_.Alias; its id is `function:name`."""

    token = "aws:lambda/alias:Alias"  # noqa: S105
    service = "lambda"
    physical = "name"
    fixed = frozenset({"name", "functionName"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the alias."""
        made = self.client.create_alias(Name=news["name"], **_alias(news))
        return self.identify(news), {
            "arn": made["AliasArn"],
            "invokeArn": _invoke(made["AliasArn"]),
        }

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Point it elsewhere."""
        del id_, outputs
        self.client.update_alias(Name=news["name"], **_alias(news))
        return {}

    def identify(self, news: Properties) -> str:
        """`function:name`; a function may be named by its ARN."""
        return f"{str(news['functionName']).rpartition(':')[2]}:{news['name']}"

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read where it points."""
        del outputs
        function, _, name = id_.partition(":")
        found = self.client.get_alias(FunctionName=function, Name=name)
        return {"name": name, "functionVersion": found["FunctionVersion"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the alias."""
        del outputs
        function, _, name = id_.partition(":")
        self.client.delete_alias(FunctionName=function, Name=name)


class Permission(Resource):
    """aws.lambda_.Permission; nothing of it can be changed in place."""

    token = "aws:lambda/permission:Permission"  # noqa: S105
    service = "lambda"
    fixed = frozenset(
        {
            "action",
            "function",
            "principal",
            "qualifier",
            "sourceArn",
            "sourceAccount",
            "statementId",
        }
    )

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Give the statement an id."""
        made_up = olds.get("statementId") or f"{name}-{secrets.token_hex(4)}"
        return {**news, "statementId": news.get("statementId") or made_up}

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Any:  # noqa: ANN401
        """Compare; a statement id may stand only once, so the old one goes first."""
        found = super().diff(id_, inputs, outputs, news)
        return type(found)(found.changed, found.replaces, delete_first=True)

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Add the statement."""
        self.client.add_permission(
            FunctionName=news["function"],
            StatementId=news["statementId"],
            Action=news["action"],
            Principal=news["principal"],
            **some(
                Qualifier=news.get("qualifier"),
                SourceArn=news.get("sourceArn"),
                SourceAccount=news.get("sourceAccount"),
            ),
        )
        return news["statementId"], {}

    def identify(self, news: Properties) -> str:
        """The statement's id."""
        return str(news["statementId"])

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Find the statement in the function's policy."""
        policy = self.client.get_policy(
            FunctionName=outputs["function"], **some(Qualifier=outputs.get("qualifier"))
        )
        for statement in json.loads(policy["Policy"])["Statement"]:
            if statement["Sid"] == id_:
                return {"statementId": id_, "action": statement["Action"]}
        raise self.client.exceptions.ResourceNotFoundException(
            {"Error": {"Code": "ResourceNotFoundException"}}, "GetPolicy"
        )

    def remove(self, id_: str, outputs: Properties) -> None:
        """Take the statement away."""
        self.client.remove_permission(
            FunctionName=outputs["function"],
            StatementId=id_,
            **some(Qualifier=outputs.get("qualifier")),
        )


class ProvisionedConcurrencyConfig(Resource):
    """aws.lambda_.ProvisionedConcurrencyConfig; its id is `function,qualifier`."""

    token = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"  # noqa: S105
    service = "lambda"
    fixed = frozenset({"functionName", "qualifier"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the configuration."""
        self.client.put_provisioned_concurrency_config(
            FunctionName=news["functionName"],
            Qualifier=news["qualifier"],
            ProvisionedConcurrentExecutions=news["provisionedConcurrentExecutions"],
        )
        return f"{news['functionName']},{news['qualifier']}", {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the configuration."""
        del outputs
        function, _, qualifier = id_.partition(",")
        found = self.client.get_provisioned_concurrency_config(
            FunctionName=function, Qualifier=qualifier
        )
        requested = found["RequestedProvisionedConcurrentExecutions"]
        return {"provisionedConcurrentExecutions": requested}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the configuration."""
        del outputs
        function, _, qualifier = id_.partition(",")
        self.client.delete_provisioned_concurrency_config(
            FunctionName=function, Qualifier=qualifier
        )


def _configuration(news: Properties) -> Properties:
    return {
        "Role": news["role"],
        "MemorySize": news.get("memorySize", 128),
        "Timeout": news.get("timeout", 3),
        # Variables keep their own spelling.
        "Environment": {"Variables": (news.get("environment") or {}).get("variables") or {}},
        **some(
            Description=news.get("description"),
            TracingConfig=pascal(news.get("tracingConfig")),
            LoggingConfig=pascal(news.get("loggingConfig")),
            EphemeralStorage=pascal(news.get("ephemeralStorage")),
            SnapStart=pascal(news.get("snapStart")),
            ImageConfig=_image_config(news.get("imageConfig")),
        ),
    }


def _image_config(config: Properties | None) -> Properties | None:
    if config is None:
        return None
    return some(
        Command=config.get("commands"),
        EntryPoint=config.get("entryPoints"),
        WorkingDirectory=config.get("workingDirectory"),
    )


def _alias(news: Properties) -> Properties:
    weights = (news.get("routingConfig") or {}).get("additionalVersionWeights") or {}
    return {
        "FunctionName": news["functionName"],
        "FunctionVersion": news["functionVersion"],
        "RoutingConfig": {"AdditionalVersionWeights": weights},
    }


def _outputs(made: dict[str, Any]) -> Properties:
    qualified = str(made["FunctionArn"])
    version = str(made["Version"])
    arn = qualified.removesuffix(f":{version}")
    return {
        "arn": arn,
        "version": version,
        "qualifiedArn": f"{arn}:{version}",
        "invokeArn": _invoke(arn),
        "qualifiedInvokeArn": _invoke(f"{arn}:{version}"),
        "lastModified": made["LastModified"],
        "codeSha256": made.get("CodeSha256"),
    }


def _invoke(arn: str) -> str:
    """What API Gateway calls; its own account of a function's address."""
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


TYPES = (LogGroup, Function, Alias, Permission, ProvisionedConcurrencyConfig)
