"""GitHubRoles: GitHub as an identity of this account, and the roles its jobs assume."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bootstrap import grants, trust
from bootstrap.settings import ENVIRONMENTS
from bootstrap.state import key_policy

SOURCES = {"staging": "dev", "prod": "staging"}
"""Which stack each one's image comes from, as image.promoteFrom in Pulumi.STACK.yaml says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubRolesArgs:
    """Whom to trust, and with which state.

    Attributes:
        subject: The repository as GitHub's tokens name it.
        repository: owner/name.
        repository_id: GitHub's number for it.
        stacks: Those that live in this account.
        identity_provider: GitHub's ARN as an identity of this account; empty to make it one.
        state_bucket: The state bucket's name.
        state_key_arn: Its key.
        promoted_by: The account that promotes from the last of the stacks; empty for none.
        source_key: The key of the secrets of what the first promotes from, in another account.
    """

    subject: str
    repository: str
    repository_id: str
    stacks: tuple[str, ...]
    state_bucket: pulumi.Input[str]
    state_key_arn: pulumi.Input[str]
    identity_provider: str = ""
    promoted_by: str = ""
    source_key: str = ""


class GitHubRoles(pulumi.ComponentResource):
    """One role per stack that deploys it, and one that only looks.

    Attributes:
        deploy_arns: The deploy role of each stack.
        preview_arn: The role of previews, drift checks and the release gate.
        secrets_aliases: The key of each stack's secrets, as `--secrets-provider` wants it.
        promoted_key: The ARN of the last stack's, for the account that promotes from it.
    """

    deploy_arns: pulumi.Output[dict[str, str]]
    preview_arn: pulumi.Output[str]
    secrets_aliases: pulumi.Output[dict[str, str]]
    promoted_key: pulumi.Output[str]

    def __init__(
        self, name: str, args: GitHubRolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:bootstrap:GitHubRoles", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._args = args
        provider = self._identity_provider(name)
        keys = {stack: self._secrets_key(stack) for stack in args.stacks}
        self.deploy_arns = pulumi.Output.all(
            **{stack: self._deploy_role(stack, provider, keys) for stack in args.stacks}
        )
        self.promoted_key = keys[args.stacks[-1]]
        self.preview_arn = self._preview_role(provider, list(keys.values()))
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        self.secrets_aliases = region.apply(
            lambda where: {s: f"awskms://alias/thimble-{s}?region={where}" for s in args.stacks}
        )
        self.register_outputs(
            {
                "deploy_arns": self.deploy_arns,
                "preview_arn": self.preview_arn,
                "secrets_aliases": self.secrets_aliases,
                "promoted_key": self.promoted_key,
            }
        )

    def _identity_provider(self, name: str) -> pulumi.Output[str]:
        if self._args.identity_provider:
            return pulumi.Output.from_input(self._args.identity_provider)
        # No thumbprints: AWS knows GitHub's certificate authority and ignores them.
        return aws.iam.OpenIdConnectProvider(
            name,
            url=f"https://{trust.ISSUER}",
            client_id_lists=[trust.AUDIENCE],
            opts=self._child,
        ).arn

    def _secrets_key(self, stack: str) -> pulumi.Output[str]:
        policy = None
        if self._args.promoted_by and stack == self._args.stacks[-1]:
            readers = (self._args.promoted_by,)
            own = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self))
            policy = own.account_id.apply(
                lambda account: json.dumps(key_policy(account, readers, ("kms:Decrypt",)))
            )
        key = aws.kms.Key(
            f"secrets-{stack}",
            description=f"Secrets in the state of thimble's stack {stack}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=policy,
            # Without it nobody reads the stack's secrets again.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        aws.kms.Alias(
            f"secrets-{stack}",
            name=f"alias/thimble-{stack}",
            target_key_id=key.key_id,
            opts=self._child,
        )
        return key.arn

    def _deploy_role(
        self, stack: str, provider: pulumi.Output[str], keys: Mapping[str, pulumi.Output[str]]
    ) -> pulumi.Output[str]:
        args = self._args
        source = SOURCES.get(stack)
        source_key = keys.get(source, args.source_key) if source else ""
        environment = ENVIRONMENTS.get(stack, stack)
        statements = grants.deploying(stack, source)
        trusted = provider.apply(
            lambda arn: trust.deploying(
                arn,
                subject=args.subject,
                repository=args.repository,
                repository_id=args.repository_id,
                environment=environment,
                tags_only=environment == "production",
            )
        )
        role = self._role(f"thimble-deploy-{stack}", trusted)
        self._grant(f"deploy-{stack}", role, pulumi.Output.from_input(grants.document(statements)))
        state = pulumi.Output.all(
            args.state_bucket, args.state_key_arn, keys[stack], source_key
        ).apply(
            lambda known: grants.document(
                grants.state(known[0], known[1], [known[2]], stack, known[3])
            )
        )
        self._grant(f"deploy-{stack}-state", role, state)
        return role.arn

    def _preview_role(
        self, provider: pulumi.Output[str], keys: list[pulumi.Output[str]]
    ) -> pulumi.Output[str]:
        args = self._args
        trusted = provider.apply(
            lambda arn: trust.reading(arn, subject=args.subject, repository_id=args.repository_id)
        )
        role = self._role("thimble-preview", trusted)
        statements = grants.reading(args.stacks)
        self._grant("preview", role, pulumi.Output.from_input(grants.document(statements)))
        read = [*keys, args.source_key] if args.source_key else keys
        state = pulumi.Output.all(args.state_bucket, args.state_key_arn, *read).apply(
            lambda known: grants.document(grants.state(known[0], known[1], known[2:], None))
        )
        self._grant("preview-state", role, state)
        return role.arn

    def _role(self, name: str, trusted: pulumi.Output[dict[str, object]]) -> aws.iam.Role:
        return aws.iam.Role(
            name,
            name=name,
            assume_role_policy=trusted.apply(json.dumps),
            max_session_duration=3600,
            opts=self._child,
        )

    def _grant(
        self, name: str, role: aws.iam.Role, granted: pulumi.Output[dict[str, object]]
    ) -> None:
        # A policy of its own, not an inline one: inline policies end at 10,240 characters a role.
        policy = aws.iam.Policy(
            f"thimble-{name}",
            name=f"thimble-{name}",
            policy=granted.apply(lambda document: json.dumps(document, separators=(",", ":"))),
            opts=self._child,
        )
        aws.iam.RolePolicyAttachment(
            f"thimble-{name}", role=role.name, policy_arn=policy.arn, opts=self._child
        )
