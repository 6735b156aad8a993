"""How a rehearsal plays a workflow: commands that a test answers, in place of real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import rehearse
from local.errors import LocalError
from local.rehearse import Rehearsal, _last

if TYPE_CHECKING:
    from local.workflow import Line

DEPLOY = """
jobs:
  deploy:
    env: {STACK: "${{ inputs.stack }}", EXPECT: "7"}
    steps:
      - if: inputs.source != ''
        run: python3 -m release gate
      - run: uv run python -m release up
      - id: smoke
        run: uv run python -m release smoke
      - if: failure() && steps.smoke.outcome == 'failure' && inputs.stack == 'prod'
        run: uv run python -m release rollback
      - run: python3 -m release outputs
"""
RELEASE = "jobs: {gate: {steps: [{run: python3 -m release gate}]}}"


def finished(code: int, stdout: str = "", stderr: str = "") -> subprocess.CompletedProcess[str]:
    """A command that ended."""
    return subprocess.CompletedProcess([], code, stdout, stderr)


@dataclass(slots=True)
class Played(Rehearsal):
    """A rehearsal whose commands fail where a test says so.

    Attributes:
        failing: Verbs of `python -m release` that exit with 1.
        ran: Verb and environment of each command.
        digests: What each stack serves.
        downs: Exit code of `down`, and the stacks that it was asked for.
    """

    failing: set[str] = field(default_factory=set)
    ran: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    downs: list[str] = field(default_factory=list)
    down_code: int = 0

    def _run(self, line: Line, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        verb = line.run.partition("-m release ")[2].split()[0]
        self.ran.append((verb, {**line.env, **env}))
        return finished(int(verb in self.failing), f"{verb} done", f"{verb} went wrong")

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.downs.append(arguments[-1])
        return finished(self.down_code, stderr="the daemon does not answer")

    def _digest(self, stack: str) -> str:
        return self.digests[stack]


@pytest.fixture
def rehearsal(tmp_path: Path) -> Played:
    """A rehearsal with two workflows in its clone."""
    found = Played(tmp_path / "rehearsal", digests={"staging": "sha256:1"})
    workflows = found.clone / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "deploy.yml").write_text(DEPLOY)
    (workflows / "release.yml").write_text(RELEASE)
    (found.clone / ".git").mkdir()
    return found


def verbs(rehearsal: Played) -> list[str]:
    """What was run."""
    return [verb for verb, _ in rehearsal.ran]


def test_the_stage_that_builds_passes_no_gate(rehearsal: Played) -> None:
    """Its condition does not hold, as on GitHub."""
    rehearsal._deploy("dev", digest="")
    assert verbs(rehearsal) == ["up", "smoke", "outputs"]
    assert {env["STACK"] for _, env in rehearsal.ran} == {"dev"}


def test_each_stage_is_asked_about_its_own_picture(rehearsal: Played) -> None:
    """The rehearsal's question stands over the workflow's; outputs go to a file of ours."""
    rehearsal._deploy("staging", digest="sha256:1")
    assert verbs(rehearsal)[0] == "gate"
    (_, env), *_ = rehearsal.ran
    assert (env["EXPECT"], env["PICTURE"]) == ("0", "models/digits/samples/0.png")
    assert env["GITHUB_OUTPUT"] == str(rehearsal.folder / "output")


def test_a_broken_production_goes_back(
    rehearsal: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the smoke test only what asks for a failure runs, and it is told."""
    rehearsal.failing = {"smoke"}
    rehearsal._deploy("prod", digest="sha256:1", fails="smoke")
    assert verbs(rehearsal) == ["gate", "up", "smoke", "rollback"]
    *_, smoke, rollback = capsys.readouterr().out.splitlines()
    assert smoke.startswith("  3  prod: smoke (")
    assert smoke.endswith("): smoke went wrong")
    assert rollback.endswith("): rollback done")


def test_a_step_that_must_not_fail(rehearsal: Played) -> None:
    """Ends the rehearsal with its code and its last lines."""
    rehearsal.failing = {"up"}
    with pytest.raises(LocalError) as caught:
        rehearsal._deploy("prod", digest="sha256:1", fails="smoke")
    assert str(caught.value).startswith("prod: uv run python -m release up exited with 1:\n")
    assert str(caught.value).endswith("up went wrong")


