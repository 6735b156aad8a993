"""The settings, read once and checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from bootstrap.trust import ISSUER

ENVIRONMENTS: Mapping[str, str] = {"prod": "production"}
"""GitHub environments that are not called as their stack is; release.yml names the same."""


class SettingsError(pulumi.RunError):
    """A setting is missing or malformed; shown as its message alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one account's bootstrap can be told.

    Attributes:
        subject: What GitHub's tokens call the repository, up to `:environment:` or `:ref:`.
        repository: owner/name.
        repository_id: GitHub's number for it.
        stacks: Those that live in this account.
        identity_provider: The ARN of GitHub as an identity of the account; empty to make it one.
        state_bucket: An existing bucket for state; empty to make one.
        state_key: The ARN of that bucket's key.
        accounts: Other accounts that keep state in the bucket made here.
        promoted_by: The account whose stack promotes from the one here; empty where it is this one.
        source_key: The ARN of the key of the secrets of the stack that the one here promotes from,
            in that stack's account; empty where it is this one.
    """

    subject: str
    repository: str
    repository_id: str
    stacks: tuple[str, ...]
    identity_provider: str = ""
    state_bucket: str = ""
    state_key: str = ""
    accounts: tuple[str, ...] = ()
    promoted_by: str = ""
    source_key: str = ""

    def __post_init__(self) -> None:
        """Refuse what would make a role nobody, or anybody, can assume.

        Raises:
            SettingsError: A setting is malformed.
        """
        # A wildcard here would let other repositories in; a missing owner, all of them.
        _check("subject", self.subject, r"repo:[\w.@-]+/[\w.@-]+", "repo:acme@1234/thimble@5678")
        _check("repository", self.repository, r"[\w.-]+/[\w.-]+", "acme/thimble")
        _check("repositoryId", self.repository_id, r"\d+", "5678")
        if not self.stacks:
            raise SettingsError("stacks is empty; expected the stacks that live in this account")
        for stack in self.stacks:
            # No hyphen: thimble-dev-* must be dev's alone. And thimble-deploy-* are these roles.
            _check("stacks", stack, r"(?!(?:deploy|preview)$)[a-z][a-z0-9]*", "dev")
        if self.identity_provider:
            of_github = rf"arn:aws[\w-]*:iam::\d{{12}}:oidc-provider/{re.escape(ISSUER)}"
            example = f"arn:aws:iam::111111111111:oidc-provider/{ISSUER}"
            _check("identityProvider", self.identity_provider, of_github, example)
        for account in self.accounts:
            _check("accounts", account, r"\d{12}", "111122223333")
        if self.promoted_by:
            _check("promotedBy", self.promoted_by, r"\d{12}", "222222222222")
        if self.source_key:
            arn = r"arn:aws[\w-]*:kms:[\w-]+:\d{12}:key/[\w-]+"
            _check("sourceKey", self.source_key, arn, "arn:aws:kms:REGION:111111111111:key/ID")
        if bool(self.state_bucket) != bool(self.state_key):
            raise SettingsError(
                "stateBucket and stateKey belong together; take both from the outputs of the "
                "account whose bootstrap made the bucket",
            )

    @classmethod
    def from_config(cls) -> "Settings":
        """Read the running stack's configuration."""
        config = pulumi.Config()
        return cls(
            subject=config.require("subject"),
            repository=config.require("repository"),
            repository_id=config.require("repositoryId"),
            stacks=tuple(config.get_object("stacks") or ()),
            identity_provider=config.get("identityProvider") or "",
            state_bucket=config.get("stateBucket") or "",
            state_key=config.get("stateKey") or "",
            accounts=tuple(str(account) for account in config.get_object("accounts") or ()),
            promoted_by=config.get("promotedBy") or "",
            source_key=config.get("sourceKey") or "",
        )


def _check(name: str, value: str, pattern: str, example: str) -> None:
    if not re.fullmatch(pattern, value):
        raise SettingsError(
            f"{name} is {value!r}; expected something like {example} "
            f"(pulumi config set {name} …, described in bootstrap/Pulumi.yaml)",
        )
