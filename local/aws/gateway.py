"""API Gateway HTTP APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from local.aws.resource import ACCOUNT, Resource, pascal
from local.emulator import REGION

if TYPE_CHECKING:
    from local.values import Properties


class Api(Resource):
    """aws.apigatewayv2.Api."""

    token = "aws:apigatewayv2/api:Api"  # noqa: S105 - a type token
    service = "apigatewayv2"
    physical = "name"
    # A name here is no identity: two APIs may share one, so a replacement need not delete first.
    fixed = frozenset({"protocolType"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the API."""
        made = self.client.create_api(**_arguments(news))
        api = made["ApiId"]
        return api, {
            "apiEndpoint": made["ApiEndpoint"],
            "arn": f"arn:aws:apigateway:{REGION}::/apis/{api}",
            "executionArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}",
        }

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Make it; what an interrupted creation left is found by its name."""
        if resume:
            for api in self.client.get_apis()["Items"]:
                if api["Name"] == news["name"]:
                    self.delete(api["ApiId"], {})
        return self.make(news)

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change name, CORS and description."""
        arguments = _arguments(news)
        del arguments["ProtocolType"]
        arguments.pop("Tags", None)
        if "CorsConfiguration" not in arguments and outputs.get("corsConfiguration"):
            self.client.delete_cors_configuration(ApiId=id_)
        self.client.update_api(ApiId=id_, **arguments)
        return {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read its name."""
        del outputs
        found = self.client.get_api(ApiId=id_)
        return {"name": found["Name"], "protocolType": found["ProtocolType"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the API with all that hangs on it."""
        del outputs
        self.client.delete_api(ApiId=id_)


class Part(Resource):
    """Base of what belongs to an API and goes with it.

    Attributes:
        noun: The word in the names of boto3's methods.
        key: The field of the answer that holds the id.
        unique: The field that an API has once; None where two may be alike.
    """

    service = "apigatewayv2"
    fixed = frozenset({"apiId"})
    noun: ClassVar[str]
    key: ClassVar[str]
    unique: ClassVar[str | None] = None

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Make it; what an interrupted creation left is found by what must be unique."""
        if resume and self.unique:
            wanted = self.arguments(news)[self.unique]
            for item in self._call("get", plural="s", ApiId=news["apiId"])["Items"]:
                if item[self.unique] == wanted:
                    self.delete(item[self.key], news)
        return self.make(news)

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create it."""
        made = self._call("create", **self.arguments(news))
        return str(made[self.key]), self.computed(news, made)

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change it."""
        del outputs
        self._call("update", **{**self.arguments(news), self.key: id_})
        return {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read it, in the inputs' names."""
        found = self._call("get", ApiId=outputs["apiId"], **{self.key: id_})
        wanted = self.arguments(outputs)
        names = {key[:1].lower() + key[1:]: key for key in wanted if key in found}
        return {
            name: outputs[name] if found[key] == wanted[key] else found[key]
            for name, key in names.items()
            if name in outputs
        }

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete it."""
        self._call("delete", ApiId=outputs["apiId"], **{self.key: id_})

    def arguments(self, news: Properties) -> Properties:
        """The inputs as the API takes them."""
        return dict(pascal({k: v for k, v in news.items() if k != "tags"}))

    def computed(self, news: Properties, made: dict[str, Any]) -> Properties:
        """Outputs beside the inputs."""
        del news, made
        return {}

    def _call(self, verb: str, plural: str = "", **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - API values
        return dict(getattr(self.client, f"{verb}_{self.noun}{plural}")(**arguments))


class Integration(Part):
    """aws.apigatewayv2.Integration."""

    token = "aws:apigatewayv2/integration:Integration"  # noqa: S105
    noun = "integration"
    key = "IntegrationId"

    def arguments(self, news: Properties) -> Properties:
        """The one field whose two spellings differ is the timeout's."""
        arguments = super().arguments(news)
        if "TimeoutMilliseconds" in arguments:
            arguments["TimeoutInMillis"] = arguments.pop("TimeoutMilliseconds")
        return arguments


class Route(Part):
    """aws.apigatewayv2.Route."""

    token = "aws:apigatewayv2/route:Route"  # noqa: S105
    noun = "route"
    key = "RouteId"
    unique = "RouteKey"


class Authorizer(Part):
    """aws.apigatewayv2.Authorizer for JWT."""

    token = "aws:apigatewayv2/authorizer:Authorizer"  # noqa: S105
    noun = "authorizer"
    key = "AuthorizerId"
    unique = "Name"

    def arguments(self, news: Properties) -> Properties:
        """AWS calls the sources IdentitySource and the audiences Audience."""
        arguments = super().arguments(news)
        if "IdentitySources" in arguments:
            arguments["IdentitySource"] = arguments.pop("IdentitySources")
        if "JwtConfiguration" in arguments:
            jwt = arguments["JwtConfiguration"]
            arguments["JwtConfiguration"] = {"Audience": jwt["Audiences"], "Issuer": jwt["Issuer"]}
        return arguments


class Stage(Part):
    """aws.apigatewayv2.Stage; its id is its name."""

    token = "aws:apigatewayv2/stage:Stage"  # noqa: S105
    noun = "stage"
    key = "StageName"
    unique = "StageName"
    fixed = frozenset({"apiId", "name"})

    def arguments(self, news: Properties) -> Properties:
        """The name is the stage's; route settings are a map by route key, not a list."""
        arguments = super().arguments(news)
        arguments["StageName"] = arguments.pop("Name")
        settings = arguments.pop("RouteSettings", None)
        if settings:
            arguments["RouteSettings"] = {row.pop("RouteKey"): row for row in settings}
        return arguments

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create it, then tag it: an update, which has the same arguments, takes no tags."""
        id_, computed = super().make(news)
        if news.get("tags"):
            self.retag(computed, news["tags"], [])
        return id_, computed

    def computed(self, news: Properties, made: dict[str, Any]) -> Properties:
        """Where it is called."""
        del made
        url = self.client.get_api(ApiId=news["apiId"])["ApiEndpoint"]
        name = news["name"]
        return {
            "arn": f"arn:aws:apigateway:{REGION}::/apis/{news['apiId']}/stages/{name}",
            "invokeUrl": f"{url}/" if name == "$default" else f"{url}/{name}",
        }


def _arguments(news: Properties) -> Properties:
    arguments = {k: v for k, v in news.items() if k != "tags"}
    return {**pascal(arguments), **({"Tags": news["tags"]} if news.get("tags") else {})}


TYPES = (Api, Integration, Route, Authorizer, Stage)
