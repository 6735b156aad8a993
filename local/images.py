"""docker:index/image:Image on this machine's Docker: built, pushed to the emulated registry."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import base
from local.docker import docker, forget
from local.errors import DockerError
from local.home import say
from local.provider import Diff, changed_keys
from local.values import UNKNOWN, contains

if TYPE_CHECKING:
    from local.values import Properties

TOKEN = "docker:index/image:Image"  # noqa: S105 - a type token


@dataclass(frozen=True, slots=True)
class Image:
    """The docker provider's Image, as far as a program can tell the difference.

    Attributes:
        base_image: The tag that stands for `base.IMAGE`, and for `base.reference()`.
    """

    base_image: str

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Nothing to complete: the image's name is the program's."""
        del name, olds
        return news

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Diff:
        """Compare; the context's folder is named by its content, so its name says enough."""
        del id_, outputs
        return Diff(changed_keys(inputs, news, ignore=["registry"]))

    def foresee(self, outputs: Properties, news: Properties, diff: Diff) -> Properties:
        """A rebuilt image's digest is unknown until it is pushed."""
        del outputs, diff
        return {k: v for k, v in news.items() if not contains(v, UNKNOWN)}

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Build and push; doing so again is harmless."""
        del resume
        build, name = news["build"], news["imageName"]
        say(f"     building {name} ...")
        own = dict.fromkeys((base.IMAGE, base.reference()), self.base_image)
        arguments = [
            f"--build-arg={key}={own.get(value, value)}"
            for key, value in (build.get("args") or {}).items()
        ]
        command = ["build", "--quiet", f"--platform={build['platform']}", f"--tag={name}"]
        if _has_buildx():
            # An attestation would turn the image into an index, which Lambda refuses.
            command += ["--provenance=false", "--load"]
        docker(*command, f"--file={build['dockerfile']}", *arguments, build["context"])
        say(f"     pushing {name} ...")
        docker("push", "--quiet", name)
        repository = name.rpartition(":")[0]
        return name, {"baseImageName": name, "repoDigest": _digest(name, repository)}

    def update(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Build and push what changed; earlier images stay, versions may still run them."""
        del id_, outputs
        return self.create(news, resume=False)[1]

    def read(self, id_: str, outputs: Properties) -> Properties | None:
        """What is in the registry is there by digest; the docker provider sees no more."""
        del id_
        return {"imageName": outputs["imageName"]}

    def delete(self, id_: str, outputs: Properties) -> None:
        """Forget this machine's copies of the repository's images; the registry keeps its own."""
        del id_
        forget(str(outputs["imageName"]).rpartition(":")[0])


def _digest(name: str, repository: str) -> str:
    """REPOSITORY@sha256:..., as the push recorded it."""
    found = docker("image", "inspect", name, "--format", '{{join .RepoDigests "\\n"}}')
    for line in found.split():
        if line.startswith(f"{repository}@sha256:"):
            return line
    raise DockerError(f"{name} was pushed but Docker recorded no digest for it: {found.split()}")


def _has_buildx() -> bool:
    if os.environ.get("DOCKER_BUILDKIT") == "0":
        return False
    command = ["docker", "buildx", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
