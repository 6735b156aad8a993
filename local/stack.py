"""What can be done with a stack: up, preview, refresh, down."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local import aws, base, docker, emulator, images, program, sagemaker
from local.engine import Deployment
from local.errors import DeploymentError, ExpectationError
from local.home import Home, read_json, say
from local.plan import show
from local.state import State

if TYPE_CHECKING:
    from local.emulator import Emulator
    from local.plan import Plan
    from local.values import Properties

ARTIFACT = "artifact"  # the output by which a model on this machine's disk is known


@dataclass(frozen=True, slots=True)
class LocalStack:
    """One environment of the embedded AWS.

    Attributes:
        home: Where everything is kept.
        name: The stack's name; its settings are in Pulumi.NAME.yaml.
        quiet: Print no steps; the plan goes elsewhere.
        settings: Values of this one run, over those of Pulumi.NAME.yaml.
    """

    home: Home
    name: str
    quiet: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """The stack's configuration.

        Raises:
            DeploymentError: There is no such stack.
        """
        return program.configuration(self.name, self.settings)

    def up(self) -> Plan:
        """Deploy: create, update, replace and delete until AWS is what the program says.

        Raises:
            LocalError: Something failed; what was done is recorded and the next run continues.
        """
        config = self.config  # an unknown stack starts no daemon
        docker.ensure(self.home)
        base.ensure(self.home)
        machine = emulator.ensure(self.home, self.name)
        state = self._state(machine)
        deployment = self._deployment(state, machine, preview=False)
        say(f"deploying stack {self.name} ...")
        outputs = self._run(deployment, machine, config)
        deployment.delete_unseen()
        state.outputs = outputs
        state.save()
        return deployment.plan

    def preview(self) -> Plan:
        """Show what `up` would do, touching nothing: no daemon or emulator is even started."""
        config = self.config
        machine = emulator.running(self.home, self.name)
        state = self._state(machine)
        # Without an emulator there is nothing deployed and nothing to ask; a first deployment.
        machine = machine or emulator.Emulator(emulator.FIRST_PORT, emulator.FIRST_PORT + 1, "")
        deployment = self._deployment(state, machine, preview=True)
        try:
            self._run(deployment, machine, config)
            deployment.delete_unseen()
        finally:
            self._show(deployment.plan)
        return deployment.plan

    def refresh(self, *, apply: bool = False) -> Plan:
        """Compare the state with what is really there; one step for each difference.

        Args:
            apply: Let the state say what is there, so that the next `up` makes again what is gone
                and undoes what was changed by hand.

        Raises:
            DeploymentError: Nothing is deployed, or a resource cannot be read.
        """
        machine = emulator.running(self.home, self.name)
        if machine is None:
            raise DeploymentError(f"stack {self.name} is not up; `make up` brings it up")
        state = self._state(machine)
        deployment = self._deployment(state, machine, preview=not apply)
        with _environment(machine):
            # Components are only here, and what an interrupted `up` began is for the next to end.
            for resource in [r for r in state.resources.values() if r.id]:
                deployment.refresh(resource)
        if not apply:
            self._show(deployment.plan)
        return deployment.plan

    def down(self, *, discard: bool = False) -> None:
        """Delete every resource, last made first, then stop the emulator.

        Args:
            discard: Skip the deletions: the emulator goes, and everything with it.

        Raises:
            DeploymentError: A resource is protected, or could not be deleted.
        """
        machine = emulator.running(self.home, self.name)
        if machine is not None and not discard:
            self._destroy(machine)
        emulator.stop(self.home, self.name)
        if machine is not None and docker.answers():
            sagemaker.stop_container(str(machine.sagemaker_port))
            emulator.sweep(machine)

    def outputs(self) -> dict[str, Any]:
        """What the program exported.

        Raises:
            DeploymentError: Nothing is deployed.
        """
        outputs = self.exported()
        if not outputs:
            raise DeploymentError(f"stack {self.name} has no outputs; `make up` brings it up")
        return outputs

    def exported(self) -> dict[str, Any]:
        """The same, and empty where nothing is deployed."""
        document = read_json(self.home.stack(self.name) / "state.json") or {}
        return dict(document.get("outputs", {}))

    def _show(self, plan: Plan) -> None:
        """Print what is foreseen; what is done is told as it is done."""
        for depth, step in [] if self.quiet else plan.outline():
            show(step, depth=depth)

    def _destroy(self, machine: Emulator) -> None:
        state = self._state(machine)
        protected = [r.urn for r in state.resources.values() if r.protect]
        if protected:
            raise DeploymentError(
                f"protected: {', '.join(protected)}; set thimble:protect to false and deploy first,"
                " or throw the emulated AWS away with --discard"
            )
        deployment = self._deployment(state, machine, preview=False)
        with _environment(machine):
            deployment.delete_unseen()
        state.outputs = {}
        state.save()

    def _state(self, machine: Emulator | None) -> State:
        state = State(self.home.stack(self.name) / "state.json")
        boot = machine.boot if machine else ""
        if state.boot != boot and state.resources:
            # An emulator keeps everything in memory: what it lost is to be made again. Only the
            # optimized model lives on this machine's disk; a promoted image, though dynamic too,
            # was in the emulator's registry.
            say("the emulated AWS was restarted; what it held is made again")
            kept = {u: r for u, r in state.resources.items() if ARTIFACT in r.outputs}
            state.resources, state.doomed, state.outputs = kept, [], {}
        state.boot = boot
        return state

    def _deployment(self, state: State, machine: Emulator, *, preview: bool) -> Deployment:
        return Deployment(
            state=state,
            providers={**aws.providers(machine), images.TOKEN: images.Image(base.tag(self.home))},
            functions=aws.functions_of(machine),
            preview=preview,
            quiet=self.quiet,
        )

    def _run(
        self, deployment: Deployment, machine: Emulator, config: dict[str, str]
    ) -> dict[str, Any]:
        with _environment(machine):
            return program.run(deployment, self.name, config, self._reference)

    def _reference(self, name: str) -> Properties:
        """Outputs of another stack, named as Pulumi names it: organization/project/stack."""
        return LocalStack(self.home, name.rpartition("/")[2]).outputs()


class _environment:  # noqa: N801 - reads as the statement it is
    """Strictly private. Every AWS client of this process, and its children, on the emulator."""

    def __init__(self, machine: Emulator) -> None:
        self._wanted = machine.environment()

    def __enter__(self) -> None:
        self._before = {key: os.environ.get(key) for key in self._wanted}
        os.environ.update(self._wanted)

    def __exit__(self, *_: object) -> None:
        for key, value in self._before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def expect_no_changes(plan: Plan) -> None:
    """Raise where a plan changes anything.

    Raises:
        ExpectationError: It does.
    """
    if plan.changes:
        raise ExpectationError(f"no changes were expected: {plan.summary()}")
