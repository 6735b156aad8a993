"""Every setting, read once: nothing else in the program calls pulumi.Config.

Pulumi.yaml describes each setting for its user; tests hold the two to the same keys and defaults.
"""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pulumi
from pulumi.runtime import config as runtime

from infra import limits, stage
from infra.card import Card
from infra.config import nested, read_area, well_placed
from infra.errors import CardError, SettingsError

NAMESPACE = "thimble"
AREAS = ("image", "function", "api", "endpoint", "watch")


class Auth(StrEnum):
    """Who may call the API.

    `IAM` callers sign requests with AWS credentials; `JWT` callers bring a token of your issuer;
    `NONE` is everybody, and therefore only for a local stack.
    """

    IAM = "iam"
    JWT = "jwt"
    NONE = "none"


class Backend(StrEnum):
    """Where the arithmetic happens.

    `LITERT` is inside the function; `SAGEMAKER` is an endpoint this program makes from the same
    image; `HTTP` is a server that somebody else runs.
    """

    LITERT = "litert"
    SAGEMAKER = "sagemaker"
    HTTP = "http"


class Telemetry(StrEnum):
    """What a request leaves in the log.

    `METRICS` is a line that CloudWatch makes metrics of, each of them paid for; `LOG` is the line
    without metrics; `OFF` is nothing.
    """

    METRICS = "metrics"
    LOG = "log"
    OFF = "off"


