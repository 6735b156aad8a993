"""The program `pulumi up` runs, as a table of contents."""

import pulumi

from infra.api import PredictionApi, PredictionApiArgs
from infra.function import PredictionFunction, PredictionFunctionArgs
from infra.image import ModelImage, ModelImageArgs
from infra.model import OptimizedModel, OptimizedModelProps
from infra.repository import ModelRepository, ModelRepositoryArgs
from infra.settings import Settings
from infra.source import commit

settings = Settings.from_config()

model = OptimizedModel("model", OptimizedModelProps.of(settings.card, settings.recipe))

repository = ModelRepository(
    "model",
    ModelRepositoryArgs(
        repository_name=settings.repository_name,
        keep_releases=settings.image.keep_releases,
        force_delete=settings.local,
        protect=settings.protect,
    ),
)

image = ModelImage(
    "model",
    ModelImageArgs(
        card=settings.card,
        artifact=model.artifact,
        model_sha256=model.sha256,
        repository_url=repository.url,
        registry_id=repository.registry_id,
        architecture=settings.architecture,
        base_image=settings.image.base_image,
        python=settings.image.python,
    ),
)

function = PredictionFunction(
    "prediction",
    PredictionFunctionArgs(
        function_name=settings.name,
        image_uri=image.uri,
        architecture=settings.architecture,
        memory=settings.function.memory,
        timeout=settings.function.timeout,
        ephemeral_storage=settings.function.ephemeral_storage,
        log_retention=settings.function.log_retention,
        environment={"MODEL_BACKEND": settings.backend.value},
        provisioned_concurrency=settings.function.provisioned_concurrency,
        snap_start=settings.function.snap_start,
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

pulumi.export("url", api.url)
pulumi.export("image_digest", image.digest)
pulumi.export("model_sha256", model.sha256)
pulumi.export("recipe", model.chosen)
pulumi.export("commit", commit())
pulumi.export("function", function.function_name)
pulumi.export("alias", function.alias_name)
