"""The embedded AWS as a Pulumi plugin, for those who have the official command line.

    python -m local.plugin --stack local       # keeps running; prints one line that begins `export`
    pulumi up --stack local                    # in another terminal, after running that line

The line sets PULUMI_DEBUG_PROVIDERS, by which Pulumi's engine takes its aws and docker providers
from here, and AWS's own variables, so that whatever else the program calls is the emulator too.

The emulated AWS outlives this command and ends with `python -m local down`. Pulumi does not hear of
that, nor of a restarted machine: `pulumi destroy` it then, or better before.

This speaks the provider protocol itself. `pulumi.provider.experimental` would drop the old inputs
from a diff, without which an input that the program no longer gives cannot be told from an output,
and would show every mistake of a user's with a traceback.
"""
# ruff: noqa: ANN401, N802 - gRPC names the methods and has no types for what it hands them

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as wire

from local import aws, base, docker, emulator, images
from local.errors import DeploymentError, LocalError
from local.home import PROJECT, Home, say
from local.program import configuration
from local.provider import changed_keys
from local.state import State
from local.values import from_wire, plain, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TextIO

    from local.emulator import Emulator
    from local.provider import Diff as Difference
    from local.provider import Provider
    from local.values import Properties

PACKAGES = ("aws", "docker")
THREADS = 16  # what Pulumi's engine does at one time unless told otherwise, and a few reads
GRACE_SECONDS = 30.0
SOME, NONE = wire.DiffResponse.DIFF_SOME, wire.DiffResponse.DIFF_NONE


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """Answers Pulumi's engine from the classes that the embedded engine uses.

    It does not accept secrets: the engine hands it plain values, and marks in what comes back
    whatever was secret on its way in. Unknown values are a fixed string, which no class looks into.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        functions: Mapping[str, Callable[[Properties], Properties]],
    ) -> None:
        self._providers = providers
        self._functions = functions

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        """Claim the newer one's version: the engine warns of a plugin older than its package."""
        del request, context
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        """Be told where the engine listens, which nothing here needs to know."""
        del request, context
        return empty_pb2.Empty()

    def Configure(self, request: Any, context: Any) -> wire.ConfigureResponse:
        """Take any configuration: which emulator this is was settled when it was started."""
        del request, context
        return wire.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> wire.CheckResponse:
        """Complete the inputs."""
        with _told(context):
            olds, news = _properties(request.olds), _properties(request.news)
            checked = self._provider(request).check(request.name, olds, news)
            return wire.CheckResponse(inputs=to_wire(checked))

    def Diff(self, request: Any, context: Any) -> wire.DiffResponse:
        """Compare new inputs with the deployed ones, property by property."""
        with _told(context):
            olds, news = _properties(request.old_inputs), _properties(request.news)
            outputs = _properties(request.olds)
            diff = self._provider(request).diff(request.id, olds, outputs, news)
            return wire.DiffResponse(
                changes=SOME if diff.changed else NONE,
                diffs=diff.changed,
                replaces=diff.replaces,
                deleteBeforeReplace=diff.delete_first,
                detailedDiff={key: _changed(key, olds, news, diff) for key in diff.changed},
                hasDetailedDiff=True,
            )

    def Create(self, request: Any, context: Any) -> wire.CreateResponse:
        """Make a resource; in a preview, only its inputs are certain."""
        with _told(context):
            news = _properties(request.properties)
            if request.preview:
                return wire.CreateResponse(properties=to_wire(news))
            id_, outputs = self._provider(request).create(news, resume=False)
            return wire.CreateResponse(id=id_, properties=to_wire({**news, **outputs}))

    def Update(self, request: Any, context: Any) -> wire.UpdateResponse:
        """Change a resource in place; in a preview, foresee what is certain."""
        with _told(context):
            provider, news = self._provider(request), _properties(request.news)
            outputs = _properties(request.olds)
            if request.preview:
                diff = provider.diff(request.id, _properties(request.old_inputs), outputs, news)
                made = provider.foresee(outputs, news, diff)
            else:
                made = {**news, **provider.update(request.id, outputs, news)}
            return wire.UpdateResponse(properties=to_wire(made))

    def Read(self, request: Any, context: Any) -> wire.ReadResponse:
        """Look at what is really there; an empty id says that it is gone."""
        with _told(context):
            inputs, outputs = _properties(request.inputs), _properties(request.properties)
            found = self._provider(request).read(request.id, outputs)
            if found is None:
                return wire.ReadResponse()
            # Inputs are what the engine compares, so that what drifted must show in them as well.
            recorded = {key: outputs.get(key) for key in found}
            drifted = {key: found[key] for key in changed_keys(recorded, found)}
            return wire.ReadResponse(
                id=request.id,
                inputs=to_wire({**inputs, **drifted}),
                properties=to_wire({**outputs, **drifted}),
            )

    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        """Remove a resource."""
        with _told(context):
            self._provider(request).delete(request.id, _properties(request.properties))
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> wire.InvokeResponse:
        """Call a provider function."""
        with _told(context):
            if request.tok not in self._functions:
                raise DeploymentError(f"the embedded AWS has no function {request.tok}")
            answer = self._functions[request.tok](_properties(request.args))
            fields: Any = {"return": to_wire(answer)}  # a keyword, so not an argument's name
            return wire.InvokeResponse(**fields)

    def _provider(self, request: Any) -> Provider:
        if request.type not in self._providers:
            raise DeploymentError(f"the embedded AWS has no {request.type}; add it to local/aws/")
        return self._providers[request.type]


