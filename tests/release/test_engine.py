"""The two engines are driven by the same steps, as command lines."""

import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from release import drift, engine, rollback
from release.engine import Embedded, Finished, Pulumi
from release.errors import EngineError, InputError, ReleaseError
from tests.release.conftest import FakeGitHub

OLD = "sha256:" + "a" * 64
NEW = "sha256:" + "b" * 64


class Recorder:
    """Runs nothing: remembers commands, and serves a stack whose digest `pin` changes."""

    def __init__(self, *, code: int = 0, digest: str = NEW, obeys: bool = True) -> None:
        self.code = code
        self.digest = digest
        self.obeys = obeys
        self.commands: list[tuple[str, ...]] = []

    def __call__(self, command: Sequence[str], *, capture: bool) -> Finished:
        """Answer as either engine's command line does."""
        words = tuple(command)
        self.commands.append(words)
        if "output" in words or "outputs" in words:
            assert capture
            return Finished(code=self.code, stdout=json.dumps({"image_digest": self.digest}))
        for word in words:
            if OLD in word and self.obeys:
                self.digest = OLD
        return Finished(code=self.code, stdout="~ digits [diff: ~memorySize]", stderr="said why")


def test_pulumi_is_pinned_through_its_configuration() -> None:
    """The digest becomes a setting of the stack, then an update runs."""
    recorder = Recorder()

    rollback.perform(Pulumi(recorder), "prod", OLD)

    on = ("--stack", "prod", "--non-interactive")
    assert [
        ("pulumi", "config", "set", *on, "--path", "thimble:image.digest", OLD),
        ("pulumi", "up", "--yes", "--skip-preview", *on),
        ("pulumi", "stack", "output", "--json", *on),
    ] == recorder.commands


def test_the_embedded_engine_is_pinned_through_its_command_line() -> None:
    """A rehearsal takes the same steps, without an account."""
    recorder = Recorder()

    rollback.perform(Embedded(Path("folder"), recorder), "prod", OLD)

    where = ("--stack", "prod")
    local = ("env", "THIMBLE_HOME=folder", sys.executable, "-m", "local")
    assert [
        (*local, "up", *where, "--config", f"thimble:image.digest={OLD}"),
        (*local, "outputs", *where, "--json"),
    ] == recorder.commands


def test_a_deployment_runs_under_the_policy_pack() -> None:
    """No stack is deployed or previewed past the rules."""
    recorder = Recorder()

    Pulumi(recorder).up("dev")
    Pulumi(recorder).preview("dev")

    under = ["--policy-pack policy" in " ".join(command) for command in recorder.commands]
    assert [True, True] == under


def test_a_failed_preview_is_told_as_to_a_person() -> None:
    """The document of a failed preview does not name the violated policy; the text does."""
    recorder = Recorder(code=1)

    done = Pulumi(recorder).preview("dev")

    assert 1 == done.code
    assert "said why" in done.stderr
    assert ["--json" in command for command in recorder.commands] == [True, False]
    assert "--suppress-outputs" in recorder.commands[1]


def test_the_embedded_engine_deploys_the_same_way() -> None:
    """A rehearsal's deployment is the embedded engine's `up`."""
    recorder = Recorder()

    Embedded(Path("folder"), recorder).up("dev")

    assert [("local", "up", "--stack", "dev")] == [command[-4:] for command in recorder.commands]


def test_a_failed_deployment_is_an_error() -> None:
    """The engine's own output has been shown; the line says that it failed."""
    with pytest.raises(EngineError, match="pulumi up exited with 1"):
        Pulumi(Recorder(code=1)).up("dev")


def test_a_stack_that_exports_the_digest_is_returned_as_well() -> None:
    """After an update that failed half-way its outputs are old, and what serves may be new."""
    recorder = Recorder(digest=OLD)

    assert f"prod serves {OLD} again" in rollback.perform(Pulumi(recorder), "prod", OLD)
    assert any("up" in command for command in recorder.commands)


def test_a_rollback_that_did_not_take_is_an_error() -> None:
    """The stack's own export has the last word."""
    with pytest.raises(ReleaseError, match=rf"exports {NEW} after the rollback, not {OLD}"):
        rollback.perform(Pulumi(Recorder(obeys=False)), "prod", OLD)


