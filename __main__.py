"""The program `pulumi up` runs, as a table of contents."""

import pulumi

from infra.api import PredictionApi, PredictionApiArgs
from infra.endpoint import ModelEndpoint, ModelEndpointArgs
from infra.function import PredictionFunction, PredictionFunctionArgs
from infra.release import choose
from infra.repository import ModelRepository, ModelRepositoryArgs
from infra.settings import Backend, Settings
from infra.source import commit
from infra.watch import Watch, WatchArgs

settings = Settings.from_config()

repository = ModelRepository(
    "model",
    ModelRepositoryArgs(
        repository_name=settings.repository_name,
        keep_releases=settings.image.keep_releases,
        shared_with=settings.image.shared_with,
        protect=settings.protect,
    ),
)

release = choose(settings, repository)

endpoint = None
if settings.backend is Backend.SAGEMAKER:
    endpoint = ModelEndpoint(
        "endpoint",
        ModelEndpointArgs(
            endpoint_name=settings.endpoint_name,
            image_uri=release.uri,
            repository_arn=repository.arn,
            kind=settings.endpoint.kind,
            memory=settings.endpoint.memory,
            max_concurrency=settings.endpoint.max_concurrency,
            instance_type=settings.endpoint.instance_type,
            min_instances=settings.endpoint.min_instances,
            max_instances=settings.endpoint.max_instances,
            invocations_per_instance=settings.endpoint.invocations_per_instance,
            log_retention=settings.function.log_retention,
            telemetry=settings.function.telemetry,
        ),
    )

function = PredictionFunction(
    "prediction",
    PredictionFunctionArgs(
        function_name=settings.name,
        image_uri=release.uri,
        architecture=settings.architecture,
        memory=settings.function.memory,
        timeout=settings.function.timeout,
        ephemeral_storage=settings.function.ephemeral_storage,
        log_retention=settings.function.log_retention,
        backend=settings.backend,
        backend_url=settings.backend_url,
        endpoint_name=endpoint.endpoint_name if endpoint else None,
        endpoint_arn=endpoint.endpoint_arn if endpoint else None,
        provisioned_concurrency=settings.function.provisioned_concurrency,
        snap_start=settings.function.snap_start,
        threads=settings.function.threads,
        telemetry=settings.function.telemetry,
        tracing=settings.function.tracing,
    ),
)

api = PredictionApi(
    "prediction",
    PredictionApiArgs(
        api_name=settings.name,
        function_name=function.function_name,
        alias_name=function.alias_name,
        invoke_arn=function.invoke_arn,
        auth=settings.api.auth,
        jwt_issuer=settings.api.jwt_issuer,
        jwt_audiences=settings.api.jwt_audiences,
        throttle_rate=settings.api.throttle_rate,
        throttle_burst=settings.api.throttle_burst,
        cors_origins=settings.api.cors_origins,
        log_retention=settings.function.log_retention,
        protect=settings.protect,
    ),
)

Watch(
    "watch",
    WatchArgs(
        watch_name=settings.name,
        function_name=function.function_name,
        alias_name=function.alias_name,
        api_id=api.api_id,
        email=settings.watch.email,
        errors=settings.watch.errors,
        throttles=settings.watch.throttles,
        p99_milliseconds=settings.watch.p99_milliseconds,
        server_errors=settings.watch.server_errors,
        monthly_budget=settings.watch.monthly_budget,
    ),
)

pulumi.export("url", api.url)
pulumi.export("image_uri", release.uri)
pulumi.export("image_digest", release.digest)
pulumi.export("model_sha256", release.model_sha256)
pulumi.export("recipe", release.recipe)
pulumi.export("base_image", release.base_image)
pulumi.export("architecture", settings.architecture)
pulumi.export("commit", commit())
pulumi.export("function", function.function_name)
pulumi.export("alias", function.alias_name)
if endpoint:
    pulumi.export("endpoint", endpoint.endpoint_name)
