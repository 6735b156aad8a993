"""docker:index/image:Image, with a Docker that writes down what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import base
from local.errors import DockerError
from local.images import Image
from local.provider import Diff
from local.values import UNKNOWN

if TYPE_CHECKING:
    from local.values import Properties
    from tests.local.conftest import FakeDocker

DIGEST = f"localhost:4566/app@sha256:{'1' * 64}"
NEWS: Properties = {
    "imageName": "localhost:4566/app:tag",
    "build": {
        "context": ".build/image/abc",
        "dockerfile": ".build/image/abc/Dockerfile",
        "platform": "linux/arm64",
        "args": {"BASE_IMAGE": "base:1"},
    },
    "registry": {"server": "localhost:4566", "password": "p"},
}


def pushed(docker_command: FakeDocker) -> None:
    """Prepare a push to two registries."""
    docker_command.answer("image", f"elsewhere/app@sha256:{'0' * 64}\n{DIGEST}\n")


def test_create_builds_and_pushes(docker_command: FakeDocker) -> None:
    """With the program's platform, arguments and context; the digest is the registry's."""
    pushed(docker_command)
    docker_command.answer("buildx", code=1)
    id_, outputs = Image("own:1").create(NEWS, resume=False)
    assert (id_, outputs["repoDigest"]) == ("localhost:4566/app:tag", DIGEST)
    (build,) = [call for call in docker_command.calls if call[0] == "build"]
    assert build == [
        "build",
        "--quiet",
        "--platform=linux/arm64",
        "--tag=localhost:4566/app:tag",
        "--file=.build/image/abc/Dockerfile",
        "--build-arg=BASE_IMAGE=base:1",
        ".build/image/abc",
    ]
    assert ["push", "--quiet", "localhost:4566/app:tag"] in docker_command.calls


@pytest.mark.parametrize("name", [base.IMAGE, base.reference()])
def test_the_base_image_is_this_homes_own(docker_command: FakeDocker, name: str) -> None:
    """What the settings call it stands for a tag that no other checkout takes away."""
    pushed(docker_command)
    build = {**NEWS["build"], "args": {"BASE_IMAGE": name}}
    Image("own:1").create({**NEWS, "build": build}, resume=False)
    (call,) = [call for call in docker_command.calls if call[0] == "build"]
    assert "--build-arg=BASE_IMAGE=own:1" in call


def test_buildx_makes_no_attestation(
    docker_command: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attestation would turn the image into an index, which Lambda refuses."""
    monkeypatch.delenv("DOCKER_BUILDKIT", raising=False)
    pushed(docker_command)
    Image("own:1").create(NEWS, resume=False)
    (build,) = [call for call in docker_command.calls if call[0] == "build"]
    assert {"--provenance=false", "--load"} <= set(build)


def test_failed_build_is_not_pushed(docker_command: FakeDocker) -> None:
    """The build's own last line is the error."""
    docker_command.answer("build", complaint="COPY failed: no source files\n", code=1)
    with pytest.raises(DockerError, match="COPY failed: no source files"):
        Image("own:1").create(NEWS, resume=False)
    assert "push" not in [call[0] for call in docker_command.calls]


def test_push_without_a_digest_is_an_error(docker_command: FakeDocker) -> None:
    """A tag is never used instead."""
    docker_command.answer("image", f"elsewhere/app@sha256:{'0' * 64}\n")
    with pytest.raises(DockerError, match="Docker recorded no digest"):
        Image("own:1").create(NEWS, resume=False)


def test_fresh_credentials_are_no_change() -> None:
    """Only what is built, and where it goes, matters."""
    other = {**NEWS, "registry": {"server": "localhost:4566", "password": "q"}}
    assert Image("own:1").diff("id", NEWS, {}, other) == Diff()


def test_another_context_is_an_update() -> None:
    """Versions may still run the old image: it is joined, never replaced."""
    other = {**NEWS, "build": {**NEWS["build"], "context": ".build/image/def"}}
    assert Image("own:1").diff("id", NEWS, {}, other) == Diff(("build",))


def test_digest_is_unknown_in_a_preview() -> None:
    """Until it is pushed."""
    found = Image("own:1").foresee({"repoDigest": DIGEST}, {**NEWS, "x": UNKNOWN}, Diff(("build",)))
    assert found == NEWS


def test_delete_forgets_this_machines_copies(docker_command: FakeDocker) -> None:
    """By name, so that the same image under another stack's name stays; by digest without a tag."""
    rows = ("app t1 sha256:aa", "app <none> sha256:bb", "app-next t1 sha256:aa")
    docker_command.answer("image", "".join(f"localhost:4566/{row}\n" for row in rows))
    Image("own:1").delete("id", {"imageName": "localhost:4566/app:tag"})
    assert docker_command.calls[-1][:3] == ["image", "rm", "--force"]
    assert docker_command.calls[-1][3:] == ["localhost:4566/app:t1", "localhost:4566/app@sha256:bb"]


def test_delete_of_nothing(docker_command: FakeDocker) -> None:
    """Being gone already is as good."""
    Image("own:1").delete("id", {"imageName": "localhost:4566/app:tag"})
    assert len(docker_command.calls) == 1
