"""The program `pulumi up -C bootstrap` runs, once per account, by a person who may make roles."""

import sys
from pathlib import Path

# Pulumi runs this folder as a program, so only the folder itself would be on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi

from bootstrap.roles import GitHubRoles, GitHubRolesArgs
from bootstrap.settings import Settings
from bootstrap.state import StateBucket, StateBucketArgs

settings = Settings.from_config()

if settings.state_bucket:
    bucket = pulumi.Output.from_input(settings.state_bucket)
    key = pulumi.Output.from_input(settings.state_key)
else:
    state = StateBucket("state", StateBucketArgs(accounts=settings.accounts))
    bucket, key = state.bucket, state.key_arn

roles = GitHubRoles(
    "github",
    GitHubRolesArgs(
        subject=settings.subject,
        repository=settings.repository,
        repository_id=settings.repository_id,
        stacks=settings.stacks,
        identity_provider=settings.identity_provider,
        state_bucket=bucket,
        state_key_arn=key,
        promoted_by=settings.promoted_by,
        source_key=settings.source_key,
    ),
)

pulumi.export("state_bucket", bucket)
pulumi.export("state_key", key)
pulumi.export("preview_role", roles.preview_arn)
pulumi.export("deploy_roles", roles.deploy_arns)
pulumi.export("secrets_keys", roles.secrets_aliases)
pulumi.export("promoted_key", roles.promoted_key)
