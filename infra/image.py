"""ModelImage: the optimized model, the handler and the C library as one small image, by digest."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_docker as docker

from infra import context, runtime
from infra.card import Card
from infra.tag import ImageTag

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImageArgs:
    """What goes into an image.

    Attributes:
        card: For the name, the labels and the picture.
        artifact: OptimizedModel's folder.
        model_sha256: OptimizedModel's digest; unknown while the model is to be made again, which
            holds the image back until it is.
        repository_url: Where to push.
        registry_id: The account whose registry that is.
        architecture: Lambda's name: x86_64 or arm64.
        base_image: What the Dockerfile starts from.
        python: The base image's Python, such as "3.13".
    """

    card: Card
    artifact: pulumi.Input[str]
    model_sha256: pulumi.Input[str]
    repository_url: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    architecture: str
    base_image: str
    python: str


class ModelImage(pulumi.ComponentResource):
    """An image, built here and pushed.

    Attributes:
        uri: REPOSITORY@sha256:..., what Lambda wants; a tag could come to mean other bytes.
        digest: sha256:...
    """

    uri: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelImageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:image:ModelImage", name, None, opts)
        platform = PLATFORMS[args.architecture]

        def lay_out(known: list[str]) -> str:
            """Runs only with a model at hand: in preview, when the model did not change."""
            libraries = runtime.install(
                args.architecture, args.python, pillow=args.card.picture is not None
            )
            folder = context.assemble(args.card, known[0], libraries, args.base_image, platform)
            return folder.as_posix()

        folder = pulumi.Output.all(args.artifact, args.model_sha256).apply(lay_out)
        tag = ImageTag(name, folder, pulumi.ResourceOptions(parent=self)).tag
        token = aws.ecr.get_authorization_token_output(
            registry_id=args.registry_id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        image = docker.Image(
            name,
            image_name=pulumi.Output.format("{0}:{1}", args.repository_url, tag),
            build=docker.DockerBuildArgs(
                context=folder,
                dockerfile=folder.apply(lambda path: f"{path}/Dockerfile"),
                # Without it docker builds for whoever runs this program.
                platform=platform,
                args={"BASE_IMAGE": args.base_image},
            ),
            registry=docker.RegistryArgs(
                server=args.repository_url,
                username=token.user_name,
                password=pulumi.Output.secret(token.password),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.uri = image.repo_digest
        self.digest = self.uri.apply(lambda uri: uri.rpartition("@")[2])
        self.register_outputs({"uri": self.uri, "digest": self.digest})
