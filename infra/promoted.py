"""PromotedImage: another stack's image, the same bytes in this stack's own repository.

A copy rather than a pull across accounts, so that production needs nobody else's account to start
a function. The role that runs `pulumi up` reads the other repository by that repository's policy
(setting image.sharedWith over there); its token is fetched here, inside the provider, so that no
secret is ever an input, which a dynamic resource would keep in clear.
"""

import base64
import functools
import re
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.runtime.rpc import UNKNOWN

from infra.errors import CopyError
from infra.registry import Reference, copy, exists

ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedImageProps:
    """Where an image comes from and where it goes; both HOST/REPOSITORY@sha256:..."""

    source: pulumi.Input[str]
    uri: pulumi.Input[str]


class PromotedImageProvider(ResourceProvider):
    """Translates Pulumi's calls; keeps no state, so that its four threads may share it."""

    # Nothing secret is captured, and in clear the stored reference can be read in a diff.
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Called in preview and up: both must be references by digest, as far as they are known."""
        failures = []
        for key in ("source", "uri"):
            value = news.get(key)
            # Before the repository exists, its URL is the engine's mark for "not known yet".
            if not isinstance(value, str) or value == UNKNOWN:
                continue
            try:
                Reference.parse(value)
            except CopyError as error:
                failures.append(CheckFailure(key, str(error)))
        return CheckResult(news, failures)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Called in preview and up: only another image matters, and it joins the old one.

        Where the same digest is copied from is no difference: its bytes are the same.
        """
        return DiffResult(changes=olds.get("uri") != news.get("uri"), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Called by up for a new resource."""
        return CreateResult(Reference.parse(props["uri"]).repository, _promote(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Called by up for another image; the old one stays, as published versions use it."""
        return UpdateResult(_promote(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Called by refresh: an image that the repository no longer holds is gone."""
        if not exists(Reference.parse(props["uri"]), credentials):
            return ReadResult("", {})
        return ReadResult(id_, props, {"source": props["source"], "uri": props["uri"]})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Called by destroy: images go with their repository, never before it."""


class PromotedImage(Resource, name="PromotedImage"):
    """An image that arrived.

    Attributes:
        uri: REPOSITORY@sha256:... in this stack's repository. Known in preview, since a copy's
            digest is the original's.
    """

    source: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(
        self, name: str, props: PromotedImageProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            PromotedImageProvider(), name, {"source": props.source, "uri": props.uri}, opts
        )


def credentials(host: str) -> tuple[str, str] | None:
    """User and password for an ECR registry; None for one on this machine.

    Raises:
        CopyError: The host is neither.
    """
    if host.partition(":")[0] in {"localhost", "127.0.0.1"}:
        return None
    found = ECR.fullmatch(host)
    if not found:
        raise CopyError(f"{host} is not an ECR registry; images are promoted from ECR to ECR")
    return _token(found["region"])


@functools.cache
def _token(region: str) -> tuple[str, str]:
    """A token of this role, good for 12 hours in every registry of the region that lets it in."""
    import boto3  # 100 ms that only a promoting stack should pay

    data = boto3.client("ecr", region_name=region).get_authorization_token()
    token = base64.b64decode(data["authorizationData"][0]["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    return user, password


def _promote(props: dict[str, Any]) -> dict[str, Any]:
    copy(Reference.parse(props["source"]), Reference.parse(props["uri"]), credentials)
    return {"source": props["source"], "uri": props["uri"]}
