"""Configuration, and a whole tiny program from its first deployment to its last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import base, program
from local.errors import DeploymentError
from local.values import MASK

ROOT = Path(__file__).parents[2]
PROJECT = """
name: thimble
runtime: python
config:
  model: {type: string, default: models/a}
  alarms: {type: boolean, default: true}
  api.auth: {type: string, default: iam}
  api.limits.burst: {type: integer, default: 20}
  api.limits.rate: {type: integer, default: 10}
  required: {type: string}
"""
STACK = """
config:
  thimble:model: models/b
  thimble:api:
    limits: {rate: 5}
    origins: ["*"]
  aws:region: eu-west-1
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two stacks."""
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "Pulumi.local.yaml").write_text(STACK)
    (tmp_path / "Pulumi.dev.yaml").write_text("")
    monkeypatch.setattr(program, "PROJECT", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_stack_stands_over_the_projects_defaults() -> None:
    """Dotted settings fill what the stack's areas leave out, at every depth."""
    found = program.configuration("local")
    assert found["thimble:model"] == "models/b"
    assert json.loads(found["thimble:api"]) == {
        "auth": "iam",
        "limits": {"rate": 5, "burst": 20},
        "origins": ["*"],
    }


@pytest.mark.usefixtures("project")
def test_values_are_text() -> None:
    """As Pulumi's engine hands them out: text as it is, all else as JSON."""
    found = program.configuration("local")
    assert (found["thimble:alarms"], found["aws:region"]) == ("true", "eu-west-1")
    assert {str} == {type(value) for value in found.values()}


@pytest.mark.usefixtures("project")
def test_a_stack_without_settings_has_the_defaults() -> None:
    """An empty file is a stack; a setting without a default is not made up."""
    found = program.configuration("dev")
    assert json.loads(found["thimble:api"])["limits"] == {"burst": 20, "rate": 10}
    assert "thimble:required" not in found


@pytest.mark.usefixtures("project")
def test_settings_of_one_run_stand_over_all() -> None:
    """Dotted ones reach into their area and leave its other values."""
    found = program.configuration("local", {"thimble:api.limits.rate": "7"})
    assert json.loads(found["thimble:api"])["limits"] == {"rate": "7", "burst": 20}


@pytest.mark.usefixtures("project")
def test_a_setting_without_a_namespace_is_the_projects() -> None:
    """As on Pulumi's command line; never a setting that nobody reads."""
    found = program.configuration("local", {"api.limits.rate": "7"})
    assert json.loads(found["thimble:api"])["limits"]["rate"] == "7"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("config: {api: {auth: none}}", "Pulumi.dev.yaml: 'api' has no namespace; expected thim"),
        ("config: {thimble:api: jwt}", "thimble:api is 'jwt', which has no 'auth'; expected a map"),
        ("config: [", "Pulumi.dev.yaml is no YAML mapping: while parsing a flow node"),
        ("just text", "Pulumi.dev.yaml is no YAML mapping: it holds 'just text'"),
        ("[ab, cd]", "Pulumi.dev.yaml is no YAML mapping: it holds ['ab', 'cd']"),
        ("config: 3", "Pulumi.dev.yaml: config is 3; expected settings below it, such as `thimble"),
        ("config: [a]", "Pulumi.dev.yaml: config is ['a']; expected settings below it"),
        ("config: text", "Pulumi.dev.yaml: config is 'text'; expected settings below it"),
        ("config: {3: a}", "Pulumi.dev.yaml: '3' has no namespace; expected thimble:3"),
        ("config: {null: a}", "Pulumi.dev.yaml: 'None' has no namespace"),
        ("config: {thimble:api: [1]}", "thimble:api is [1], which has no 'auth'"),
    ],
)
def test_a_stack_file_with_a_mistake(project: Path, text: str, complaint: str) -> None:
    """One line that names it."""
    (project / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(DeploymentError) as caught:
        program.configuration("dev")
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: [", "Pulumi.yaml is no YAML mapping: while parsing"),
        ("config: {}", "Pulumi.yaml: name is None; expected the project's"),
        ("{name: thimble, config: 3}", "Pulumi.yaml: config is 3; expected settings below it"),
        (None, "Pulumi.yaml is missing; `git checkout Pulumi.yaml`"),
    ],
)
def test_a_project_file_with_a_mistake(project: Path, text: str | None, complaint: str) -> None:
    """One line that names it, here as well."""
    file = project / "Pulumi.yaml"
    file.write_text(text) if text else file.unlink()
    with pytest.raises(DeploymentError) as caught:
        program.configuration("dev")
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_a_date_is_text(project: Path) -> None:
    """YAML makes more of it than was written."""
    dates = "config: {thimble:model: 2026-11-23, thimble:api: {auth: 2026-11-24}}"
    (project / "Pulumi.dev.yaml").write_text(dates)
    found = program.configuration("dev")
    assert found["thimble:model"] == "2026-11-23"
    assert json.loads(found["thimble:api"])["auth"] == "2026-11-24"


