"""A stack over a cloud kept in memory: restarts, drift, what is shown and where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from local import aws, base, docker, emulator, program
from local.emulator import Emulator
from local.errors import DeploymentError, ExpectationError
from local.home import Home
from local.plan import Op, Plan, Step
from local.stack import LocalStack, expect_no_changes
from local.state import ResourceState, State
from tests.local.conftest import KIND, OPTIONS, Cloud, urn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.engine import Deployment
    from local.values import Properties

MACHINE = Emulator(1, 2, "first")
Program = dict[str, "Properties"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one stack's folder."""
    found = Home(tmp_path / "home")
    found.stack("local").mkdir(parents=True)
    return found


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> list[Emulator]:
    """The emulators of this test, the running one last; none of them is a process."""
    found = [MACHINE]
    monkeypatch.setattr(docker, "ensure", lambda _home: None)
    monkeypatch.setattr(docker, "answers", lambda: False)
    monkeypatch.setattr(base, "ensure", lambda _home: "base")
    monkeypatch.setattr(emulator, "ensure", lambda *_: found[-1])
    monkeypatch.setattr(emulator, "running", lambda *_: found[-1] if found else None)
    monkeypatch.setattr(emulator, "stop", lambda *_: found.clear())
    return found


@pytest.fixture
def things(cloud: Cloud, machines: list[Emulator], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program: the things that it registers, changed by a test between two commands."""
    del machines
    wanted: Program = {}

    def run(
        deployment: Deployment,
        name: str,
        config: Mapping[str, str],
        references: Callable[[str], Properties],
    ) -> dict[str, Any]:
        del name, config, references
        for thing, inputs in wanted.items():
            deployment.register(urn(thing), KIND, dict(inputs), OPTIONS)
        return {"things": len(wanted)}

    monkeypatch.setattr(program, "run", run)
    monkeypatch.setattr(aws, "providers", lambda _machine: {KIND: cloud})
    return wanted


def ops(plan: Plan) -> list[tuple[Op, str, tuple[str, ...]]]:
    """What a plan changes."""
    return [(step.op, step.name, step.reasons) for step in plan.changes]


def test_up_deploys_and_keeps_the_outputs(home: Home, things: Program, cloud: Cloud) -> None:
    """They are there for the next command, and for another stack."""
    things["a"] = {"text": "four"}
    local = LocalStack(home, "local")
    plan = local.up()
    assert (ops(plan), list(cloud.things)) == ([(Op.CREATE, "a", ())], ["a-1"])
    assert local.outputs() == {"things": 1}
    assert LocalStack(home, "dev")._reference("organization/demo/local") == {"things": 1}


def test_outputs_of_what_was_never_up(home: Home) -> None:
    """For a person one line that says what to do; for a program nothing, as Pulumi has it."""
    dev = LocalStack(home, "dev")
    assert dev.exported() == {}
    with pytest.raises(DeploymentError, match=r"^stack dev has no outputs; `make up` brings it up"):
        dev.outputs()
    assert home.stacks() == ["local"]


@pytest.mark.usefixtures("things")
def test_an_unknown_stack_starts_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are asked for first."""
    monkeypatch.setattr(docker, "ensure", lambda _home: pytest.fail("a daemon was started"))
    with pytest.raises(DeploymentError, match=r"^no stack 'nowhere' here; expected one of "):
        LocalStack(home, "nowhere").up()


def test_preview_leaves_no_folder(home: Home, things: Program, machines: list[Emulator]) -> None:
    """A stack that was only looked at is not up, and keeps no `down` from its work."""
    things["a"] = {}
    machines.clear()
    plan = LocalStack(home, "dev").preview()
    assert ops(plan) == [(Op.CREATE, "a", ())]
    assert home.stacks() == ["local"]


def test_a_restarted_emulator_keeps_only_the_model(
    home: Home, things: Program, machines: list[Emulator], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a folder on this machine; all else, a promoted image too, was in memory."""
    things["a"] = {}
    local = LocalStack(home, "local")
    local.up()
    state = State(home.stack("local") / "state.json")
    for name, outputs in {
        "model": {"artifact": ".build/models/x"},
        "promoted": {"uri": "x"},
    }.items():
        pickled = {"__provider": "pickled"}
        made = ResourceState(
            urn=urn(name), type="dynamic", custom=True, id=name, inputs=pickled, outputs=outputs
        )
        state.put(made)
    machines.append(Emulator(1, 2, "second"))
    found = local._state(machines[-1])
    assert list(found.resources) == [urn("model")]
    assert (found.boot, found.outputs) == ("second", {})
    assert "the emulated AWS was restarted" in capsys.readouterr().out


def test_refresh_of_what_is_not_up(home: Home, machines: list[Emulator]) -> None:
    """There is nothing to compare with."""
    machines.clear()
    with pytest.raises(DeploymentError, match="stack local is not up; `make up` brings it up"):
        LocalStack(home, "local").refresh()


def test_refresh_shows_and_changes_nothing(home: Home, things: Program, cloud: Cloud) -> None:
    """What is gone and what is otherwise, each a step; state and cloud stay as they are."""
    things.update(a={"text": "a"}, b={"text": "b"}, c={})
    local = LocalStack(home, "local")
    local.up()
    del cloud.things["a-1"]
    cloud.things["b-2"]["text"] = "by hand"
    before = (home.stack("local") / "state.json").read_text()
    assert ops(local.refresh()) == [(Op.DELETE, "a", ()), (Op.UPDATE, "b", ("text",))]
    assert (home.stack("local") / "state.json").read_text() == before
    assert local.up().changes == []


def test_what_a_refresh_recorded_is_undone_by_up(home: Home, things: Program, cloud: Cloud) -> None:
    """What is gone is made again, what was changed by hand is changed back."""
    things.update(a={"text": "a"}, b={"text": "b"}, c={})
    local = LocalStack(home, "local")
    local.up()
    del cloud.things["a-1"]
    cloud.things["b-2"]["text"] = "by hand"
    assert [op for op, *_ in ops(local.refresh(apply=True))] == [Op.DELETE, Op.UPDATE]
    assert local.refresh().changes == []
    assert ops(local.up()) == [(Op.CREATE, "a", ()), (Op.UPDATE, "b", ("text",))]
    assert [thing["text"] for thing in cloud.things.values() if "text" in thing] == ["b", "a"]


def test_refresh_leaves_out_what_an_interrupted_up_began(
    home: Home, things: Program, cloud: Cloud
) -> None:
    """It has no id to ask for; the next `up` sees to it."""
    things.update(a={}, b={})
    cloud.failing = {"b"}
    local = LocalStack(home, "local")
    with pytest.raises(DeploymentError):
        local.up()
    plan = local.refresh(apply=True)
    assert [(step.op, step.name) for step in plan.steps] == [(Op.SAME, "a")]
    assert urn("b") in State(home.stack("local") / "state.json").resources


def test_what_cannot_be_read_is_one_line(
    home: Home, things: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which resource, and what AWS said."""

    def refuse(_cloud: Cloud, _id: str, _outputs: Properties) -> None:
        raise ConnectionError("nobody listens")

    things["a"] = {}
    local = LocalStack(home, "local")
    local.up()
    monkeypatch.setattr(Cloud, "read", refuse)
    with pytest.raises(DeploymentError, match=rf"^{KIND} a: nobody listens$"):
        local.refresh()


def test_down_deletes_and_stops(
    home: Home, things: Program, cloud: Cloud, machines: list[Emulator]
) -> None:
    """Last made first; then the emulator goes."""
    things.update(a={}, b={})
    local = LocalStack(home, "local")
    local.up()
    local.down()
    assert [name for what, name in cloud.log if what == "delete"] == ["b-2", "a-1"]
    assert (machines, local.exported()) == ([], {})


def test_what_cannot_be_deleted_stays_recorded(
    home: Home, things: Program, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line; the emulator goes on, so that `down` can be run again."""

    def refuse(_cloud: Cloud, _id: str, _outputs: Properties) -> None:
        raise RuntimeError("the repository is not empty")

    things["a"] = {}
    local = LocalStack(home, "local")
    local.up()
    with monkeypatch.context() as patch:
        patch.setattr(Cloud, "delete", refuse)
        with pytest.raises(DeploymentError, match=rf"^{KIND} a: the repository is not empty$"):
            local.down()
    local.down()
    assert cloud.things == {}


def test_protected_is_taken_down_only_when_discarded(
    home: Home, things: Program, cloud: Cloud, machines: list[Emulator]
) -> None:
    """The line names what is protected and both ways out; --discard asks nobody."""
    things["a"] = {}
    local = LocalStack(home, "local")
    local.up()
    state = State(home.stack("local") / "state.json")
    state.resources[urn("a")].protect = True
    state.save()
    with pytest.raises(
        DeploymentError, match=r"^protected: .*::a; set thimble:protect .*--discard"
    ):
        local.down()
    assert machines != []
    local.down(discard=True)
    assert (machines, list(cloud.things)) == ([], ["a-1"])


def test_quiet_prints_no_steps(
    home: Home, things: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan goes elsewhere; without it each step is a line."""
    things["a"] = {}
    LocalStack(home, "local", quiet=True).preview()
    assert capsys.readouterr().out == ""
    LocalStack(home, "local").preview()
    assert f"+  {KIND}  a  create" in capsys.readouterr().out


def test_the_environment_is_as_before(
    home: Home, things: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's own settings of whoever runs this come back after a command, and none is added."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    things["a"] = {}
    before = dict(os.environ)
    LocalStack(home, "local").up()
    assert dict(os.environ) == before


def test_expected_no_changes() -> None:
    """A plan that changes nothing passes; another raises with its counts."""
    same, new = Step(op=Op.SAME, urn=urn("a")), Step(op=Op.CREATE, urn=urn("b"))
    expect_no_changes(Plan([same]))
    with pytest.raises(ExpectationError, match="1 to create, 1 unchanged") as caught:
        expect_no_changes(Plan([same, new]))
    assert caught.value.exit_code == 7