def test_a_step_that_had_to_fail(rehearsal: Played) -> None:
    """A smoke test that lets a broken release pass is no good."""
    with pytest.raises(LocalError, match=r"^prod: uv run python -m release smoke exited with 0"):
        rehearsal._deploy("prod", digest="sha256:1", fails="smoke")


def test_a_gate_that_had_to_refuse(rehearsal: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag that staging does not run must not get further."""
    monkeypatch.setattr(Rehearsal, "_git", lambda *_: "")
    with pytest.raises(LocalError, match=r"^v1: gate exited with 0"):
        rehearsal._tag("v1", fails="gate")
    rehearsal.failing, rehearsal.ran = {"gate"}, []
    rehearsal._tag("v1", fails="gate")
    assert verbs(rehearsal) == ["gate"]


def test_what_is_served_is_compared(rehearsal: Played, capsys: pytest.CaptureFixture[str]) -> None:
    """Another digest ends the rehearsal."""
    rehearsal._expect("staging", "sha256:1", "staging serves it")
    assert capsys.readouterr().out == "  1  staging serves it: sha256:1...\n"
    with pytest.raises(LocalError, match=r"^staging serves sha256:1, not sha256:2: it is not so"):
        rehearsal._expect("staging", "sha256:2", "staging serves it")


def test_tear_down_takes_what_is_up_and_the_folder(rehearsal: Played) -> None:
    """Last stage first; twice is harmless."""
    for stack in ("dev", "prod"):
        (rehearsal.home / "stacks" / stack).mkdir(parents=True)
    rehearsal.tear_down()
    rehearsal.tear_down()
    assert (rehearsal.downs, rehearsal.folder.exists()) == (["prod", "dev"], False)


def test_what_does_not_stop_is_not_forgotten(rehearsal: Played) -> None:
    """Its record is the only way to find its processes."""
    (rehearsal.home / "stacks" / "dev").mkdir(parents=True)
    rehearsal.down_code = 1
    with pytest.raises(LocalError, match=r"^down of dev, which stays in .*exited with 1:\nthe dae"):
        rehearsal.tear_down()
    assert (rehearsal.home / "stacks" / "dev").is_dir()


def test_nothing_of_githubs_or_pulumis_is_passed_on(
    rehearsal: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal inside a workflow must not write to that workflow; this Python comes first."""
    monkeypatch.setenv("GITHUB_OUTPUT", "/theirs")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://theirs")
    found = rehearsal._environment()
    assert not [key for key in found if key.startswith(("GITHUB_", "PULUMI_"))]
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert found["THIMBLE_HOME"] == str(rehearsal.home)


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (finished(0, "a\n2 updated, 3 unchanged\nprediction: 7\n"), "2 updated, 3 unchanged"),
        (finished(0, "no changes (3 unchanged)\nurl\n"), "no changes (3 unchanged)"),
        (finished(0, "a\nb\n", "noise"), "b"),
        (finished(1, "a", "noise\nwhy\n"), "why"),
        (finished(0), "done"),
    ],
    ids=["changed", "unchanged", "said", "failed", "silent"],
)
def test_the_last_word(done: subprocess.CompletedProcess[str], expected: str) -> None:
    """What a deployment changed, else the last line, of stderr where it failed."""
    assert _last(done) == expected


@pytest.mark.parametrize(
    ("played", "left", "code"),
    [
        (None, None, 0),
        (LocalError("no"), None, 1),
        (KeyboardInterrupt(), None, 130),
        (None, LocalError("left"), 1),
        (KeyboardInterrupt(), LocalError("left"), 130),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    played: BaseException | None,
    left: BaseException | None,
    code: int,
) -> None:
    """0 only when it was played and nothing is left; it is torn down whatever happened."""
    torn: list[Rehearsal] = []

    def play(_rehearsal: Rehearsal) -> None:
        if played:
            raise played

    def tear_down(rehearsal: Rehearsal) -> None:
        torn.append(rehearsal)
        if left and len(torn) > 1:
            raise left

    monkeypatch.setattr(Rehearsal, "play", play)
    monkeypatch.setattr(Rehearsal, "tear_down", tear_down)
    assert rehearse.main() == code
    assert len(torn) == 2
    assert ("every step ended as it must" in capsys.readouterr().out) is (code == 0)
