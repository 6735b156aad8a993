"""ModelRepository: what ECR receives."""

import json
from typing import Any

import pytest

from infra.repository import ModelRepository, ModelRepositoryArgs


@pytest.fixture
def make(deploy: Any) -> Any:
    """The component alone, with defaults except for what a test names."""

    def run(**given: Any) -> Any:
        args = ModelRepositoryArgs(repository_name="thimble/dev/digits", **given)
        return deploy(lambda: ModelRepository("model", args))

    return run


def test_defaults(make: Any) -> None:
    """Tags never move, every push is scanned, contents are encrypted, destroy spares images."""
    assert {
        "name": "thimble/dev/digits",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "forceDelete": False,
    } == make().cloud.one("Repository")


def test_lifecycle_spares_releases(make: Any) -> None:
    """No tagged image expires by age: a version whose image is gone can no longer start."""
    rules = json.loads(make(keep_releases=12).cloud.one("LifecyclePolicy")["policy"])["rules"]

    assert [("untagged", "sinceImagePushed", 14), ("tagged", "imageCountMoreThan", 12)] == [
        tuple(rule["selection"][key] for key in ("tagStatus", "countType", "countNumber"))
        for rule in rules
    ]


def test_nobody_else_pulls(make: Any) -> None:
    """Without stages to promote to, no other account is let in."""
    assert "RepositoryPolicy" not in make().cloud.kinds()


def test_shared_with(make: Any) -> None:
    """An account promoted to may read images, and nothing else."""
    policy = json.loads(make(shared_with=("222222222222",)).cloud.one("RepositoryPolicy")["policy"])

    assert [
        {
            "Sid": "Promotion",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::222222222222:root"]},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ] == policy["Statement"]


@pytest.mark.parametrize("protect", [False, True])
def test_protection(protect: bool, make: Any) -> None:  # noqa: FBT001 (a parameter of the test)
    """What holds the images can be protected from deletion."""
    assert protect == make(protect=protect).options("Repository", "model").protect
