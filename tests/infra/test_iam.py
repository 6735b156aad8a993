"""Policy documents, where the program's own tests do not reach them."""

import json

from infra.iam import pull_policy


def test_a_repository_is_shared_within_its_partition() -> None:
    """China's regions know no `arn:aws:`: the policy would be refused."""
    policy = pull_policy(
        "arn:aws-cn:ecr:cn-north-1:111111111111:repository/thimble/dev/digits", ("222222222222",)
    )

    pull, promotion = json.loads(policy)["Statement"]
    assert {"StringLike": {"aws:sourceArn": "arn:aws-cn:lambda:*:111111111111:function:*"}} == pull[
        "Condition"
    ]
    assert ["arn:aws-cn:iam::222222222222:root"] == promotion["Principal"]["AWS"]
