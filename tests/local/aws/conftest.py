"""A real emulator, started as `up` starts it, and resources made on it as the engine makes them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local import emulator
from local.aws import providers
from local.home import Home
from tests.local.conftest import docker_on_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.aws.resource import Aws, Resource
    from local.emulator import Emulator
    from local.provider import Diff
    from local.values import Properties


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """MiniStack and moto, without Docker, on ports of their own; ended with the session."""
    folder = tmp_path_factory.mktemp("emulator")
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        # Ports of this run's own, and no daemon for Lambda to start anything with.
        patch.setattr(emulator, "FIRST_PORT", 24000 + os.getpid() % 4000)
        patch.setenv("DOCKER_HOST", f"unix://{folder}/absent")
        docker = docker_on_path(folder / "docker", patch)
        # SageMaker's data plane also listens on the bridge: here, another address of loopback.
        docker.answer("network", "127.0.0.2/31\n")
        found = emulator.ensure(home, "local")
    yield found
    emulator.stop(home, "local")


@pytest.fixture(scope="session")
def kinds(machine: Emulator) -> Iterator[dict[str, Any]]:
    """Every aws type on the emulator, by its token."""
    found: dict[str, Any] = dict(providers(machine))
    yield found
    for kind in found.values():
        kind.client.close()


@dataclass(slots=True)
class Deployed:
    """One resource between its creation and its removal."""

    kind: Resource
    name: str
    id: str
    inputs: Properties
    outputs: Properties

    @property
    def found(self) -> Properties | None:
        """What is really there."""
        return self.kind.read(self.id, self.outputs)

    def diff(self, **changes: Any) -> tuple[Properties, Diff]:
        """Checked inputs after a change, and how they differ; None takes an input away."""
        wanted = {k: v for k, v in {**self.inputs, **changes}.items() if v is not None}
        news = self.kind.check(self.name, self.inputs, wanted)
        return news, self.kind.diff(self.id, self.inputs, self.outputs, news)

    def change(self, **changes: Any) -> None:
        """Change it in place, as the engine does."""
        news, diff = self.diff(**changes)
        assert diff.changed == tuple(sorted(changes))
        assert diff.replaces == ()
        self.outputs = self.kind.update(self.id, self.outputs, news)
        self.inputs = news

    def drift(self) -> set[str]:
        """Names of properties that are otherwise than deployed."""
        assert self.found is not None
        return {k for k, v in self.found.items() if v != self.outputs.get(k)}

    def remove(self) -> None:
        """Delete it, twice: the second time it is gone already."""
        self.kind.delete(self.id, self.outputs)
        assert self.found is None
        self.kind.delete(self.id, self.outputs)


@dataclass(frozen=True, slots=True)
class Account:
    """The emulated account."""

    kinds: dict[str, Resource]
    aws: Aws

    def client(self, service: str) -> Any:
        """boto3's own client, to see what AWS holds."""
        return self.aws.client(service)

    def make(self, token: str, name: str, /, **inputs: Any) -> Deployed:
        """Create a resource, as the engine does."""
        kind = self.kinds[token]
        news = kind.check(name, {}, inputs)
        id_, outputs = kind.create(news, resume=False)
        made = Deployed(kind, name, id_, news, {**news, **outputs})
        assert made.drift() == set()
        return made


@pytest.fixture
def account(kinds: dict[str, Any]) -> Account:
    """An account in which other tests may have left nothing."""
    return Account(kinds, next(iter(kinds.values())).aws)