class EndpointKind(StrEnum):
    """How a SageMaker endpoint is paid for: per request (`SERVERLESS`) or per `INSTANCES` hour."""

    SERVERLESS = "serverless"
    INSTANCES = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """`image.*`: what the container is built on, or where it is promoted from."""

    base_image: str = "public.ecr.aws/lambda/python:3.13"
    python_version: str = ""
    promote_from: str = ""
    digest: str = ""
    keep_releases: int = 30
    shared_with: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """The base image's Python as X.Y: the setting, else what the base image's tag says."""
        if self.python_version:
            return self.python_version
        tag = re.search(r":(\d+\.\d+)", self.base_image)
        return tag.group(1) if tag else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """`function.*`: the Lambda function. Memory and storage in MB, time in s, retention in days."""

    memory: int = 1769
    timeout: int = 28
    architecture: str = "arm64"
    ephemeral_storage: int = 512
    log_retention: int = 30
    provisioned_concurrency: int = 0
    snap_start: bool = False
    threads: int = 0
    telemetry: str = Telemetry.METRICS.value
    # Traces cost several times what the predictions do; whoever wants them asks.
    tracing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """`api.*`: who may call, how often (requests a second), and from which web pages."""

    auth: str = Auth.IAM.value
    jwt_issuer: str = ""
    jwt_audiences: tuple[str, ...] = ()
    throttle_rate: int = 50
    throttle_burst: int = 100
    cors_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """`endpoint.*`: the SageMaker endpoint of `backend: sagemaker`. Memory in MB."""

    kind: str = EndpointKind.SERVERLESS.value
    memory: int = 2048
    max_concurrency: int = 5
    instance_type: str = "ml.c6g.large"
    min_instances: int = 1
    max_instances: int = 2
    invocations_per_instance: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """`watch.*`: when to raise an alarm (counts in 5 minutes), whom to tell, what may be spent."""

    email: str = ""
    errors: int = 1
    throttles: int = 1
    p99_milliseconds: int = 1000
    server_errors: int = 1
    monthly_budget: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Top:
    """The settings outside any area."""

    model: str = "models/digits"
    recipe: str = "auto"
    backend: str = Backend.LITERT.value
    backend_url: str = ""
    protect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that one stack can be told, checked as a whole."""

    stack: str
    card: Card
    recipe: str = "auto"
    backend: Backend = Backend.LITERT
    backend_url: str = ""
    protect: bool = False
    image: ImageSettings = field(default_factory=ImageSettings)
    function: FunctionSettings = field(default_factory=FunctionSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)

    @classmethod
    def from_config(cls) -> "Settings":
        """Read and check the running stack's configuration.

        Raises:
            SettingsError: One message that lists every fault found.
        """
        everything = runtime.get_config_env() | runtime.CONFIG.get()
        return cls.from_values(pulumi.get_stack(), everything)

    @classmethod
    def from_values(cls, stack: str, config: Mapping[str, Any]) -> "Settings":
        """Check a stack's configuration.

        Args:
            stack: The stack's name.
            config: Every key with its namespace, as the engine passes them.

        Raises:
            SettingsError: One message that lists every fault found.
        """
        faults: list[str] = []
        given = {
            key.removeprefix(f"{NAMESPACE}:"): value
            for key, value in config.items()
            if key.startswith(f"{NAMESPACE}:")
        }
        own = well_placed(given, AREAS, faults)
        top = read_area(
            _Top, {key: value for key, value in own.items() if key not in AREAS}, "", faults
        )
        image = read_area(ImageSettings, nested(own, "image", faults), "image.", faults)
        function = read_area(FunctionSettings, nested(own, "function", faults), "function.", faults)
        api = read_area(ApiSettings, nested(own, "api", faults), "api.", faults)
        endpoint = read_area(EndpointSettings, nested(own, "endpoint", faults), "endpoint.", faults)
        watch = read_area(WatchSettings, nested(own, "watch", faults), "watch.", faults)
        card = None
        try:
            card = Card.load(top.model)
        except CardError as error:
            faults.append(str(error))
        for check in (
            limits.recipe(top.recipe),
            limits.image(image),
            limits.base_image(stack, image, protect=top.protect),
            limits.function(function),
            limits.api(api),
            limits.endpoint(endpoint),
            limits.watch(watch),
            limits.choices(top.backend, api.auth, endpoint.kind),
            limits.combinations(top.backend, top.backend_url, function, api),
            limits.issuer(stack, api),
            limits.hardware(top.backend, image, function, endpoint),
            stage.rights(stack, api.auth, function.architecture),
            stage.promotion(
                stack, pulumi.get_organization(), pulumi.get_project(), image.promote_from
            ),
            stage.credentials(config, image),
            stage.cloud(stack, config),
            stage.names(stack, card.name) if card else (),
        ):
            faults.extend(check)
        if faults or card is None:
            raise SettingsError(_message(stack, faults))
        return cls(
            stack=stack,
            card=card,
            recipe=top.recipe,
            backend=Backend(top.backend),
            backend_url=top.backend_url,
            protect=top.protect,
            image=image,
            function=function,
            api=api,
            endpoint=endpoint,
            watch=watch,
        )

    @property
    def name(self) -> str:
        """What this stack's AWS resources are called: unlike other stacks', and readable."""
        return f"{NAMESPACE}-{self.stack}-{self.card.name}"

    @property
    def repository_name(self) -> str:
        """The ECR repository: lower case, one separator at a time, as ECR insists."""
        parts = (NAMESPACE, self.stack, self.card.name)
        return "/".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)

    @property
    def endpoint_name(self) -> str:
        """The SageMaker endpoint: letters, digits and single hyphens, as SageMaker insists."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[:63].rstrip("-")

    @property
    def promote_from(self) -> str:
        """The stack promoted from, by its full name ORGANIZATION/PROJECT/STACK; empty for none."""
        wanted = self.image.promote_from
        if not wanted or "/" in wanted:
            return wanted
        return f"{pulumi.get_organization()}/{pulumi.get_project()}/{wanted}"

    @property
    def architecture(self) -> str:
        """Lambda's name of the architecture, `host` resolved."""
        if self.function.architecture != "host":
            return self.function.architecture
        return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def _message(stack: str, faults: list[str]) -> str:
    if len(faults) == 1:
        return f"stack {stack}: {faults[0]}"
    listed = "".join(f"\n  - {fault}" for fault in faults)
    return f"stack {stack}: {len(faults)} settings need mending (Pulumi.{stack}.yaml):{listed}"