@contextmanager
def serving(plugin: Plugin) -> Iterator[int]:
    """Serve a plugin on a free port of this machine; give the port."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(GRACE_SECONDS).wait()


def main(argv: list[str] | None = None) -> int:
    """Start what is missing, print the line to run, serve until Ctrl-C."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m local.plugin", None, __doc__, formatter_class=form)
    parser.add_argument("--stack", default="local", help="whose emulated AWS (default: local)")
    stack = parser.parse_args(argv).stack
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Only the line goes to stdout, so that it can be caught; news of what happens goes to stderr.
    terminal = sys.stdout
    with redirect_stdout(sys.stderr):
        try:
            _serve(Home.default(), stack, terminal)
        except LocalError as error:
            print(f"error: {error}")
            return error.exit_code
        except KeyboardInterrupt:
            say("ended")
    return 0


def _serve(home: Home, stack: str, terminal: TextIO) -> None:
    machine = _machine(home, stack)
    os.chdir(PROJECT)  # the program's paths are relative to it
    types = {**aws.providers(machine), images.TOKEN: images.Image(base.tag(home))}
    with serving(Plugin(types, aws.functions_of(machine))) as port:
        attached = ",".join(f"{package}:{port}" for package in PACKAGES)
        settings = {"PULUMI_DEBUG_PROVIDERS": attached, **machine.environment()}
        words = (f"{name}={shlex.quote(value)}" for name, value in settings.items())
        print("export", *words, file=terminal, flush=True)
        say("run that line in another terminal, then pulumi there; Ctrl-C here to end")
        threading.Event().wait()


def _machine(home: Home, stack: str) -> Emulator:
    """The stack's emulator, and what else a deployment to it needs.

    Raises:
        LocalError: Something did not start, or the embedded engine has deployed here.
    """
    configuration(stack)  # an unknown stack starts no daemon
    with home.locked():
        docker.ensure(home)
        base.ensure(home)
        machine = emulator.ensure(home, stack)
        state = State(home.stack(stack) / "state.json")
    if state.boot == machine.boot and state.resources:
        raise DeploymentError(
            f"`python -m local up` has deployed stack {stack}, and another engine would find its "
            f"names taken; run `python -m local down --stack {stack}` first"
        )
    return machine


@contextmanager
def _told(context: Any) -> Iterator[None]:
    """Hand the engine an error's own words; anything else is a bug and keeps its traceback."""
    try:
        yield
    except (LocalError, BotoCoreError, ClientError) as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _properties(struct: Any) -> Properties:
    return dict(plain(from_wire(struct)))


def _changed(key: str, olds: Properties, news: Properties, diff: Difference) -> wire.PropertyDiff:
    """What becomes of a property, in the protocol's words."""
    kind = "ADD" if olds.get(key) is None else "UPDATE" if news.get(key) is not None else "DELETE"
    kind += "_REPLACE" if key in diff.replaces else ""
    return wire.PropertyDiff(kind=wire.PropertyDiff.Kind.Value(kind), inputDiff=True)


if __name__ == "__main__":
    sys.exit(main())
