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
    """Tags never move, every push is scanned, contents are encrypted."""
    assert {
        "name": "thimble/dev/digits",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "forceDelete": True,
    } == make().cloud.one("Repository")


def test_lifecycle_spares_releases(make: Any) -> None:
    """No tagged image expires by age: a version whose image is gone can no longer start."""
    rules = json.loads(make(keep_releases=12).cloud.one("LifecyclePolicy")["policy"])["rules"]

    assert [("untagged", "sinceImagePushed", 14), ("tagged", "imageCountMoreThan", 12)] == [
        tuple(rule["selection"][key] for key in ("tagStatus", "countType", "countNumber"))
        for rule in rules
    ]


def test_lambda_pulls(make: Any) -> None:
    """Functions of the repository's own account pull, and nobody else is let in."""
    (statement,) = json.loads(make().cloud.one("RepositoryPolicy")["policy"])["Statement"]

    assert {"Service": "lambda.amazonaws.com"} == statement["Principal"]
    assert {
        "StringLike": {"aws:sourceArn": "arn:aws:lambda:*:000000000000:function:*"}
    } == statement["Condition"]


def test_shared_with(make: Any) -> None:
    """An account promoted to may read images, and nothing else."""
    policy = json.loads(make(shared_with=("222222222222",)).cloud.one("RepositoryPolicy")["policy"])

    assert {
        "Sid": "Promotion",
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam::222222222222:root"]},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    } == policy["Statement"][1]


@pytest.mark.parametrize("protect", [False, True])
def test_protection(protect: bool, make: Any) -> None:  # noqa: FBT001 (a parameter of the test)
    """A protected repository is not deleted, and nor are its images."""
    made = make(protect=protect)

    assert protect == made.options("Repository", "model").protect
    assert protect != made.cloud.one("Repository")["forceDelete"]
