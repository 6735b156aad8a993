"""Image repositories."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from local.aws import functions_of

if TYPE_CHECKING:
    from local.emulator import Emulator
    from tests.local.aws.conftest import Account

REPOSITORY = "aws:ecr/repository:Repository"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})
RULES = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "imageCountMoreThan",
                    "countNumber": 5,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)


def test_repository(account: Account) -> None:
    """Made with immutable tags and a scan, changed in place, removed."""
    made = account.make(
        REPOSITORY,
        "app",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        tags={"stack": "local"},
    )
    client = account.client("ecr")
    (found,) = client.describe_repositories(repositoryNames=[made.id])["repositories"]
    assert found["repositoryArn"] == made.outputs["arn"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    tags = client.list_tags_for_resource(resourceArn=made.outputs["arn"])["tags"]
    assert tags == [{"Key": "stack", "Value": "local"}]
    port = account.aws.emulator.port
    assert made.outputs["repositoryUrl"] == f"localhost:{port}/{made.id}"

    made.change(imageTagMutability="MUTABLE", imageScanningConfiguration=None)
    (found,) = client.describe_repositories(repositoryNames=[made.id])["repositories"]
    assert found["imageTagMutability"] == "MUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": False}
    made.remove()
    assert client.describe_repositories()["repositories"] == []


def test_defaults_are_no_drift(account: Account) -> None:
    """What the program leaves to AWS is not compared; what it asked for is."""
    made = account.make(REPOSITORY, "app", imageTagMutability="MUTABLE")
    client = account.client("ecr")
    client.put_image_scanning_configuration(
        repositoryName=made.id, imageScanningConfiguration={"scanOnPush": True}
    )
    assert made.drift() == set()
    client.put_image_tag_mutability(repositoryName=made.id, imageTagMutability="IMMUTABLE")
    assert made.drift() == {"imageTagMutability"}
    made.remove()


def test_lifecycle_policy(account: Account) -> None:
    """Put, put anew, removed; the repository stays."""
    repository = account.make(REPOSITORY, "app")
    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    made = account.make(token, "rules", repository=repository.id, policy=RULES)
    changed = RULES.replace("5", "7")
    made.change(policy=changed)
    found = account.client("ecr").get_lifecycle_policy(repositoryName=repository.id)
    assert json.loads(found["lifecyclePolicyText"]) == json.loads(changed)
    made.remove()
    assert repository.found is not None
    repository.remove()


def test_repository_policy(account: Account) -> None:
    """Put, put anew, removed; another repository would be another policy."""
    repository = account.make(REPOSITORY, "app")
    token = "aws:ecr/repositoryPolicy:RepositoryPolicy"
    made = account.make(token, "pull", repository=repository.id, policy=POLICY)
    changed = POLICY.replace("[]", '[{"Sid": "x"}]')
    made.change(policy=changed)
    found = account.client("ecr").get_repository_policy(repositoryName=repository.id)
    assert json.loads(found["policyText"]) == json.loads(changed)
    assert made.diff(repository="other")[1].replaces == ("repository",)
    made.remove()
    repository.remove()


def test_authorization_token(machine: Emulator) -> None:
    """User and password for `docker push`, as the program unpacks them."""
    found = functions_of(machine)["aws:ecr/getAuthorizationToken:getAuthorizationToken"]({})
    pair = base64.b64decode(found["authorizationToken"]).decode()
    assert pair == f"{found['userName']}:{found['password']}"
    assert found["userName"] == "AWS"
