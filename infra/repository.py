"""ModelRepository: where images of one stack live, and how long."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import iam


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRepositoryArgs:
    """What a repository needs to know.

    Attributes:
        repository_name: ECR's name: lower case, with slashes.
        keep_releases: How many of the newest tagged images are safe from expiry.
        shared_with: Accounts that may copy images out, because they are promoted there.
        protect: Whether Pulumi refuses to delete it; without, destroy takes the images along.
    """

    repository_name: str
    keep_releases: int = 30
    shared_with: tuple[str, ...] = ()
    protect: bool = False


class ModelRepository(pulumi.ComponentResource):
    """An ECR repository with immutable tags, a scan on push, and a lifecycle.

    Attributes:
        url: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME.
        arn: The same, for policies.
        registry_id: The account.
    """

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    registry_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelRepositoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:image:ModelRepository", name, None, opts)
        repository = aws.ecr.Repository(
            name,
            name=args.repository_name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "AES256"}],
            force_delete=not args.protect,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=lifecycle(args.keep_releases),
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.ecr.RepositoryPolicy(
            name,
            repository=repository.name,
            policy=repository.arn.apply(lambda arn: iam.pull_policy(arn, args.shared_with)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        # By way of the policy: whoever has the URL may rely on Lambda being let in.
        self.url = pulumi.Output.all(repository.repository_url, policy.id).apply(
            lambda known: str(known[0])
        )
        self.arn = repository.arn
        self.registry_id = repository.registry_id
        self.register_outputs({"url": self.url, "arn": self.arn, "registry_id": self.registry_id})


def lifecycle(keep_releases: int) -> str:
    """The rules by which images expire.

    A function whose digest is deleted enters the state Failed, and ECR does not know which digests
    a published version still uses. So nothing expires by age as long as it has a tag, and every
    image this program makes has one; only far behind the newest releases, further than anyone rolls
    back, does a count apply. Untagged images are what a broken push leaves behind.
    """
    rules = [
        {
            "rulePriority": 1,
            "description": "Left behind by a broken push",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "Further back than a rollback reaches",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["*"],
                "countType": "imageCountMoreThan",
                "countNumber": keep_releases,
            },
            "action": {"type": "expire"},
        },
    ]
    return json.dumps({"rules": rules}, sort_keys=True)
