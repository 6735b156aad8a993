"""The one seam to what deploys: the `pulumi` command line, or the embedded engine.

Both are driven as command lines, so a rehearsal on a machine without an account runs the same steps
in the same order as a release, and `release` imports neither.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from release.errors import EngineError, InputError

NO_CHANGES_BROKEN = 7
"""Exit code of both engines when `--expect-no-changes` found some."""

DIGEST_SETTING = "image.digest"
"""The setting that makes a stack serve a digest of its own repository, promoting nothing."""

POLICY_PACK = "policy"


_HINTS = {
    "pulumi": " (https://www.pulumi.com/docs/install), or rehearse without it: --local DIR",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ran to its end."""

    code: int
    stdout: str = ""
    stderr: str = ""


class Run(Protocol):
    """Runs a command to its end; what is not captured goes to the terminal as it comes."""

    def __call__(self, command: Sequence[str], *, capture: bool) -> Finished:
        """Run it."""


class Engine(Protocol):
    """What a release needs done to a stack."""

    def outputs(self, stack: str) -> dict[str, Any]:
        """Return the stack's outputs; empty when it was never deployed."""

    def preview(self, stack: str) -> Finished:
        """Print what an update would do, as JSON on stdout."""

    def up(self, stack: str) -> None:
        """Update the stack to what the program says."""

    def drift(self, stack: str) -> Finished:
        """Compare the cloud with the state; code 0 same, 7 different, else failed."""

    def pin(self, stack: str, digest: str) -> None:
        """Update the stack so that it serves `digest` of its own repository."""


def run(command: Sequence[str], *, capture: bool) -> Finished:
    """Run a command to its end.

    Raises:
        EngineError: The program is not installed.
    """
    try:
        done = subprocess.run(command, check=False, capture_output=capture, text=True)
    except FileNotFoundError as error:
        raise EngineError(
            f"{command[0]} is not on PATH; install it{_HINTS.get(command[0], '')}",
            code=127,
            output="",
        ) from error
    return Finished(code=done.returncode, stdout=done.stdout or "", stderr=done.stderr or "")


@dataclass(frozen=True, slots=True)
class Pulumi:
    """The official command line, logged in to a backend by the environment."""

    run: Run = run

    def outputs(self, stack: str) -> dict[str, Any]:
        """Read the outputs from the state. Secret ones stay masked: nothing here needs them."""
        done = self.run(("pulumi", "stack", "output", "--json", *_on(stack)), capture=True)
        return _outputs(stack, done)

    def preview(self, stack: str) -> Finished:
        """Preview under the policy pack, so a pull request fails where a deployment would."""
        command = ("pulumi", "preview", "--policy-pack", POLICY_PACK, *_on(stack))
        done = self.run((*command, "--json"), capture=True)
        if done.code == 0:
            return done
        # The document does not say which policy was violated; what a person is shown does.
        told = self.run((*command, "--suppress-outputs", "--color", "never"), capture=True)
        return Finished(code=done.code, stdout=done.stdout, stderr=told.stdout + told.stderr)

    def up(self, stack: str) -> None:
        """Update under the policy pack, without asking: the reviewers have been asked."""
        flags = ("--yes", "--skip-preview", "--policy-pack", POLICY_PACK)
        _must(self.run(("pulumi", "up", *flags, *_on(stack)), capture=False), "pulumi up")

    def drift(self, stack: str) -> Finished:
        """Refresh in preview only. Outputs are suppressed: they may hold copies of secrets.

        Without the reference to the stack before: that one may have moved on, as it does with every
        merge, and nothing in this stack's cloud has.
        """
        flags = ("--preview-only", "--expect-no-changes", "--suppress-outputs")
        without = ("--exclude", "**pulumi:pulumi:StackReference::**")
        command = ("pulumi", "refresh", *flags, *without, "--suppress-progress", "--color", "never")
        return self.run((*command, *_on(stack)), capture=True)

    def pin(self, stack: str, digest: str) -> None:
        """Write the digest into Pulumi.STACK.yaml and update."""
        key = ("--path", f"thimble:{DIGEST_SETTING}", digest)
        _must(
            self.run(("pulumi", "config", "set", *_on(stack), *key), capture=False),
            "pulumi config set",
        )
        # No policy pack: a rule added since the last release must not stand between an outage
        # and the image that worked.
        update = ("pulumi", "up", "--yes", "--skip-preview", *_on(stack))
        _must(self.run(update, capture=False), "pulumi up")


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded engine, everything it owns in one folder of this machine."""

    folder: Path
    run: Run = run

    def outputs(self, stack: str) -> dict[str, Any]:
        """Read the outputs from the folder."""
        return _outputs(stack, self.run(self._command("outputs", stack, "--json"), capture=True))

    def preview(self, stack: str) -> Finished:
        """Preview without an account."""
        return self.run(self._command("preview", stack, "--json"), capture=True)

    def up(self, stack: str) -> None:
        """Update the emulated stack."""
        _must(self.run(self._command("up", stack), capture=False), "python -m local up")

    def drift(self, stack: str) -> Finished:
        """Compare the emulated cloud with the state."""
        return self.run(self._command("refresh", stack, "--expect-no-changes"), capture=True)

    def pin(self, stack: str, digest: str) -> None:
        """Update with the digest as a setting of this one run."""
        setting = ("--config", f"thimble:{DIGEST_SETTING}={digest}")
        _must(self.run(self._command("up", stack, *setting), capture=False), "python -m local up")

    def _command(self, verb: str, stack: str, *flags: str) -> tuple[str, ...]:
        where = ("env", f"THIMBLE_HOME={self.folder}")
        return (*where, sys.executable, "-m", "local", verb, "--stack", stack, *flags)


def choose(local: str | None, environment: Mapping[str, str]) -> Engine:
    """Return the embedded engine when its folder is named, else the official command line.

    Args:
        local: The value of `--local`.
        environment: Its `THIMBLE_LOCAL` stands in for `--local`.
    """
    folder = local or environment.get("THIMBLE_LOCAL")
    return Embedded(Path(folder)) if folder else Pulumi()


def checked_out() -> str:
    """Return the commit of this checkout.

    Not GITHUB_SHA: for a signed or annotated tag that may name the tag itself.

    Raises:
        EngineError: This is no checkout.
    """
    done = run(("git", "rev-parse", "HEAD"), capture=True)
    _must(done, "git rev-parse HEAD")
    return done.stdout.strip()


def read_outputs(path: Path) -> dict[str, Any]:
    """Read outputs that `pulumi stack output --json` or `release outputs` wrote.

    Raises:
        InputError: The file is missing or is not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} holds no stack outputs ({error}); "
            f"write it with `python -m release outputs --stack STACK --out {path}`",
        ) from error
    if not isinstance(document, dict):
        raise InputError(f"{path} holds a {type(document).__name__}; outputs are a JSON object")
    return document


def _on(stack: str) -> tuple[str, ...]:
    return ("--stack", stack, "--non-interactive")


def _outputs(stack: str, done: Finished) -> dict[str, Any]:
    _must(done, f"reading the outputs of {stack}")
    try:
        document = json.loads(done.stdout or "{}")
    except ValueError as error:
        raise EngineError(
            f"the outputs of {stack} are not JSON: {done.stdout[:200]!r}",
            code=1,
            output=done.stdout,
        ) from error
    return document if isinstance(document, dict) else {}


def _must(done: Finished, what: str) -> None:
    if done.code != 0:
        text = (done.stderr or done.stdout).strip()
        last = text.splitlines()[-1] if text else "see its output above"
        raise EngineError(f"{what} exited with {done.code}: {last}", code=done.code, output=text)
