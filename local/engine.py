"""The embedded engine: takes what the program registers and makes the emulated AWS agree with it.

It stands where Pulumi's engine stands, behind the SDK's own test monitor, and follows its rules:
create, update, replace or leave alone by comparing with the saved state; delete what the program
no longer registers, last made first; in a preview, touch nothing and leave unknown what is unknown.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2
from pulumi.runtime.mocks import MockMonitor, Mocks
from pulumi.runtime.proto import resource_pb2

from local.errors import DeploymentError
from local.plan import Op, Plan, Step, show
from local.provider import PROVIDER_KEY, Dynamic, changed_keys
from local.state import ResourceState, State
from local.values import (
    MASK,
    UNKNOWN,
    Properties,
    Secret,
    contains,
    from_wire,
    masked,
    plain,
    secret_keys,
    to_wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.provider import Diff, Provider

STACK = "pulumi:pulumi:Stack"
REFERENCE = "pulumi:pulumi:StackReference"


class _NoMocks(Mocks):
    """Strictly private. The monitor below answers everything itself."""

    def call(self, args: Any) -> Any:  # noqa: ANN401
        raise NotImplementedError(args.token)

    def new_resource(self, args: Any) -> Any:  # noqa: ANN401
        raise NotImplementedError(args.typ)


@dataclass(slots=True)
class Deployment:
    """One run over one stack.

    Attributes:
        state: What is deployed.
        providers: Kinds of resources by type token.
        functions: Provider functions by token: arguments in, result out.
        preview: Touch nothing.
        plan: The steps, as they become known.
        failures: What went wrong, one line each.
        stopping: Set to refuse further steps; those under way end in their own time.
        seen: URNs that the program has registered in this run; `delete_unseen` deletes the others.
        quiet: Print no steps.
    """

    state: State
    providers: Mapping[str, Provider]
    functions: Mapping[str, Callable[[Properties], Properties]]
    preview: bool
    plan: Plan = field(default_factory=Plan)
    failures: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    seen: set[str] = field(default_factory=set)
    quiet: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self, urn: str, type_: str, inputs: Properties, options: Properties) -> Result:
        """Bring one custom resource to what the program asks for.

        Raises:
            DeploymentError: It cannot be; nothing that was recorded is lost.
        """
        if self.stopping.is_set():
            raise DeploymentError(f"{urn}: stopped before it began")
        self.seen.add(urn)
        try:
            return self._register(urn, type_, inputs, options)
        except Exception as error:
            with self._lock:
                self.failures.append(f"{type_} {urn.rsplit('::', maxsplit=1)[-1]}: {error}")
            raise

    def component(self, urn: str, type_: str) -> None:
        """Record a component: it groups resources and has none of its own."""
        self.seen.add(urn)
        known = urn in self.state.resources
        self._step(Step(op=Op.SAME if known else Op.CREATE, urn=urn))
        if not self.preview and not known:
            self.state.put(ResourceState(urn=urn, type=type_, custom=False))

    def delete_unseen(self) -> None:
        """Delete what was replaced, and what the program no longer registers; last made first."""
        for doomed in [] if self.preview else list(reversed(self.state.doomed)):
            self._delete(doomed)
            self.state.doomed.remove(doomed)
            self.state.save()
        for urn in [u for u in reversed(self.state.resources) if u not in self.seen]:
            resource = self.state.resources[urn]
            if resource.protect:
                raise DeploymentError(
                    f"{urn} is protected and the program no longer has it; put it back, or remove "
                    "`protect` from it first"
                )
            step = Step(op=Op.DELETE, urn=urn, old=resource.inputs)
            begun = time.monotonic()
            if not self.preview:
                self._delete(resource)
                self.state.drop(urn)
            self._step(step, None if self.preview else time.monotonic() - begun)

    def refresh(self, resource: ResourceState) -> None:
        """See what is really there of a resource, and unless in a preview, let the state say so.

        Raises:
            DeploymentError: It cannot be read.
        """
        begun = time.monotonic()
        with _told(resource):
            provider = self.provider(resource.type, resource.inputs)
            found = provider.read(resource.id, resource.outputs)
        # The state has only a secret's mark, which is no value to compare with.
        known = {k: resource.outputs.get(k) for k in found or {}}
        known = {k: v for k, v in known.items() if not contains(v, MASK)}
        seen = {k: v for k, v in (found or {}).items() if k in known}
        differing = changed_keys(known, seen)
        op = Op.DELETE if found is None else Op.UPDATE if differing else Op.SAME
        news = {**resource.outputs, **seen} if found is not None else None
        step = Step(op=op, urn=resource.urn, reasons=differing, old=resource.outputs, new=news)
        if not self.preview and found is None:
            self.state.drop(resource.urn)
        elif not self.preview and differing:
            resource.outputs = {**resource.outputs, **seen}
            # Inputs too, or the next `up` would compare with what was asked for and see no change.
            resource.inputs.update({k: seen[k] for k in differing if k in resource.inputs})
            self.state.put(resource)
        self._step(step, None if self.preview else time.monotonic() - begun)

    def provider(self, type_: str, inputs: Properties) -> Provider:
        """The provider of a type.

        Raises:
            DeploymentError: The embedded AWS does not know the type.
        """
        if PROVIDER_KEY in inputs:
            return Dynamic(str(inputs[PROVIDER_KEY]))
        if type_ not in self.providers:
            raise DeploymentError(
                f"the embedded AWS has no {type_}; deploy this to a real stack, or add the type "
                "to local/aws/"
            )
        return self.providers[type_]

    def _register(self, urn: str, type_: str, inputs: Properties, options: Properties) -> Result:
        name = urn.rsplit("::", maxsplit=1)[-1]
        news = plain(inputs)
        provider = self.provider(type_, news)
        old = self.state.resources.get(urn)
        olds = old.inputs if old else {}
        # A secret's deployed value is not known here: only its mark is, which nobody must be sent.
        ignored = {k: olds[k] for k in options["ignore_changes"] if k in olds}
        news.update({k: v for k, v in ignored.items() if not contains(v, MASK)})
        asked = news
        news = provider.check(name, olds, asked)
        hidden = secret_keys(inputs) - {PROVIDER_KEY} | set(options["secret_outputs"])
        job = _Job(urn, type_, news, hidden, bool(options["protect"]))
        if old is None or not old.id:
            return self._create(provider, job, old)
        diff = provider.diff(old.id, _visible(olds, hidden), old.outputs, _visible(news, hidden))
        if not diff.changed and not diff.replaces:
            if old.protect != job.protect and not self.preview:
                old.protect = job.protect
                self.state.put(old)
            self._step(Step(op=Op.SAME, urn=urn, old=old.inputs, new=old.inputs))
            return Result(urn, old.id, _marked(old.outputs, hidden, news))
        if diff.replaces:
            # Checked again as if it were new: a name that was made up is made up anew, in preview
            # too, where whatever takes the name must be seen to change.
            anew = provider.check(name, {}, asked)
            job = _Job(urn, type_, anew, hidden, bool(options["protect"]))
            return self._replace(provider, job, old, diff)
        return self._update(provider, job, old, diff)

    def _create(self, provider: Provider, job: _Job, old: ResourceState | None) -> Result:
        step = Step(op=Op.CREATE, urn=job.urn, new=job.shown())
        if self.preview:
            self._step(step)
            return Result(job.urn, "", _marked(job.news, job.hidden, {}))
        return self._make(provider, job, step, resume=old is not None)

    def _make(self, provider: Provider, job: _Job, step: Step, *, resume: bool) -> Result:
        begun = time.monotonic()
        # Recorded before it begins: should this process die, the next one knows what may exist,
        # under which physical name.
        self.state.put(job.state("", {}, creating=True))
        id_, outputs = provider.create(job.news, resume=resume)
        return self._finish(job, id_, outputs, step, begun)

    def _update(self, provider: Provider, job: _Job, old: ResourceState, diff: Diff) -> Result:
        step = Step(
            op=Op.UPDATE, urn=job.urn, reasons=diff.changed, old=old.inputs, new=job.shown()
        )
        if self.preview:
            self._step(step)
            foreseen = provider.foresee(old.outputs, job.news, diff)
            return Result(job.urn, old.id, _marked(foreseen, job.hidden, {}))
        begun = time.monotonic()
        outputs = provider.update(old.id, old.outputs, job.news)
        # An input that the program took away is no output either, or refresh calls it a drift.
        gone = {k: old.outputs.get(k) for k in old.inputs if k not in job.news}
        outputs = {k: v for k, v in outputs.items() if k not in gone or v != gone[k]}
        return self._finish(job, old.id, outputs, step, begun)

    def _replace(self, provider: Provider, job: _Job, old: ResourceState, diff: Diff) -> Result:
        if old.protect:
            raise DeploymentError(
                f"{', '.join(diff.replaces)} can only change by replacing it, and it is protected; "
                "undo the change, or remove `protect` from it first"
            )
        step = Step(
            op=Op.REPLACE, urn=job.urn, reasons=diff.changed, old=old.inputs, new=job.shown()
        )
        if self.preview:
            self._step(step)
            return Result(job.urn, "", _marked(job.news, job.hidden, {}))
        if diff.delete_first:
            self._delete(old)
            self.state.drop(job.urn)
        else:
            self.state.doomed.append(old)
        return self._make(provider, job, step, resume=False)

    def _finish(self, job: _Job, id_: str, outputs: Properties, step: Step, begun: float) -> Result:
        everything = {**job.news, **outputs}
        self.state.put(job.state(id_, everything))
        self._step(step, time.monotonic() - begun)
        return Result(job.urn, id_, _marked(everything, job.hidden, {}))

    def _delete(self, resource: ResourceState) -> None:
        if resource.custom and resource.id:
            with _told(resource):
                provider = self.provider(resource.type, resource.inputs)
                provider.delete(resource.id, resource.outputs)

    def _step(self, step: Step, seconds: float | None = None) -> None:
        with self._lock:
            self.plan.add(step)
            if not self.quiet and seconds is not None:
                show(step, seconds)


@dataclass(frozen=True, slots=True)
class Result:
    """What the program gets back for a resource."""

    urn: str
    id: str
    outputs: Properties


@dataclass(frozen=True, slots=True)
class _Job:
    """Strictly private. One registration: its checked inputs and which of them are secret."""

    urn: str
    type: str
    news: Properties
    hidden: set[str]
    protect: bool

    def shown(self) -> Properties:
        return _masked(self.news, self.hidden)

    def state(self, id_: str, outputs: Properties, *, creating: bool = False) -> ResourceState:
        return ResourceState(
            urn=self.urn,
            type=self.type,
            custom=True,
            id=id_,
            inputs=self.shown(),
            outputs=_masked(outputs, self.hidden),
            protect=self.protect,
            creating=creating,
        )


@contextmanager
def _told(resource: ResourceState) -> Iterator[None]:
    """One line for what a provider raises outside of a registration."""
    try:
        yield
    except Exception as error:
        name = resource.urn.rsplit("::", maxsplit=1)[-1]
        raise DeploymentError(f"{resource.type} {name}: {error}") from error


def _masked(properties: Properties, hidden: set[str]) -> Properties:
    marked = {k: Secret(v) if k in hidden else v for k, v in properties.items()}
    return dict(masked(marked))


def _visible(properties: Properties, hidden: set[str]) -> Properties:
    """Without secrets: a fresh registry token is no reason to deploy anything again."""
    return {k: v for k, v in properties.items() if k not in hidden}


def _marked(outputs: Properties, hidden: set[str], clear: Properties) -> Properties:
    """Outputs for the program: secret ones marked, with the values that the run still knows."""
    return {
        k: Secret(clear.get(k, v)) if k in hidden else v
        for k, v in outputs.items()
        if not contains(v, UNKNOWN)
    }


class Monitor(MockMonitor):
    """The SDK's test monitor, answering from a deployment."""

    def __init__(self, deployment: Deployment, references: Callable[[str], Properties]) -> None:
        super().__init__(_NoMocks())
        self.deployment = deployment
        self._references = references

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN that Pulumi's engine gives: all parents' types but the stack's."""
        chain = parent.split("::")[2] if parent else STACK
        qualified = type_ if chain == STACK else f"{chain}${type_}"
        return str(super().make_urn("", qualified, name))

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - gRPC's own name
        """Deploy one resource."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if not request.custom or request.type.startswith("pulumi:providers:"):
            self.deployment.component(urn, request.type)
            return resource_pb2.RegisterResourceResponse(urn=urn, id="", object=request.object)
        options = {
            "protect": request.protect,
            "ignore_changes": list(request.ignoreChanges),
            "secret_outputs": list(request.additionalSecretOutputs),
        }
        result = self.deployment.register(urn, request.type, from_wire(request.object), options)
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=result.id, object=to_wire(result.outputs)
        )

    def ReadResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - gRPC's own name
        """Read another stack's outputs: the only thing that this program reads."""
        if request.type != REFERENCE:
            raise DeploymentError(f"the embedded AWS cannot read a {request.type}")
        urn = self.make_urn(request.parent, request.type, request.name)
        name = str(from_wire(request.properties)["name"])
        found = {"name": name, "outputs": self._references(name), "secretOutputNames": []}
        return resource_pb2.ReadResourceResponse(urn=urn, properties=to_wire(found))

    def Invoke(self, request: Any) -> Any:  # noqa: ANN401, N802 - gRPC's own name
        """Call a provider function."""
        function = self.deployment.functions.get(request.tok)
        if function is None:
            raise DeploymentError(f"the embedded AWS has no function {request.tok}")
        answer = to_wire(function(plain(from_wire(request.args))))
        fields = {"failures": None, "return": answer}
        return resource_pb2.ResourceInvokeResponse(**fields)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 - gRPC's own name
        """Take a component's outputs, which nobody here reads."""
        del request
        return empty_pb2.Empty()