def test_the_previous_digest_comes_from_the_saved_outputs() -> None:
    """`--before` names what was served before the deployment."""
    assert OLD == rollback.target("", {"image_digest": OLD})


@pytest.mark.parametrize("before", [None, {}, {"image_digest": ""}])
def test_a_first_deployment_has_nothing_to_return_to(before: dict[str, str] | None) -> None:
    """There is no digest, and the message says what to do instead."""
    with pytest.raises(InputError, match="first deployment"):
        rollback.target("", before)


def test_a_tag_is_no_digest() -> None:
    """Only a digest names bytes."""
    with pytest.raises(InputError, match=r"--to is 'v1.2.3'; expected a digest"):
        rollback.target("v1.2.3", None)


def test_drift_never_prints_outputs() -> None:
    """Outputs may hold copies of secrets; the command suppresses them and changes nothing."""
    recorder = Recorder(code=7)

    difference = drift.look(Pulumi(recorder), "dev")

    assert difference is not None
    assert "memorySize" in difference
    assert {"--preview-only", "--expect-no-changes", "--suppress-outputs"} <= set(
        recorder.commands[0]
    )


def test_a_stage_that_moved_on_is_no_drift() -> None:
    """The reference to it is left out of the comparison."""
    recorder = Recorder(code=0)

    drift.look(Pulumi(recorder), "staging")

    command = recorder.commands[0]
    urn = "urn:pulumi:staging::thimble::pulumi:pulumi:StackReference::organization/thimble/dev"
    assert fnmatch(urn, command[command.index("--exclude") + 1])


def test_no_drift_is_none() -> None:
    """Exit code 0 means that the cloud is what the state says."""
    assert drift.look(Pulumi(Recorder(code=0)), "dev") is None


def test_a_failed_comparison_is_not_drift() -> None:
    """Any other code says nothing about drift, so it is an error."""
    with pytest.raises(EngineError, match=r"(?s)exited with 3: .*said why"):
        drift.look(Pulumi(Recorder(code=3)), "dev")


def test_the_issue_says_how_to_undo_the_change(github: FakeGitHub) -> None:
    """Without a refresh the state knows of no change, and an update would find nothing to do."""
    drift.tell(github.repository(), "prod", "~ one")

    assert "`pulumi up --refresh --stack prod`" in github.issues[0]["body"]


def test_drift_has_one_issue_that_closes_itself(github: FakeGitHub) -> None:
    """Opened once, updated while it lasts, closed when it ends, then silent."""
    repository = github.repository()

    told = [
        drift.tell(repository, "dev", "~ one"),
        drift.tell(repository, "dev", "~ one, ~ two"),
        drift.tell(repository, "dev", None),
        drift.tell(repository, "dev", None),
    ]

    assert [
        "dev: drift, opened #1",
        "dev: drift, updated #1",
        "dev: no drift any more, closed #1",
        "dev: no drift",
    ] == told
    assert 1 == len(github.issues)
    assert "closed" == github.issues[0]["state"]
    assert "~ one, ~ two" in github.issues[0]["body"]


def test_each_stack_has_its_own_issue(github: FakeGitHub) -> None:
    """Prod's drift does not overwrite dev's."""
    for stack in ("dev", "prod"):
        drift.tell(github.repository(), stack, "~ one")

    assert ["Stack dev has drifted", "Stack prod has drifted"] == [
        issue["title"] for issue in github.issues
    ]


def test_the_engine_is_chosen_by_flag_or_variable() -> None:
    """A folder means the embedded engine; otherwise it is the official one."""
    assert Embedded(Path("a")) == engine.choose("a", {})
    assert Embedded(Path("b")) == engine.choose(None, {"THIMBLE_LOCAL": "b"})
    assert Pulumi() == engine.choose(None, {})


def test_a_missing_command_line_is_explained() -> None:
    """Without pulumi installed the message says how to go on."""
    with pytest.raises(EngineError, match="no-such-pulumi is not on PATH"):
        engine.run(("no-such-pulumi",), capture=True)