DECLARED = "  image.baseImage: {default: x}\n  function.architecture: {default: arm64}\n"


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ("thimble:image: {baseImage: y}", f"thimble:image.baseImage is 'y', {{}} {base.IMAGE}"),
        ("thimble:function: {architecture: z}", "thimble:function.architecture is 'z', {} host"),
        ("thimble:function: {architecture: [1]}", "thimble:function.architecture is [1], {} host"),
    ],
)
def test_the_local_stack_is_this_machine(project: Path, own: str, complaint: str) -> None:
    """Another base or processor than its own is refused, not replaced without a word."""
    (project / "Pulumi.yaml").write_text(PROJECT + DECLARED)
    (project / "Pulumi.local.yaml").write_text(f"config: {{{own}}}")
    with pytest.raises(DeploymentError) as caught:
        program.configuration("local")
    why = "and the embedded AWS has this machine's own: set it to"
    assert str(caught.value) == f"Pulumi.local.yaml: {complaint.format(why)}"


@pytest.mark.parametrize("architecture", ["host", program.ARCHITECTURE])
def test_the_local_stack_may_name_this_machine(project: Path, architecture: str) -> None:
    """By the names that its own file has, or leave them out; one run may be told others."""
    (project / "Pulumi.yaml").write_text(PROJECT + DECLARED)
    own = {"function": {"architecture": architecture}, "image": {"baseImage": base.IMAGE}}
    for settings in ({f"thimble:{area}": below for area, below in own.items()}, {}):
        (project / "Pulumi.local.yaml").write_text(json.dumps({"config": settings}))
        found = program.configuration("local")
        assert json.loads(found["thimble:image"]) == {"baseImage": base.reference()}
        assert json.loads(found["thimble:function"]) == {"architecture": program.ARCHITECTURE}
    told = program.configuration("local", {"image.baseImage": "y"})
    assert json.loads(told["thimble:image"]) == {"baseImage": "y"}


def test_some_settings_are_this_machines(project: Path) -> None:
    """A stack that is meant for AWS names an image that is not here; only declared ones are set."""
    declared = "  image.baseImage: {type: string, default: x}\n"
    (project / "Pulumi.yaml").write_text(PROJECT + declared)
    (project / "Pulumi.dev.yaml").write_text("config: {thimble:image: {baseImage: y, other: 1}}")
    found = program.configuration("dev")
    assert json.loads(found["thimble:image"]) == {"baseImage": base.reference(), "other": 1}
    assert "thimble:function" not in found


@pytest.mark.usefixtures("project")
def test_unknown_stack_lists_the_known() -> None:
    """One line that says which there are."""
    with pytest.raises(DeploymentError) as caught:
        program.configuration("prd")
    assert str(caught.value) == "no stack 'prd' here; expected one of dev, local"


@pytest.mark.usefixtures("project")
def test_project_name() -> None:
    """From Pulumi.yaml."""
    assert program.project_name() == "thimble"


PREAMBLE = """
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

class Thing(pulumi.CustomResource):
    size: pulumi.Output[int]
    name: pulumi.Output[str]

    def __init__(self, thing, props, opts=None):
        super().__init__("test:index:Thing", thing, {"size": None, "name": None, **props}, opts)

class Shout(ResourceProvider):
    def create(self, props):
        return CreateResult("shout", {**props, "loud": props["text"].upper()})
    def diff(self, _id, olds, news):
        return DiffResult(changes=olds["text"] != news["text"])
    def update(self, _id, _olds, news):
        return UpdateResult({**news, "loud": news["text"].upper()})

class Loud(Resource, module="demo", name="Loud"):
    loud: pulumi.Output[str]

    def __init__(self, thing, text, opts=None):
        super().__init__(Shout(), thing, {"text": text, "loud": None}, opts)

class Part(pulumi.ComponentResource):
    def __init__(self, thing):
        super().__init__("demo:index:Part", thing)

config = pulumi.Config()
"""
WHOLE = """
part = Part("part")
loud = Loud("loud", config.require("model"))
first = Thing("first", {"text": loud.loud}, pulumi.ResourceOptions(parent=part))
second = Thing("second", {
    "text": first.size.apply(lambda size: "x" * size),
    "token": pulumi.Output.secret("hush"),
})
double = pulumi.runtime.invoke_output("test:index:double", {"x": 21})
other = pulumi.StackReference("organization/demo/dev")
part.register_outputs({})
pulumi.export("size", second.size)
pulumi.export("token", second.token if hasattr(second, "token") else pulumi.Output.secret("hush"))
pulumi.export("twice", double.apply(lambda found: found["twice"]))
pulumi.export("url", other.require_output("url"))
pulumi.export("loud", loud.loud)
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A project whose program a test rewrites and runs."""

    folder: Path

    def write(self, body: str) -> None:
        """Change the program."""
        text = PREAMBLE + textwrap.dedent(body)
        (self.folder / "__main__.py").write_text(text)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Begin a run."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.local.driver", str(self.folder), command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str = "up") -> dict[str, Any]:
        """Run it and return the driver's document."""
        process = self.start(command)
        printed, complained = process.communicate(timeout=60)
        assert process.returncode == 0, complained
        assert "Traceback" not in complained
        return dict(json.loads(printed.splitlines()[-1]))


