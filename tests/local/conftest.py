"""A state file, a Docker that writes down what it is told, and a cloud kept in memory."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from local.engine import Deployment
from local.errors import DeploymentError
from local.provider import Diff, changed_keys
from local.state import State
from local.values import UNKNOWN, contains

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.values import Properties

DOCKER = """#!/bin/sh
for word in "$@"; do printf '%s\\037' "$word"; done >> {folder}/calls
echo >> {folder}/calls
cat "{folder}/$1.answer" 2>/dev/null
cat "{folder}/$1.complaint" >&2 2>/dev/null
exit "$(cat "{folder}/$1.code" 2>/dev/null || echo 0)"
"""


@dataclass(frozen=True, slots=True)
class FakeDocker:
    """A `docker` on PATH: answers what a test prepared, and remembers its arguments."""

    folder: Path

    def answer(self, command: str, text: str = "", *, complaint: str = "", code: int = 0) -> None:
        """Prepare what `docker COMMAND ...` prints and how it ends."""
        (self.folder / f"{command}.answer").write_text(text)
        (self.folder / f"{command}.complaint").write_text(complaint)
        (self.folder / f"{command}.code").write_text(str(code))

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split("\x1f")[:-1] for line in lines]


def docker_on_path(folder: Path, patch: pytest.MonkeyPatch) -> FakeDocker:
    """Put a fake `docker` in front of everything else on PATH."""
    folder.mkdir()
    command = folder / "docker"
    command.write_text(DOCKER.format(folder=folder))
    command.chmod(0o755)
    patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return FakeDocker(folder)


@pytest.fixture
def docker_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A fake `docker` for this test."""
    return docker_on_path(tmp_path / "docker-command", monkeypatch)


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    """Where a stack's state is kept."""
    return tmp_path / "state.json"


@dataclass(slots=True)
class Cloud:
    """One kind of resource, kept in memory.

    Its ids are `NAME` for a resource with a physical name, so that two of one name collide as on
    AWS. `zone` cannot be changed in place; `size` is computed from `text`.
    """

    things: dict[str, Properties] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    resumed: list[str] = field(default_factory=list)
    seen: list[Properties] = field(default_factory=list)
    delete_first: bool = True
    made: int = 0

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Make up a physical name once."""
        if news.get("text") == "impossible":
            raise DeploymentError(f"{name}: text: impossible")
        self.made += 1
        return {**news, "name": news.get("name") or olds.get("name") or f"{name}-{self.made}"}

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Diff:
        """Compare inputs."""
        del id_, outputs
        changed = changed_keys(inputs, news)
        replaces = tuple(key for key in changed if key in ("name", "zone"))
        return Diff(changed, replaces, delete_first=self.delete_first)

    def foresee(self, outputs: Properties, news: Properties, diff: Diff) -> Properties:
        """All but the size, which follows the text."""
        del diff
        certain = {k: v for k, v in {**outputs, **news}.items() if k != "size"}
        return {k: v for k, v in certain.items() if not contains(v, UNKNOWN)}

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Make it, unless it is to fail or is there already."""
        name = str(news["name"])
        if resume:
            self.resumed.append(name)
            self.things.pop(name, None)
        if name.partition("-")[0] in self.failing:
            raise DeploymentError("no more room")
        if name in self.things:
            raise DeploymentError(f"{name} exists")
        self.log.append(("create", name))
        return name, self._keep(name, news)

    def update(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change it, returning all outputs as the aws types do."""
        self.log.append(("update", id_))
        return {**outputs, **self._keep(id_, news)}

    def read(self, id_: str, outputs: Properties) -> Properties | None:
        """What is there."""
        del outputs
        return self.things.get(id_)

    def delete(self, id_: str, outputs: Properties) -> None:
        """Remove it."""
        del outputs
        self.log.append(("delete", id_))
        self.things.pop(id_, None)

    def _keep(self, id_: str, news: Properties) -> Properties:
        self.seen.append(news)
        self.things[id_] = {**news, "size": len(str(news.get("text", "")))}
        return self.things[id_]


KIND = "test:index:Thing"
OPTIONS: Properties = {"protect": False, "ignore_changes": [], "secret_outputs": []}


def urn(name: str) -> str:
    """The URN of a thing."""
    return f"urn:pulumi:local::demo::{KIND}::{name}"


@dataclass(slots=True)
class Runs:
    """Runs of a program over one state file, each reading the file anew as a command does."""

    path: Path
    cloud: Cloud

    def begin(self, *, preview: bool = False) -> Deployment:
        """A new run."""
        return Deployment(
            state=State(self.path),
            providers={KIND: self.cloud},
            functions={},
            preview=preview,
            quiet=True,
        )

    def up(self, *, preview: bool = False, **things: Properties) -> Deployment:
        """Run a program that registers these things, in this order, and nothing else."""
        run = self.begin(preview=preview)
        for name, inputs in things.items():
            run.register(urn(name), KIND, dict(inputs), OPTIONS)
        run.delete_unseen()
        return run


@pytest.fixture
def cloud() -> Cloud:
    """An empty cloud."""
    return Cloud()


@pytest.fixture
def runs(state_file: Path, cloud: Cloud) -> Runs:
    """Runs over an empty cloud."""
    return Runs(state_file, cloud)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C counts, whoever runs the tests: what is started in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
