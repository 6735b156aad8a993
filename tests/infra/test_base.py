"""The base image by its digest: what is taken, and what is said of a tag."""

from pathlib import Path

import pytest

from infra import base
from infra.errors import SettingsError
from infra.settings import Settings
from tests.infra import told

NAME = "public.ecr.aws/lambda/python:3.13"
PINNED = f"{NAME}@sha256:{'b' * 64}"


def read(stack: str, **image: str) -> Settings:
    """The settings of a protected stack that is told this of its image."""
    return told.read(stack, protect="true", image=image)


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("image", "expected"),
    [(PINNED, True), (NAME, False), (f"{NAME}@sha256:...", False), (f"{PINNED}0", False)],
)
def test_pinned(image: str, *, expected: bool) -> None:
    """By all of a digest, and no less."""
    assert expected is base.is_pinned(image)


def test_the_remark_holds_the_command() -> None:
    """To be pasted as it stands: it asks the registry for the digest."""
    assert base.remark(NAME, "prod").endswith(
        f'pulumi config set --stack prod --path image.baseImage "{NAME}@'
        f"$(docker buildx imagetools inspect {NAME} --format '{{{{.Manifest.Digest}}}}')\""
    )


@pytest.mark.parametrize("image", [{}, {"baseImage": NAME}])
def test_a_protected_stack_builds_on_no_tag(image: dict[str, str]) -> None:
    """Neither on the default nor on another."""
    with pytest.raises(SettingsError) as caught:
        read("prod", **image)

    assert f"stack prod: {base.remark(NAME, 'prod')}" == str(caught.value)


@pytest.mark.parametrize(
    ("stack", "image"),
    [
        ("prod", {"baseImage": PINNED}),
        ("prod", {"promoteFrom": "staging"}),
        ("prod", {"baseImage": NAME, "digest": "sha256:" + "e" * 64}),
        ("local", {"baseImage": NAME}),
    ],
)
def test_a_protected_stack_may(stack: str, image: dict[str, str]) -> None:
    """Build on a digest, take over what another built, go back; and locally, whatever there is."""
    assert read(stack, **image).protect
