"""Says whether a stack still is what its state says, and keeps one issue per stack that is not."""

from release.engine import NO_CHANGES_BROKEN, Engine
from release.errors import EngineError
from release.github import Repository
from release.markdown import fence
from release.preview import bounded

LABEL = "drift"


def look(engine: Engine, stack: str) -> str | None:
    """Return what differs between the cloud and the state, None when nothing does.

    Raises:
        EngineError: The comparison itself failed, which says nothing about drift.
    """
    done = engine.drift(stack)
    text = bounded("\n".join(part for part in (done.stdout.strip(), done.stderr.strip()) if part))
    if done.code == 0:
        return None
    if done.code == NO_CHANGES_BROKEN:
        return text
    raise EngineError(
        f"comparing {stack} with the cloud exited with {done.code}: {text}",
        code=done.code,
        output=text,
    )


def tell(repository: Repository, stack: str, difference: str | None, run_url: str = "") -> str:
    """Open, update or close the stack's issue.

    Args:
        repository: Where the issues are.
        stack: The stack looked at.
        difference: What differs, masked; None closes the issue.
        run_url: Address of the run that looked.

    Returns:
        One line that says what was done.
    """
    marker = f"<!-- thimble:drift:{stack} -->"
    number = repository.open_issue(LABEL, marker)
    if difference is None:
        if number is None:
            return f"{stack}: no drift"
        repository.close_issue(
            number, f"The cloud is again what {stack}'s state says. {run_url}".strip()
        )
        return f"{stack}: no drift any more, closed #{number}"
    body = _body(marker, stack, difference, run_url)
    if number is None:
        number = repository.create_issue(f"Stack {stack} has drifted", body, LABEL)
        return f"{stack}: drift, opened #{number}"
    repository.update_issue(number, body)
    return f"{stack}: drift, updated #{number}"


def _body(marker: str, stack: str, difference: str, run_url: str) -> str:
    log = f"\n\n[Log of this run]({run_url})" if run_url else ""
    return (
        f"{marker}\nSomebody or something changed resources of `{stack}` without Pulumi.\n\n"
        f"{fence(difference)}\n\n"
        "To undo the change, pin what runs first, else what the stage before runs by now is taken: "
        f"`pulumi config set --stack {stack} --path image.digest "
        f'"$(pulumi stack output image_digest --stack {stack})"`, then '
        f"`pulumi up --refresh --stack {stack}` from the commit that runs. To keep it: "
        f"`pulumi refresh --stack {stack}`, then change the program to match. "
        f"This issue closes itself when the difference is gone.{log}\n"
    )
