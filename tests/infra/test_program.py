"""The whole program: how components are wired to each other, and what it exports."""

from pathlib import Path
from typing import Any

import pytest

DEV = {"aws:allowedAccountIds": ["111111111111"]}


@pytest.fixture
def dev(project: Path, deploy: Any, whole_program: Any) -> Any:
    """The program in a stack of nothing but defaults."""
    assert project.exists()
    return deploy(whole_program, config=DEV)


def test_function_runs_the_digest(dev: Any) -> None:
    """Lambda gets REPOSITORY@sha256:..., of the image that was pushed."""
    uri = dev.cloud.one("Function")["imageUri"]

    assert uri.startswith("000000000000.dkr.ecr.eu-central-1.amazonaws.com/thimble/dev/digits@")
    assert uri.endswith("@sha256:" + "d" * 64)


def test_api_calls_the_alias(dev: Any) -> None:
    """The integration and the permission are about the alias, not the bare function."""
    alias = "arn:aws:lambda:eu-central-1:000000000000:function:thimble-dev-digits:live"

    assert f"invoke/{alias}" == dev.cloud.one("Integration")["integrationUri"]
    assert "live" == dev.cloud.one("Permission")["qualifier"]


def test_exports(dev: Any) -> None:
    """Every name that the release flow reads is exported."""
    expected = {"url", "image_digest", "model_sha256", "recipe", "commit", "function", "alias"}

    assert expected <= set(dev.outputs)
