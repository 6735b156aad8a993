"""PredictionFunction: what Lambda, IAM and CloudWatch receive."""

import json
from typing import Any

import pytest

from infra.function import PredictionFunction, PredictionFunctionArgs

URI = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/thimble/dev/digits@sha256:" + "d" * 64
LOGS = "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/digits"


@pytest.fixture
def make(deploy: Any) -> Any:
    """The component alone, with defaults except for what a test names."""

    def run(**given: Any) -> Any:
        args = {"function_name": "digits", "image_uri": URI, "architecture": "arm64", **given}
        return deploy(lambda: PredictionFunction("prediction", PredictionFunctionArgs(**args)))

    return run


def statements(deployment: Any) -> list[dict[str, Any]]:
    """What the function's role is granted."""
    policy = json.loads(deployment.cloud.one("RolePolicy")["policy"])
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def test_defaults(make: Any) -> None:
    """By default: one core, 28 s, JSON logs in our own group, no traces, and published versions."""
    assert {
        "name": "digits",
        "packageType": "Image",
        "imageUri": URI,
        "role": "arn:aws:role:eu-central-1:000000000000:digits",
        "architectures": ["arm64"],
        "memorySize": 1769,
        "timeout": 28,
        "ephemeralStorage": {"size": 512},
        "environment": {"variables": {"MODEL_BACKEND": "litert", "TELEMETRY": "metrics"}},
        "loggingConfig": {"logFormat": "JSON", "logGroup": "/aws/lambda/digits"},
        "tracingConfig": {"mode": "PassThrough"},
        "publish": True,
    } == make().cloud.one("Function")


def test_alias_points_at_the_version(make: Any) -> None:
    """`live` points at a published version, never at $LATEST."""
    assert {"name": "live", "functionName": "digits", "functionVersion": "7"} == make().cloud.one(
        "Alias"
    )


def test_log_group_comes_first(make: Any) -> None:
    """The group has a retention, and exists before a function that would make one without."""
    made = make(log_retention=7)
    request = made.options("Function", "prediction")

    assert {"name": "/aws/lambda/digits", "retentionInDays": 7} == made.cloud.one("LogGroup")
    assert any("LogGroup" in urn for urn in request.propertyDependencies["loggingConfig"].urns)


def test_grants_come_first(make: Any) -> None:
    """The function waits for the policy by which its first call can log."""
    assert any("RolePolicy" in urn for urn in make().options("Function", "prediction").dependencies)


def test_least_privilege(make: Any) -> None:
    """The role writes its own log group's streams, and may do nothing else."""
    assert [("logs:CreateLogStream logs:PutLogEvents", f"{LOGS}:*")] == [
        (" ".join(entry["Action"]), entry["Resource"]) for entry in statements(make())
    ]


def test_tracing(make: Any) -> None:
    """Asked to, X-Ray records requests, and the role may hand it what it recorded."""
    made = make(tracing=True)

    assert {"mode": "Active"} == made.cloud.one("Function")["tracingConfig"]
    assert ("xray:PutTraceSegments xray:PutTelemetryRecords", "*") == (
        " ".join(statements(made)[-1]["Action"]),
        statements(made)[-1]["Resource"],
    )


def test_role_is_lambda_s(make: Any) -> None:
    """Only Lambda may assume the role."""
    trust = json.loads(make().cloud.one("Role")["assumeRolePolicy"])

    assert [{"Service": "lambda.amazonaws.com"}] == [
        entry["Principal"] for entry in trust["Statement"]
    ]


def test_sagemaker_backend(make: Any) -> None:
    """With an endpoint, the handler is told its name and the role may call that one."""
    made = make(backend="sagemaker", endpoint_name="digits", endpoint_arn="arn:endpoint")

    assert {
        "MODEL_BACKEND": "sagemaker",
        "TELEMETRY": "metrics",
        "SAGEMAKER_ENDPOINT": "digits",
        "BACKEND_TIMEOUT_MS": "25000",
    } == made.cloud.one("Function")["environment"]["variables"]
    assert {
        "Effect": "Allow",
        "Action": "sagemaker:InvokeEndpoint",
        "Resource": "arn:endpoint",
    } == statements(made)[-1]


def test_http_backend(make: Any) -> None:
    """With a server of somebody else's, the handler is told its address."""
    made = make(backend="http", backend_url="https://models.example.com")

    assert {
        "MODEL_BACKEND": "http",
        "TELEMETRY": "metrics",
        "BACKEND_URL": "https://models.example.com",
        "BACKEND_TIMEOUT_MS": "25000",
    } == made.cloud.one("Function")["environment"]["variables"]


@pytest.mark.parametrize(("timeout", "expected"), [(1, "750"), (8, "6000"), (29, "26000")])
def test_backend_may_take_less_than_the_function(make: Any, timeout: int, expected: str) -> None:
    """A backend is given up before Lambda stops the function, which then says what failed."""
    made = make(backend="http", backend_url="https://models.example.com", timeout=timeout)

    variables = made.cloud.one("Function")["environment"]["variables"]
    assert expected == variables["BACKEND_TIMEOUT_MS"]


def test_threads_and_telemetry(make: Any) -> None:
    """The handler is told of threads where they are set, and how much to write."""
    assert {"MODEL_BACKEND": "litert", "TELEMETRY": "off", "MODEL_THREADS": "2"} == make(
        threads=2, telemetry="off"
    ).cloud.one("Function")["environment"]["variables"]


def test_no_provisioned_concurrency(make: Any) -> None:
    """Nothing is paid by the hour unless asked for."""
    assert "ProvisionedConcurrencyConfig" not in make().cloud.kinds()


def test_provisioned_concurrency(make: Any) -> None:
    """Instances are kept warm for the alias, which is what callers reach."""
    made = make(provisioned_concurrency=2)

    assert {
        "functionName": "digits",
        "qualifier": "live",
        "provisionedConcurrentExecutions": 2,
    } == made.cloud.one("ProvisionedConcurrencyConfig")


def test_snap_start(make: Any) -> None:
    """Snapshots are taken of published versions."""
    assert {"applyOn": "PublishedVersions"} == make(snap_start=True).cloud.one("Function")[
        "snapStart"
    ]
