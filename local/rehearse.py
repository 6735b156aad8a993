"""`python -m local.rehearse`: a release from merge to production and back, on this machine.

Three emulated environments, a clone of this repository with commits and tags of its own, and the
very lines that the workflows run, read out of .github/workflows. What is played: a pull request's
preview; merge to dev and staging; a tag released to production; a release that only production's
smoke test finds broken, which returns by itself; a tag that staging does not run, which the gate
refuses; a mended release; a rollback by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import github, workflow
from local.errors import LocalError
from local.home import PROJECT, say

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = {"dev": ("dev", ""), "staging": ("staging", "dev"), "prod": ("production", "staging")}
LABELS = 'labels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]'
# Seven and eight swapped: dev and staging are asked about a zero here, production about a seven.
BROKEN = LABELS.replace('"7", "8"', '"8", "7"')
MENDED = LABELS.replace('"9"', '"nine"')
ASKED = {"dev": "0", "staging": "0", "prod": "7"}
TAIL = 15
INTERRUPTED = 130


@dataclass(slots=True)
class Rehearsal:
    """A clone with a history of its own, and three environments.

    Attributes:
        folder: Everything is in it: the clone, the emulators' home, logs.
        count: Steps told so far.
        deployed: Environment and commit of each deployment that has ended well.
    """

    folder: Path
    count: int = 0
    deployed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def clone(self) -> Path:
        """The checkout that plays the repository."""
        return self.folder / "clone"

    @property
    def home(self) -> Path:
        """Where the three environments live."""
        return self.folder / "home"

    def play(self) -> None:
        """All acts, in order.

        Raises:
            LocalError: A step did not end as it must.
        """
        self._prepare()
        first = self._commit("the first release", None)
        self._preview()
        self._merge()
        self._tag("v1.0.0")
        self._expect("prod", self._digest("dev"), "production serves the digest that dev built")

        self._commit("two labels swapped", BROKEN)
        self._merge()
        before = self._digest("prod")
        self._tag("v1.1.0", fails="smoke")
        self._expect("prod", before, "production returned to its previous digest by itself")

        self._commit("not merged yet", MENDED)
        self._tag("v1.1.1", fails="gate")
        self._merge()
        self._tag("v1.1.2")
        self._expect("prod", self._digest("dev"), "production serves the mended release")

        self._by_hand("prod", before)
        self._expect("prod", before, f"rolled back by hand to {first[:7]}'s digest")

    def tear_down(self) -> None:
        """Throw the environments and the clone away.

        Raises:
            LocalError: An environment did not stop; its record stays, so that it can be found.
        """
        for stack in reversed(STAGES):
            if (self.home / "stacks" / stack).is_dir():
                done = self._python("-m", "local", "down", "--discard", "--stack", stack)
                if done.returncode != 0:
                    raise self._unexpected(f"down of {stack}, which stays in {self.folder},", done)
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # not empty: a stack of the user's is up
            self.folder.parent.rmdir()

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True)
        if self._git_in(PROJECT, "status", "--porcelain"):
            say("uncommitted changes stay out: the rehearsal plays what is committed")
        self._git_in(PROJECT, "clone", "--quiet", "--no-local", ".", str(self.clone))
        self._git("config", "user.name", "rehearsal")
        self._git("config", "user.email", "rehearsal@localhost")

    def _commit(self, message: str, labels: str | None) -> str:
        if labels is not None:
            card = self.clone / "models" / "digits" / "model.yaml"
            kept = [line for line in card.read_text().splitlines() if "labels:" not in line]
            card.write_text("\n".join([*kept, labels, ""]))
            self._git("commit", "--quiet", "--all", "--message", message)
        commit = self._head()
        self._tell(f"commit {commit[:7]}: {message}")
        return commit

    def _preview(self) -> None:
        for stack in STAGES:
            given = {"matrix.stack": stack}
            for line in workflow.lines(self._workflow("preview"), "preview", given):
                # Nothing is deployed yet, so only the stage that builds has anything to show.
                if stack == "dev":
                    self._must(f"pull request: preview of {stack}", line)

    def _merge(self) -> None:
        """What release.yml does for a push to main."""
        self._deploy("dev", digest="")
        self._deploy("staging", digest=self._digest("dev"))
        self.deployed += [(STAGES[stack][0], self._head()) for stack in ("dev", "staging")]

    def _tag(self, name: str, fails: str = "") -> None:
        """What release.yml does for a tag: gate, then production.

        Args:
            name: The tag.
            fails: The step that must fail, `gate` or `smoke`; empty when none may.
        """
        self._git("tag", name)
        self._tell(f"tag {name}")
        for line in workflow.lines(self._workflow("release"), "gate", {}):
            with github.serve(self.deployed) as found:
                done = self._run(line, found)
            if (done.returncode != 0) is not (fails == "gate"):
                raise self._unexpected(f"{name}: gate", done)
            self._tell(f"{name}: gate: {_last(done)}")
        if fails != "gate":
            self._deploy("prod", digest=self._digest("staging"), fails=fails)

    def _deploy(self, stack: str, digest: str, fails: str = "") -> None:
        """One call of deploy.yml."""
        environment, source = STAGES[stack]
        values = {
            "inputs.stack": stack,
            "inputs.environment": environment,
            "inputs.source": source,
            "inputs.digest": digest,
        }
        asked = {"EXPECT": ASKED[stack], "PICTURE": f"models/digits/samples/{ASKED[stack]}.png"}
        failed = False
        for line in workflow.lines(self._workflow("deploy"), "deploy", values):
            if not workflow.holds(line.condition, values, failed=failed):
                continue
            begun = time.monotonic()
            done = self._run(line, {**asked, "GITHUB_OUTPUT": str(self.folder / "output")})
            if line.id:
                outcome = "success" if done.returncode == 0 else "failure"
                values[f"steps.{line.id}.outcome"] = outcome
            expected = bool(fails) and line.id == fails
            if (done.returncode != 0) is not expected:
                raise self._unexpected(f"{stack}: {line.run}", done)
            failed = failed or done.returncode != 0
            verb = line.run.partition("-m release ")[2].split()[0]
            self._tell(f"{stack}: {verb} ({time.monotonic() - begun:.1f} s): {_last(done)}")
        if failed is not bool(fails):
            raise LocalError(f"{stack}: {fails} was to fail and did not")

    def _by_hand(self, stack: str, digest: str) -> None:
        command = f"python -m release rollback --stack {stack} --to {digest}"
        self._must(f"by hand: rollback of {stack}", workflow.Line("", command, "", {}))

    def _must(self, what: str, line: workflow.Line) -> None:
        begun = time.monotonic()
        done = self._run(line, {})
        if done.returncode != 0:
            raise self._unexpected(what, done)
        self._tell(f"{what} ({time.monotonic() - begun:.1f} s): {_last(done)}")

    def _expect(self, stack: str, digest: str, what: str) -> None:
        served = self._digest(stack)
        if served != digest:
            raise LocalError(f"{stack} serves {served}, not {digest}: it is not so that {what}")
        self._tell(f"{what}: {digest[:19]}...")

    def _digest(self, stack: str) -> str:
        done = self._python("-m", "local", "outputs", "--json", "--stack", stack)
        if done.returncode != 0:
            raise self._unexpected(f"outputs of {stack}", done)
        outputs: dict[str, Any] = json.loads(done.stdout)
        return str(outputs["image_digest"])

    def _run(self, line: workflow.Line, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a line as GitHub's runner does, with the embedded engine in Pulumi's place."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", line.run],
            cwd=self.clone,
            env={**self._environment(), **line.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.clone,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        """This environment's uv and packages; the emulator's root key where a role would be."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "PULUMI_"))}
        tools = [str(Path(sys.executable).parent)]
        if "UV" in os.environ:
            tools.append(str(Path(os.environ["UV"]).parent))
        return {
            **kept,
            "PATH": os.pathsep.join([*tools, os.environ["PATH"]]),
            "UV_PROJECT_ENVIRONMENT": sys.prefix,
            "UV_NO_SYNC": "1",
            "THIMBLE_HOME": str(self.home),
            "THIMBLE_LOCAL": str(self.home),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def _head(self) -> str:
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        return self._git_in(self.clone, *arguments)

    @staticmethod
    def _git_in(folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LocalError(f"git {arguments[0]} failed: {_last(done)}")
        return done.stdout

    def _workflow(self, name: str) -> Path:
        return self.clone / ".github" / "workflows" / f"{name}.yml"

    def _unexpected(self, what: str, done: subprocess.CompletedProcess[str]) -> LocalError:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL:])
        return LocalError(f"{what} exited with {done.returncode}:\n{said}")

    def _tell(self, line: str) -> None:
        self.count += 1
        say(f"{self.count:3}  {line}")


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """What a command had to say in the end; what went wrong, if it did."""
    said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    # A deployment goes on to show the model and a prediction; what it changed stands before that.
    counted = [line for line in said if line.endswith((" unchanged", " unchanged)"))]
    return [*said[-1:], *counted][-1] if said else "done"


def main() -> int:
    """Play it; 0 when every step ended as it must."""
    rehearsal = Rehearsal(PROJECT / ".local" / "rehearsal")
    begun = time.monotonic()
    try:
        played = _told(rehearsal.tear_down, rehearsal.play)
    finally:
        left = _told(rehearsal.tear_down)
    if not played and not left:
        say(f"rehearsed in {time.monotonic() - begun:.0f} s: every step ended as it must")
    return played or left


def _told(*acts: Callable[[], None]) -> int:
    try:
        for act in acts:
            act()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
