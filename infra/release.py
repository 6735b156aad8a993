"""Release: the image that a stack runs: built here, promoted, or one it ran before."""

import os
from dataclasses import dataclass

import pulumi

from infra import base
from infra.errors import SettingsError
from infra.image import ModelImage, ModelImageArgs
from infra.limits import is_local
from infra.model import OptimizedModel, OptimizedModelProps
from infra.promoted import PromotedImage, PromotedImageProps
from infra.repository import ModelRepository
from infra.settings import Settings

APPROVED = "THIMBLE_DIGEST"
"""The environment variable in which deploy.yml says what the gate has let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is deployed.

    Attributes:
        uri: REPOSITORY@sha256:..., in this stack's repository.
        digest: sha256:..., the same in every stack it is promoted to.
        model_sha256: Of model.tflite; "unknown" for an image gone back to.
        recipe: How the model was made small; likewise.
        base_image: What the image was built on; likewise, and None where the other stack was last
            deployed before it told.
    """

    uri: pulumi.Output[str]
    digest: pulumi.Input[str]
    model_sha256: pulumi.Input[str]
    recipe: pulumi.Input[str]
    base_image: pulumi.Input[str | None]


def choose(settings: Settings, repository: ModelRepository) -> Release:
    """What the settings say shall run."""
    if settings.image.digest:
        return returned(settings, repository)
    if settings.promote_from:
        return promoted(settings, repository)
    return built(settings, repository)


def returned(settings: Settings, repository: ModelRepository) -> Release:
    """Serve a digest that the repository holds already.

    A promoting stack leaves the other stage alone meanwhile. One that builds goes on building:
    taken out of state and put back later, the same image would be pushed to a tag that exists and
    may not move.
    """
    if not settings.promote_from:
        built(settings, repository)
    return Release(
        uri=pulumi.Output.concat(repository.url, "@", settings.image.digest),
        digest=settings.image.digest,
        model_sha256="unknown",
        recipe="unknown",
        base_image=base.UNKNOWN,
    )


def built(settings: Settings, repository: ModelRepository) -> Release:
    """Convert the model and build the image."""
    if not is_local(settings.stack) and not base.is_pinned(settings.image.base_image):
        pulumi.log.warn(base.remark(settings.image.base_image, settings.stack))
    model = OptimizedModel("model", OptimizedModelProps.of(settings.card, settings.recipe))
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
    return Release(
        uri=image.uri,
        digest=image.digest,
        model_sha256=model.sha256,
        recipe=model.chosen,
        base_image=settings.image.base_image,
    )


def promoted(settings: Settings, repository: ModelRepository) -> Release:
    """Take over what another stack runs: nothing is converted, nothing is built.

    A stack that lacks one of the outputs has not been deployed yet, which preview says.
    """
    stage = pulumi.StackReference(settings.promote_from)
    digest = stage.require_output("image_digest").apply(lambda found: _approved(settings, found))
    # Not required: what was deployed before this was exported may still be promoted.
    base_image = stage.get_output("base_image").apply(lambda known: _allowed(settings, known))
    made_for = stage.get_output("architecture").apply(lambda known: _runnable(settings, known))
    image = PromotedImage(
        "model",
        PromotedImageProps(
            # Nothing is copied before it was found to be what was approved, on a base that is fit,
            # for this stack's processor.
            source=pulumi.Output.all(
                stage.require_output("image_uri"), digest, base_image, made_for
            ).apply(lambda known: str(known[0])),
            uri=pulumi.Output.concat(repository.url, "@", digest),
        ),
    )
    return Release(
        uri=image.uri,
        digest=digest,
        model_sha256=stage.require_output("model_sha256"),
        recipe=stage.require_output("recipe"),
        base_image=base_image,
    )


def _approved(settings: Settings, found: str) -> str:
    """The other stack's digest, if it is the one that the release's gate approved.

    Raises:
        SettingsError: It is another one: the stack was deployed again since.
    """
    approved = os.environ.get(APPROVED)
    if approved and found != approved:
        raise SettingsError(
            f"stack {settings.stack}: {settings.image.promote_from} runs {found} by now, and "
            f"{approved} was approved: start the release again"
        )
    return found


def _runnable(settings: Settings, architecture: str | None) -> str | None:
    """What processor another stack's image was built for, if it is this stack's.

    Raises:
        SettingsError: It is another: Lambda would take the image, and fail with every call.
    """
    if architecture not in {None, settings.architecture}:
        raise SettingsError(
            f"stack {settings.stack}: function.architecture is {settings.architecture}, and "
            f"{settings.image.promote_from} built its image for {architecture}: set it to that"
        )
    return architecture


def _allowed(settings: Settings, base_image: str | None) -> str | None:
    """What another stack's image was built on, if this stack may run it.

    Raises:
        SettingsError: It was built from a tag, and this stack is protected.
    """
    if base_image not in {None, base.UNKNOWN} and not base.is_pinned(str(base_image)):
        remark = base.remark_on_promoted(str(base_image), settings.image.promote_from)
        if settings.protect:
            raise SettingsError(f"stack {settings.stack}: {remark}")
        pulumi.log.warn(remark)
    return base_image
