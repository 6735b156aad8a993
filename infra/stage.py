"""What a stack may do by its name: which accounts it reaches, and what AWS calls its parts.

Each function yields one line per broken rule, as those of infra.limits do.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.limits import ACCOUNT, is_local

UNCHECKED = (
    *("skipCredentialsValidation", "skipRequestingAccountId", "skipMetadataApiCheck"),
    "s3UsePathStyle",
)


def rights(stack: str, auth: str, architecture: str, promote_from: str) -> Iterator[str]:
    """What only a local stack may do, and what no stack may."""
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
    if promote_from == stack:
        yield f"image.promoteFrom is {promote_from!r}, this very stack; name the stage before it"


def cloud(stack: str, config: Mapping[str, Any]) -> Iterator[str]:
    """A real stack reaches one named account; an emulator is for local stacks."""
    if is_local(stack):
        return
    accounts = config.get("aws:allowedAccountIds")
    if not _accounts(accounts):
        yield (
            f"aws:allowedAccountIds is {accounts!r}; expected the one account this stack may "
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


def _accounts(value: object) -> bool:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    return (
        isinstance(value, list)
        and bool(value)
        and all(ACCOUNT.fullmatch(str(account)) for account in value)
    )
