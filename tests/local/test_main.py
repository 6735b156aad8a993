"""`python -m local`: exit codes, what goes to which stream, one line for what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local import __main__ as command
from local import base, demo, docker, process
from local.errors import DeploymentError
from local.home import PROJECT, Home, say, write_json
from local.plan import Op, Plan, Step
from local.stack import LocalStack
from tests.local.conftest import urn

if TYPE_CHECKING:
    from pathlib import Path

CHANGE = Plan([Step(op=Op.CREATE, urn=urn("a"), new={})])
NO_CHANGE = Plan([Step(op=Op.SAME, urn=urn("a"))])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home of every command of a test."""
    monkeypatch.setenv("THIMBLE_HOME", str(tmp_path / "home"))
    return Home.default()


@pytest.fixture
def plan(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, LocalStack]]:
    """`up` and `preview` that tell something and change one thing; the calls they got."""
    del home
    calls: list[tuple[str, LocalStack]] = []

    def planned(name: str) -> object:
        def run(stack: LocalStack) -> Plan:
            calls.append((name, stack))
            say("on the way")
            return CHANGE

        return run

    for name in ("up", "preview"):
        monkeypatch.setattr(LocalStack, name, planned(name))
    monkeypatch.setattr(demo, "show", lambda _stack: say("a prediction"))
    return calls


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `preview` raise."""

    def preview(_stack: LocalStack) -> Plan:
        raise error

    monkeypatch.setattr(LocalStack, "preview", preview)


@pytest.mark.usefixtures("plan")
def test_up_ends_with_a_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    """After what was done."""
    assert command.main(["up"]) == 0
    assert capsys.readouterr().out == "on the way\n1 created, 0 unchanged\na prediction\n"


@pytest.mark.usefixtures("plan")
def test_preview_tells_what_would_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    """And asks for no prediction."""
    assert command.main(["preview"]) == 0
    assert capsys.readouterr().out == "on the way\n1 to create, 0 unchanged\n"


@pytest.mark.parametrize("verb", ["up", "preview"])
@pytest.mark.usefixtures("plan")
def test_json_is_all_that_stdout_gets(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """What is told on the way goes to stderr: who parses stdout must not stumble over it."""
    assert command.main([verb, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads(json.dumps(CHANGE.document()))
    assert printed.err == "on the way\n"


@pytest.mark.usefixtures("plan")
def test_an_unexpected_change_is_exit_code_7(capsys: pytest.CaptureFixture[str]) -> None:
    """As Pulumi's, after the plan itself."""
    assert command.main(["preview", "--json", "--expect-no-changes"]) == 7
    printed = capsys.readouterr()
    assert json.loads(printed.out)["changeSummary"] == {"create": 1}
    expected = "error: no changes were expected: 1 to create, 0 unchanged"
    assert printed.err.splitlines()[-1] == expected


@pytest.mark.usefixtures("home")
def test_no_change_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is success."""
    monkeypatch.setattr(LocalStack, "refresh", lambda _stack, apply: NO_CHANGE)  # noqa: ARG005
    assert command.main(["refresh", "--expect-no-changes"]) == 0


@pytest.mark.usefixtures("home")
def test_refresh_is_recorded_only_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --apply it tells what would be, with it what was done."""
    given: list[bool] = []

    def refresh(_stack: LocalStack, *, apply: bool) -> Plan:
        given.append(apply)
        return Plan([Step(op=Op.DELETE, urn=urn("a"), old={})])

    monkeypatch.setattr(LocalStack, "refresh", refresh)
    assert [command.main(["refresh"]), command.main(["refresh", "--apply"])] == [0, 0]
    assert given == [False, True]
    printed = capsys.readouterr()
    assert printed.out == "1 to delete, 0 unchanged\n1 deleted, 0 unchanged\n"
    assert printed.err == "refresh --apply records this, and the next `up` undoes it\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DeploymentError("bad: no"), 1, "error: bad: no"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: Permission denied: /x; run th"),
        (KeyboardInterrupt(), 130, "stopped; what was done is recorded, running this again cont"),
    ],
    ids=["ours", "permission", "ctrl-c"],
)
@pytest.mark.usefixtures("home")
def test_what_goes_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    """On stderr, with an exit code of its own."""
    failing(monkeypatch, error)
    assert command.main(["preview"]) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith(line)


