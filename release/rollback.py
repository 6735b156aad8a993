"""Returns a stack to a digest it has served before.

The digest is still in the stack's own repository (`image.keepReleases`), so nothing is built,
copied or promoted. It becomes the setting `image.digest`, which wins over `image.promoteFrom`:
state and program agree afterwards, and while it stands the next `pulumi up` changes nothing.
"""

import re
from typing import Any

from release.engine import Engine
from release.errors import InputError, ReleaseError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def target(to: str, before: dict[str, Any] | None) -> str:
    """Return the digest to go back to.

    Args:
        to: A digest, as given; wins when not empty.
        before: The stack's outputs as they were before the deployment that failed.

    Raises:
        InputError: There is no digest to go back to.
    """
    if to:
        if not _DIGEST.fullmatch(to):
            raise InputError(f"--to is {to!r}; expected a digest, sha256: and 64 hex digits")
        return to
    digest = str((before or {}).get("image_digest", ""))
    if not _DIGEST.fullmatch(digest):
        raise InputError(
            "there is no previous digest to return to: this was the stack's first deployment; "
            "mend it and release again, or pass --to DIGEST",
        )
    return digest


def perform(engine: Engine, stack: str, digest: str) -> str:
    """Serve `digest` from `stack` and check that it does.

    Also where the stack exports it: an update that failed half-way leaves the outputs as they were,
    whatever is served.

    Returns:
        One line that says what to do next.

    Raises:
        ReleaseError: The stack exports another digest afterwards.
    """
    engine.pin(stack, digest)
    after = engine.outputs(stack).get("image_digest")
    if after != digest:
        raise ReleaseError(
            f"{stack} exports {after} after the rollback, not {digest}; "
            f"see `pulumi stack output --stack {stack}` and the update's log",
        )
    return (
        f"{stack} serves {digest} again. It stays there until the setting image.digest is removed "
        f"(`pulumi config rm --path image.digest --stack {stack}`) or a checkout without it deploys"
    )
