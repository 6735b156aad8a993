"""What a stack may do by its name: which accounts it reaches, and what AWS calls its parts.

Each function yields one line per broken rule, as those of infra.limits do.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infra.limits import ACCOUNT, is_local

if TYPE_CHECKING:
    from infra import settings

# The AWS provider's own ways to log in, which nothing but the provider follows.
LOGINS = (
    *("profile", "assumeRoles", "assumeRoleWithWebIdentity", "accessKey", "secretKey", "token"),
    *("sharedConfigFiles", "sharedCredentialsFiles"),
)
EMULATED = "000000000000"
UNCHECKED = (
    *("skipCredentialsValidation", "skipRequestingAccountId", "skipMetadataApiCheck"),
    "s3UsePathStyle",
)


def rights(stack: str, auth: str, architecture: str) -> Iterator[str]:
    """What only a local stack may do."""
    if auth == "none" and not is_local(stack):
        yield (
            f"api.auth is none and the stack is {stack}; an open API is for the local stack: set "
            "api.auth to iam or jwt"
        )
    if architecture == "host" and not is_local(stack):
        yield (
            f"function.architecture is host and the stack is {stack}; who runs the program must "
            "not decide what is deployed: set it to arm64 or x86_64"
        )


def promotion(stack: str, organization: str, project: str, promote_from: str) -> Iterator[str]:
    """Nobody waits for his own image; Pulumi takes a stack's name with and without those before."""
    if promote_from in {stack, f"{organization}/{stack}", f"{organization}/{project}/{stack}"}:
        yield f"image.promoteFrom is {promote_from!r}, this very stack; name the stage before it"


def credentials(config: Mapping[str, Any], image: "settings.ImageSettings") -> Iterator[str]:
    """A promoted image is copied by this program itself, which knows the environment's login only.

    With another one for the provider, the copy would be somebody else's, or refused.
    """
    others = [key for key in LOGINS if config.get(f"aws:{key}")]
    if image.promote_from and not image.digest and others:
        listed = " and ".join(f"aws:{key}" for key in others)
        yield (
            f"{listed} is set and image.promoteFrom is {image.promote_from!r}, whose image is "
            f"copied with the environment's credentials: remove {listed}, and export AWS_PROFILE "
            "instead (for a role to assume, a profile with role_arn)"
        )


def cloud(stack: str, config: Mapping[str, Any]) -> Iterator[str]:
    """A stack reaches one named account, the local one an emulator's; emulators are for it alone.

    Without the emulator's address at hand, a local stack would open its API in a real account.
    """
    given = config.get("aws:allowedAccountIds")
    accounts = _accounts(given)
    if is_local(stack):
        if accounts != [EMULATED]:
            yield (
                f"aws:allowedAccountIds is {given!r} and the stack is {stack}, which is for an "
                f'emulator: expected ["{EMULATED}"], its account (Pulumi.{stack}.yaml)'
            )
        return
    if len(accounts) != 1 or not ACCOUNT.fullmatch(accounts[0]):
        yield (
            f"aws:allowedAccountIds is {given!r}; expected the one account this stack may "
            f'touch, such as ["111111111111"] (Pulumi.{stack}.yaml)'
        )
    for key in ("endpoints", *UNCHECKED):
        if f"aws:{key}" in config:
            yield f"aws:{key} is set and the stack is {stack}; emulator settings are for `local`"


def names(stack: str, model: str) -> Iterator[str]:
    """The longest name AWS gets is the role's and the function's: 64 characters."""
    name = f"thimble-{stack}-{model}"
    if not re.fullmatch(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*", stack):
        yield (
            f"the stack is called {stack!r}; AWS's names take letters and digits, with single "
            "hyphens or underscores between them: pulumi stack rename"
        )
    if not re.search(r"[A-Za-z0-9]", model):
        yield f"the card's name is {model!r}; ECR wants at least one letter or digit in it"
    if len(name) > 64:  # noqa: PLR2004 (IAM's and Lambda's figure)
        yield (
            f"the function would be called {name!r}, {len(name)} characters; AWS takes 64: "
            "shorten the card's name or the stack's"
        )


def _accounts(value: object) -> list[str]:
    """A setting of the AWS provider's, which the engine hands over as JSON text; empty for none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return [str(account) for account in value] if isinstance(value, list) else []
