"""Decides whether a stage may take what the stage before it runs."""

from typing import Any

from release.errors import GateError

_RUNNING = {"waiting", "queued", "pending", "in_progress"}


def require(
    source: str,
    outputs: dict[str, Any],
    *,
    commit: str,
    digest: str = "",
    earlier: dict[str, Any] | None = None,
) -> str:
    """Return the digest to promote, or refuse.

    Args:
        source: The stack promoted from.
        outputs: Its outputs.
        commit: The commit being released, all 40 digits.
        digest: The digest this release was approved for; empty before it is known.
        earlier: Outputs of the stack before `source`. If it runs the same commit it must run the
            same digest: one commit with two digests means that something was built twice.

    Raises:
        GateError: The source runs another commit or digest, or nothing.
    """
    if not outputs:
        raise GateError(f"{source} was never deployed; let main's release run deploy it first")
    running, image = str(outputs.get("commit", "")), str(outputs.get("image_digest", ""))
    if running != commit:
        raise GateError(
            f"{source} runs commit {running or 'unknown'}, not {commit}; "
            f"wait for that commit's run on main, or tag the commit that {source} runs",
        )
    if not image.startswith("sha256:"):
        raise GateError(
            f"{source} exports image_digest {image!r}; expected sha256:…; deploy {source} again",
        )
    if digest and image != digest:
        raise GateError(
            f"{source} now runs {image}, but {digest} was approved; start the release again",
        )
    if earlier and earlier.get("commit") == commit and earlier.get("image_digest") != image:
        raise GateError(
            f"{source} runs {image}, the stage before it {earlier.get('image_digest')} of the same "
            f"commit; deploy {source} again so that one build goes all the way",
        )
    return image


def require_deployed(environment: str, commit: str, state: str) -> None:
    """Insist that a commit's deployment has ended well, its smoke test included.

    What a stack runs does not say so: a commit is its output as soon as the update is done, and
    stays it when the smoke test fails.

    Args:
        environment: GitHub's, that the stage before is deployed in.
        commit: The commit being released, all 40 digits.
        state: How GitHub says that its newest deployment there stands; "" where there is none.

    Raises:
        GateError: It failed, is still running, or never was.
    """
    if state == "success":
        return
    if not state:
        raise GateError(
            f"GitHub knows no deployment of {commit} to {environment}; "
            "let main's run deploy it, or tag a commit that was deployed there"
        )
    mend = (
        "wait until it has ended, then run this job again"
        if state in _RUNNING
        else "run its job in main's run again, whose log says why, then this job; or tag another"
    )
    raise GateError(
        f"the deployment of {commit} to {environment} is '{state}', expected 'success'; {mend}"
    )