@pytest.mark.usefixtures("home")
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a user can mend is one line."""
    failing(monkeypatch, RuntimeError("ours"))
    with pytest.raises(RuntimeError):
        command.main(["preview"])


def test_one_command_at_a_time(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """The second is told who is at work; outputs can always be read."""
    with home.locked():
        assert command.main(["preview"]) == 1
        assert f"another command (pid {os.getpid()})" in capsys.readouterr().err
        assert command.main(["outputs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {}


def test_settings_of_one_run(plan: list[tuple[str, LocalStack]]) -> None:
    """Each --config is a key and a value, which may hold an equals sign, or be empty."""
    flags = ["--config", "thimble:a.b=c=d", "--config", "thimble:e=", "--stack", "dev"]
    command.main(["preview", *flags])
    command.main(["preview"])
    assert [(stack.name, stack.settings) for _, stack in plan] == [
        ("dev", {"thimble:a.b": "c=d", "thimble:e": ""}),
        ("local", {}),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--config", "no-value"],
        ["up", "--config", "=no-key"],
        ["up", "--discard"],
        ["down", "--config", "thimble:a=b"],
        ["down", "--expect-no-changes"],
        ["outputs", "--apply"],
        ["sideways"],
        [],
    ],
)
@pytest.mark.usefixtures("plan")
def test_what_a_command_does_not_take_is_refused(arguments: list[str]) -> None:
    """Rather than ignored."""
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2


def test_outputs_are_lines_or_json(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """For a person and for a program."""
    home.stack("local").mkdir(parents=True)
    write_json(home.stack("local") / "state.json", {"outputs": {"url": "http://x", "n": 1}})
    assert [command.main(["outputs"]), command.main(["outputs", "--json"])] == [0, 0]
    first, second, document = capsys.readouterr().out.split("\n", 2)
    assert [first.split(), second.split()] == [["url", "http://x"], ["n", "1"]]
    assert json.loads(document) == {"url": "http://x", "n": 1}


def test_a_reader_that_has_seen_enough(home: Home) -> None:
    """`outputs | head -1` ends well, without a traceback."""
    home.stack("local").mkdir(parents=True)
    many = {"outputs": {str(n): "x" * 1000 for n in range(1000)}}
    write_json(home.stack("local") / "state.json", many)
    with subprocess.Popen(
        [sys.executable, "-m", "local", "outputs"], cwd=PROJECT, stdout=-1, stderr=-1, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith("0 ")
        running.stdout.close()
        assert (running.stderr.read(), running.wait(60)) == ("", 0)


@pytest.fixture
def bare(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No daemon, and a project folder that may be cleaned; what happened to the base image."""
    del home
    told: list[str] = []
    monkeypatch.setattr(docker, "answers", lambda: False)
    monkeypatch.setattr(base, "forget", lambda _home: told.append("base forgotten"))
    monkeypatch.setattr(command, "PROJECT", tmp_path / "project")
    (tmp_path / "project" / ".build" / "models").mkdir(parents=True)
    return told


def emulated(home: Home, stack: str, log: Path) -> dict[str, int]:
    """A stack that is up: its record, of a process that only sleeps."""
    home.stack(stack).mkdir(parents=True)
    started = process.start(["sleep", "60"], log)
    document = {"port": 1, "sagemaker_port": 2, "processes": [started, started]}
    write_json(home.stack(stack) / "emulator.json", document)
    return started


@pytest.mark.usefixtures("bare")
def test_the_last_down_leaves_nothing(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stack that others outlive takes only itself; the last takes home and what was built."""
    dev, local = (emulated(home, stack, tmp_path / "log") for stack in ("dev", "local"))
    assert command.main(["down", "--stack", "dev"]) == 0
    assert (process.alive(dev), process.alive(local)) == (False, True)
    assert (home.stacks(), (tmp_path / "project" / ".build").exists()) == (["local"], True)
    assert command.main(["down", "--discard"]) == 0
    assert (process.alive(local), home.root.exists()) == (False, False)
    assert not (tmp_path / "project" / ".build").exists()
    first, second = capsys.readouterr().out.splitlines()
    assert first == "stack dev is gone; still up: local"
    assert second.startswith("stack local is gone, and with it everything")


def test_down_of_nothing(home: Home, bare: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Is done at once; a daemon that is not ours stays, without our base image."""
    monkeypatch.setattr(docker, "answers", lambda: True)
    assert command.main(["down"]) == 0
    assert (bare, home.root.exists()) == (["base forgotten"], False)
