"""ECR: repositories and their policies."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from local.aws.resource import ACCOUNT, Resource, some, tags

if TYPE_CHECKING:
    from local.aws.resource import Aws
    from local.values import Properties


class Repository(Resource):
    """aws.ecr.Repository. Its URL names the emulator, which has the registry's data plane."""

    token = "aws:ecr/repository:Repository"  # noqa: S105 - a type token
    service = "ecr"
    physical = "name"
    fixed = frozenset({"name", "encryptionConfigurations"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the repository."""
        encryption = (news.get("encryptionConfigurations") or [None])[0]
        repository = self.client.create_repository(
            repositoryName=news["name"],
            imageTagMutability=news.get("imageTagMutability", "MUTABLE"),
            tags=tags(news),
            **some(
                imageScanningConfiguration=news.get("imageScanningConfiguration"),
                encryptionConfiguration=encryption,
            ),
        )["repository"]
        return news["name"], {
            "arn": repository["repositoryArn"],
            "registryId": repository["registryId"],
            "repositoryUrl": f"localhost:{self.aws.emulator.port}/{news['name']}",
        }

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change mutability and scanning."""
        del outputs
        self.client.put_image_tag_mutability(
            repositoryName=id_, imageTagMutability=news.get("imageTagMutability", "MUTABLE")
        )
        scanning = news.get("imageScanningConfiguration") or {"scanOnPush": False}
        self.client.put_image_scanning_configuration(
            repositoryName=id_, imageScanningConfiguration=scanning
        )
        return {}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Describe it."""
        del outputs
        found = self.client.describe_repositories(repositoryNames=[id_])["repositories"][0]
        return {
            "name": found["repositoryName"],
            "imageTagMutability": found["imageTagMutability"],
            "imageScanningConfiguration": found["imageScanningConfiguration"],
        }

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete it; with images in it only where forceDelete says so, as on AWS."""
        self.client.delete_repository(
            repositoryName=id_, force=bool(outputs.get("forceDelete", False))
        )


class LifecyclePolicy(Resource):
    """aws.ecr.LifecyclePolicy."""

    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"  # noqa: S105
    service = "ecr"
    fixed = frozenset({"repository"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the policy."""
        self.client.put_lifecycle_policy(
            repositoryName=news["repository"], lifecyclePolicyText=news["policy"]
        )
        return news["repository"], {"registryId": ACCOUNT}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the policy."""
        del outputs
        found = self.client.get_lifecycle_policy(repositoryName=id_)
        return {"repository": id_, "policy": found["lifecyclePolicyText"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the policy."""
        del outputs
        self.client.delete_lifecycle_policy(repositoryName=id_)


class RepositoryPolicy(Resource):
    """aws.ecr.RepositoryPolicy."""

    token = "aws:ecr/repositoryPolicy:RepositoryPolicy"  # noqa: S105
    service = "ecr"
    fixed = frozenset({"repository"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the policy."""
        self.client.set_repository_policy(
            repositoryName=news["repository"], policyText=news["policy"]
        )
        return news["repository"], {"registryId": ACCOUNT}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the policy."""
        del outputs
        found = self.client.get_repository_policy(repositoryName=id_)
        return {"repository": id_, "policy": found["policyText"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the policy."""
        del outputs
        self.client.delete_repository_policy(repositoryName=id_)


def authorization_token(aws: Aws, arguments: Properties) -> Properties:
    """aws.ecr.get_authorization_token: user and password for `docker push`."""
    del arguments
    data = aws.client("ecr").get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return {
        "id": "us-east-1",
        "authorizationToken": data["authorizationToken"],
        "proxyEndpoint": f"http://localhost:{aws.emulator.port}",
        "expiresAt": str(data["expiresAt"]),
        "userName": user,
        "password": password,
    }


TYPES = (Repository, LifecyclePolicy, RepositoryPolicy)