@pytest.fixture
def demo(project: Path) -> Program:
    """The whole program, not deployed yet."""
    found = Program(project)
    found.write(WHOLE)
    return found


def test_a_program_from_first_to_last(demo: Program) -> None:
    """Preview, up, up again, a changed setting, an emptied program."""
    preview = demo.run("preview")
    everything = {
        ("demo:index:Part", "part"),
        ("pulumi-python:dynamic/demo:Loud", "loud"),
        ("test:index:Thing", "first"),
        ("test:index:Thing", "second"),
    }
    assert {("create", *one) for one in everything} == {tuple(s) for s in preview["steps"]}
    assert (preview["cloud"], preview["outputs"]["size"]) == ({}, None)
    assert not (demo.folder / "state.json").exists()

    up = demo.run()
    assert up["outputs"] == {
        "size": len("models/b"),
        "token": MASK,
        "twice": 42,
        "url": "https://organization.demo.dev",
        "loud": "MODELS/B",
    }
    assert len(up["cloud"]) == 2
    assert "hush" not in (demo.folder / "state.json").read_text()

    again = demo.run()
    assert {"same"} == {op for op, *_ in again["steps"]}
    assert (again["outputs"], again["log"]) == (up["outputs"], [])

    settings = demo.folder / "Pulumi.local.yaml"
    settings.write_text(STACK.replace("models/b", "models/longer"))
    preview = demo.run("preview")
    changes = {(op, name) for op, _, name in preview["steps"] if op != "same"}
    assert changes == {("update", "loud"), ("update", "first"), ("update", "second")}
    assert preview["log"] == []
    assert demo.run()["outputs"]["size"] == len("models/longer")

    demo.write("")
    emptied = demo.run()
    assert [s[2] for s in emptied["steps"]] == ["second", "first", "loud", "part"]
    assert emptied["cloud"] == {}


def test_a_program_that_raises(demo: Program) -> None:
    """One line: what it raised. Nothing that it did not register is deleted."""
    demo.run()
    demo.write("config.require('required')")
    failed = demo.run()
    assert failed["error"].startswith("the program failed: Missing required configuration variable")
    assert (failed["log"], len(failed["cloud"])) == ([], 2)


def test_a_resource_that_fails(demo: Program) -> None:
    """One line for the one that failed, none for what hangs on it; the rest is kept."""
    demo.write(
        """
        good = Thing("good", {})
        bad = Thing("bad", {"text": "impossible"}, pulumi.ResourceOptions(depends_on=[good]))
        Thing("after", {"text": bad.size})
        """
    )
    failed = demo.run()
    assert failed["error"] == "test:index:Thing bad: bad: text: impossible"
    assert [what for what, _ in failed["log"]] == ["create"]
    demo.write("Thing('good', {}); Thing('bad', {'text': 'possible'})")
    assert [what for what, _ in demo.run()["log"]] == ["create"]


def test_an_interrupt_ends_after_the_step_under_way(demo: Program) -> None:
    """Ctrl-C: what is being made is made and recorded, nothing new begins, and a line says so."""
    demo.write(
        """
        import time
        from pathlib import Path

        class Slow(ResourceProvider):
            def create(self, props):
                Path(props["begun"]).touch()
                time.sleep(1)
                return CreateResult("slow", props)

        class Wait(Resource):
            def __init__(self, thing, begun):
                super().__init__(Slow(), thing, {"begun": begun})

        slow = Wait("slow", str(Path("begun").absolute()))
        Thing("after", {}, pulumi.ResourceOptions(depends_on=[slow]))
        """
    )
    process = demo.start("up")
    begun = demo.folder / "begun"
    pause = threading.Event()
    while not begun.exists():
        assert process.poll() is None, process.communicate()
        pause.wait(0.02)
    process.send_signal(signal.SIGINT)
    printed, complained = process.communicate(timeout=30)
    found = json.loads(printed.splitlines()[-1])
    assert found["error"].startswith("stopped; what was done is recorded")
    assert "Traceback" not in complained
    recorded = json.loads((demo.folder / "state.json").read_text())["resources"]
    assert [("slow", "slow", False)] == [
        (r["urn"].rpartition("::")[2], r["id"], r["creating"]) for r in recorded
    ]
