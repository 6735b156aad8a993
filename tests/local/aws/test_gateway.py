"""HTTP APIs and their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.aws.conftest import Account, Deployed

API = "aws:apigatewayv2/api:Api"
INTEGRATION = "aws:apigatewayv2/integration:Integration"
ROUTE = "aws:apigatewayv2/route:Route"
AUTHORIZER = "aws:apigatewayv2/authorizer:Authorizer"
STAGE = "aws:apigatewayv2/stage:Stage"
CALLED = "arn:aws:lambda:us-east-1:000000000000:function:predict:live"
JWT = {"issuer": "https://issuer.example/", "audiences": ["api", "web"]}


@pytest.fixture
def api(account: Account) -> Iterator[Deployed]:
    """An HTTP API with CORS, removed after the test."""
    cors = {"allowOrigins": ["https://a.example"], "allowMethods": ["POST"]}
    made = account.make(API, "predictions", protocolType="HTTP", corsConfiguration=cors)
    yield made
    made.remove()
    assert account.client("apigatewayv2").get_apis()["Items"] == []


def test_api(account: Account, api: Deployed) -> None:
    """Its outputs name it as the program needs it; CORS can change and go."""
    client = account.client("apigatewayv2")
    assert client.get_api(ApiId=api.id)["ApiEndpoint"] == api.outputs["apiEndpoint"]
    assert api.outputs["executionArn"].endswith(f":{api.id}")
    api.change(corsConfiguration={"allowOrigins": ["https://b.example"]}, description="x")
    found = client.get_api(ApiId=api.id)
    assert found["CorsConfiguration"]["AllowOrigins"] == ["https://b.example"]
    assert found["Description"] == "x"
    api.change(corsConfiguration=None)
    assert not client.get_api(ApiId=api.id).get("CorsConfiguration")


def test_an_api_that_was_cut_off_is_found_by_its_name(account: Account) -> None:
    """Its id was never recorded; resuming leaves one API of that name."""
    made = account.make(API, "predictions", protocolType="HTTP")
    made.id, _ = made.kind.create(made.inputs, resume=True)
    (found,) = account.client("apigatewayv2").get_apis()["Items"]
    assert found["ApiId"] == made.id
    made.remove()


def test_integration(account: Account, api: Deployed) -> None:
    """The timeout is TimeoutInMillis to AWS."""
    made = account.make(
        INTEGRATION,
        "lambda",
        apiId=api.id,
        integrationType="AWS_PROXY",
        integrationUri=CALLED,
        payloadFormatVersion="2.0",
        timeoutMilliseconds=5000,
    )
    client = account.client("apigatewayv2")
    found = client.get_integration(ApiId=api.id, IntegrationId=made.id)
    assert (found["IntegrationUri"], found["TimeoutInMillis"]) == (CALLED, 5000)
    made.change(timeoutMilliseconds=9000)
    found = client.get_integration(ApiId=api.id, IntegrationId=made.id)
    assert found["TimeoutInMillis"] == 9000
    made.remove()


def test_route(account: Account, api: Deployed) -> None:
    """Another API is another route; all else changes in place."""
    made = account.make(
        ROUTE, "predict", apiId=api.id, routeKey="POST /v1/{proxy+}", authorizationType="AWS_IAM"
    )
    made.change(target="integrations/abc")
    found = account.client("apigatewayv2").get_route(ApiId=api.id, RouteId=made.id)
    assert found["RouteKey"] == "POST /v1/{proxy+}"
    assert (found["AuthorizationType"], found["Target"]) == ("AWS_IAM", "integrations/abc")
    _, diff = made.diff(apiId="other")
    assert (diff.replaces, diff.delete_first) == (("apiId",), False)
    made.remove()


PARTS = {
    ROUTE: {"routeKey": "GET /ping"},
    STAGE: {"name": "$default"},
    AUTHORIZER: {
        "name": "jwt",
        "authorizerType": "JWT",
        "identitySources": ["$request.header.Authorization"],
        "jwtConfiguration": JWT,
    },
}


@pytest.mark.parametrize(("token", "inputs"), PARTS.items(), ids=lambda v: str(v)[-9:])
def test_a_part_that_was_cut_off_is_there_once(
    account: Account, api: Deployed, token: str, inputs: dict[str, Any]
) -> None:
    """AWS refuses a second one; resuming leaves the new one and no other."""
    made = account.make(token, "part", apiId=api.id, **inputs)
    other = account.make(ROUTE, "other", apiId=api.id, routeKey="GET /other")
    made.id, _ = made.kind.create(made.inputs, resume=True)
    assert made.found is not None
    assert other.found is not None
    other.remove()
    made.remove()
    client = account.client("apigatewayv2")
    for items in (client.get_routes, client.get_stages, client.get_authorizers):
        assert items(ApiId=api.id)["Items"] == []


def test_drift_of_a_route_is_seen(account: Account, api: Deployed) -> None:
    """A route that somebody opened by hand."""
    made = account.make(
        ROUTE, "predict", apiId=api.id, routeKey="POST /", authorizationType="AWS_IAM"
    )
    account.client("apigatewayv2").update_route(
        ApiId=api.id, RouteId=made.id, AuthorizationType="NONE"
    )
    assert made.drift() == {"authorizationType"}
    made.remove()


def test_authorizer(account: Account, api: Deployed) -> None:
    """AWS says Audience and IdentitySource where Pulumi has plurals."""
    made = account.make(
        AUTHORIZER,
        "jwt",
        apiId=api.id,
        name="jwt",
        authorizerType="JWT",
        identitySources=["$request.header.Authorization"],
        jwtConfiguration=JWT,
    )
    client = account.client("apigatewayv2")
    found = client.get_authorizer(ApiId=api.id, AuthorizerId=made.id)
    expected = {"Audience": ["api", "web"], "Issuer": "https://issuer.example/"}
    assert found["JwtConfiguration"] == expected
    assert found["IdentitySource"] == ["$request.header.Authorization"]
    made.change(jwtConfiguration={**JWT, "audiences": ["api"]})
    found = client.get_authorizer(ApiId=api.id, AuthorizerId=made.id)
    assert found["JwtConfiguration"]["Audience"] == ["api"]
    made.remove()


def test_stage(account: Account, api: Deployed) -> None:
    """Its id is its name, route settings are a map by route key, and it knows its address."""
    made = account.make(
        STAGE,
        "stage",
        apiId=api.id,
        name="$default",
        autoDeploy=True,
        defaultRouteSettings={"throttlingBurstLimit": 20, "throttlingRateLimit": 10},
        routeSettings=[{"routeKey": "GET /ping", "throttlingBurstLimit": 5}],
        accessLogSettings={"destinationArn": "arn:aws:logs:x", "format": "$context.requestId"},
    )
    assert (made.id, made.outputs["invokeUrl"]) == ("$default", f"{api.outputs['apiEndpoint']}/")
    client = account.client("apigatewayv2")
    found = client.get_stage(ApiId=api.id, StageName="$default")
    assert found["RouteSettings"]["GET /ping"]["ThrottlingBurstLimit"] == 5
    assert found["DefaultRouteSettings"]["ThrottlingRateLimit"] == 10
    made.change(defaultRouteSettings={"throttlingBurstLimit": 40, "throttlingRateLimit": 10})
    found = client.get_stage(ApiId=api.id, StageName="$default")
    assert found["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 40
    assert made.diff(name="v1")[1].replaces == ("name",)
    made.remove()


def test_named_stage_has_its_name_in_the_address(account: Account, api: Deployed) -> None:
    """$default has none."""
    made = account.make(STAGE, "stage", apiId=api.id, name="v1", autoDeploy=True)
    assert made.outputs["invokeUrl"] == f"{api.outputs['apiEndpoint']}/v1"
    made.remove()


def test_parts_go_with_their_api(account: Account) -> None:
    """Deleting one whose API is gone is no error."""
    api = account.make(API, "predictions", protocolType="HTTP")
    route = account.make(ROUTE, "ping", apiId=api.id, routeKey="GET /ping")
    stage = account.make(STAGE, "stage", apiId=api.id, name="$default")
    api.remove()
    route.remove()
    stage.remove()
