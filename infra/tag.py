"""ImageTag: a tag that was never pushed before, for a repository whose tags may not move.

The context's hash alone will not do. A change that is taken back gives an earlier context again,
docker.Image builds it again, and what it builds has another digest (files carry new times): the
repository would refuse to move the earlier build's tag. So each change of the context draws a tag
of its own, kept in state until the next.
"""

import secrets
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)


class ImageTagProvider(ResourceProvider):
    """Translates Pulumi's calls; keeps no state, so that its four threads may share it."""

    # Nothing secret is captured, and in clear the stored reference can be read in a diff.
    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Called in preview and up: another context, another tag."""
        return DiffResult(changes=olds.get("context") != news.get("context"), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Called by up for a new resource."""
        return CreateResult("tag", _draw(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Called by up after a change."""
        return UpdateResult(_draw(news))


class ImageTag(Resource, name="ImageTag"):
    """A tag for one build.

    Attributes:
        tag: The context's first 16 digits, and six of its own.
    """

    tag: pulumi.Output[str]

    def __init__(
        self, name: str, context: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(ImageTagProvider(), name, {"context": context, "tag": None}, opts)


def _draw(props: dict[str, Any]) -> dict[str, Any]:
    content = Path(props["context"]).name[:16]
    return {"context": props["context"], "tag": f"{content}-{secrets.token_hex(3)}"}
