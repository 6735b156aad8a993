"""PredictionApi: what API Gateway receives."""

import json
from typing import Any

import pytest

from infra.api import PredictionApi, PredictionApiArgs

JWT = {
    "auth": "jwt",
    "jwt_issuer": "https://issuer.example",
    "jwt_audiences": ("digits",),
}


@pytest.fixture
def make(deploy: Any) -> Any:
    """The component alone, with defaults except for what a test names."""

    def run(**given: Any) -> Any:
        args = {
            "api_name": "thimble-dev-digits",
            "function_name": "digits",
            "alias_name": "live",
            "invoke_arn": "arn:invoke",
            **given,
        }
        return deploy(lambda: PredictionApi("prediction", PredictionApiArgs(**args)))

    return run


def routes(deployment: Any) -> dict[str, str]:
    """Route keys with their kind of authorization."""
    return {
        inputs["routeKey"]: inputs["authorizationType"]
        for (kind, _), inputs in deployment.cloud.resources.items()
        if kind == "Route"
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "AWS_IAM"), (JWT, "JWT"), ({"auth": "none"}, "NONE")],
    ids=["default", "jwt", "none"],
)
def test_authorization(given: dict[str, Any], expected: str, make: Any) -> None:
    """Signed calls by default; only the health route is open to everybody."""
    assert {"$default": expected, "GET /ping": "NONE"} == routes(make(**given))


def test_no_authorizer_for_signed_calls(make: Any) -> None:
    """IAM needs no authorizer, and a route that named one would be refused."""
    made = make()

    assert "Authorizer" not in made.cloud.kinds()
    assert "authorizerId" not in made.cloud.one("Route", "prediction-predictions")


def test_jwt_authorizer(make: Any) -> None:
    """Tokens come in the Authorization header, from the issuer, for the audience."""
    made = make(**JWT)

    assert {
        "apiId": "prediction-id",
        "name": "jwt",
        "authorizerType": "JWT",
        "identitySources": ["$request.header.Authorization"],
        "jwtConfiguration": {"issuer": "https://issuer.example", "audiences": ["digits"]},
    } == made.cloud.one("Authorizer")
    assert "prediction-id" == made.cloud.one("Route", "prediction-predictions")["authorizerId"]


def test_integration(make: Any) -> None:
    """The alias is called with payload 2.0, which the handler speaks."""
    assert {
        "apiId": "prediction-id",
        "integrationType": "AWS_PROXY",
        "integrationUri": "arn:invoke",
        "payloadFormatVersion": "2.0",
        "timeoutMilliseconds": 30000,
    } == make().cloud.one("Integration")


def test_both_throttles(make: Any) -> None:
    """Both throttle fields are set: with one left out the gateway answers 429 to every call."""
    settings = make().cloud.one("Stage")["defaultRouteSettings"]

    assert (50, 100) == (settings["throttlingRateLimit"], settings["throttlingBurstLimit"])


def test_no_metrics_by_the_route(make: Any) -> None:
    """Nothing reads a single route's metrics, so none are bought; off, as it may have been on."""
    assert make().cloud.one("Stage")["defaultRouteSettings"]["detailedMetricsEnabled"] is False


def test_access_log(make: Any) -> None:
    """Each call leaves one line of JSON, in a group that forgets."""
    made = make(log_retention=7)
    settings = made.cloud.one("Stage")["accessLogSettings"]

    assert {"name": "/aws/vendedlogs/thimble-dev-digits", "retentionInDays": 7} == made.cloud.one(
        "LogGroup"
    )
    assert settings["destinationArn"].endswith(":log-group:/aws/vendedlogs/thimble-dev-digits")
    assert "$context.status" == json.loads(settings["format"])["status"]


def test_permission(make: Any) -> None:
    """This API alone may call the alias, and only the alias."""
    assert {
        "action": "lambda:InvokeFunction",
        "function": "digits",
        "qualifier": "live",
        "principal": "apigateway.amazonaws.com",
        "sourceArn": "arn:aws:execute-api:eu-central-1:000000000000:prediction/*/*",
    } == make().cloud.one("Permission")


def test_no_cors(make: Any) -> None:
    """Without origins no web page may call."""
    assert "corsConfiguration" not in make().cloud.one("Api")


def test_cors(make: Any) -> None:
    """With origins their pages may call, and the browser's first question needs no credentials."""
    made = make(cors_origins=("https://example.com",))
    cors = made.cloud.one("Api")["corsConfiguration"]

    assert (["https://example.com"], ["GET", "POST"]) == (
        cors["allowOrigins"],
        cors["allowMethods"],
    )
    # The last is what AWS's own signer sends from a browser.
    expected = {"authorization", "content-encoding", "x-amz-content-sha256"}
    assert expected <= set(cors["allowHeaders"])
    # The Open Inference Protocol's raw tensors need it both ways.
    length = "inference-header-content-length"
    assert length in cors["allowHeaders"]
    assert length in cors["exposeHeaders"]
    assert "NONE" == routes(made)["OPTIONS /{proxy+}"]


@pytest.mark.parametrize("protect", [False, True])
def test_protection(protect: bool, make: Any) -> None:  # noqa: FBT001 (a parameter of the test)
    """What holds the URL can be protected from deletion."""
    assert protect == make(protect=protect).options("Api", "prediction").protect


def test_stage_waits_for_routes(make: Any) -> None:
    """The stage is deployed with its routes, not before them."""
    dependencies = make().options("Stage", "prediction").dependencies

    assert 2 == len([urn for urn in dependencies if "Route" in urn])
