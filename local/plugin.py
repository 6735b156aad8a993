"""The embedded AWS as a Pulumi plugin, for those who have the official command line.

    python -m local.plugin --stack local       # keeps running; prints one line that begins `export`
    pulumi up --stack local                    # in another terminal, after running that line

The line sets PULUMI_DEBUG_PROVIDERS, by which Pulumi's engine takes its aws and docker providers
from here, and AWS's own variables, so that whatever else the program calls is the emulator too.

This speaks the provider protocol itself. `pulumi.provider.experimental` would drop the old inputs
from a diff, without which an input that the program no longer gives cannot be told from an output,
and would show every mistake of a user's with a traceback.
"""

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

    from local.emulator import Emulator
    from local.provider import Diff as Difference
    from local.provider import Provider
    from local.values import Properties

PACKAGES = ("aws", "docker")
THREADS = 16  # what Pulumi's engine does at one time unless told otherwise, and a few reads
GRACE_SECONDS = 30.0
LARGEST_MESSAGE = 400 * 1024 * 1024  # Pulumi's own limit


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

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:  # noqa: ANN401, N802
        """Claim the newer one's version: the engine warns of a plugin older than its package."""
        del request, context
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: ANN401, N802
        """Be told where the engine listens, which nothing here needs to know."""
        del request, context
        return empty_pb2.Empty()

    def Configure(self, request: Any, context: Any) -> wire.ConfigureResponse:  # noqa: ANN401, N802
        """Take any configuration: which emulator this is was settled when it was started."""
        del request, context
        return wire.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> wire.CheckResponse:  # noqa: ANN401, N802
        """Complete the inputs, or say what is wrong with them."""
        with _told(context):
            olds, news = _properties(request.olds), _properties(request.news)
            try:
                checked = self._provider(request).check(_name(request), olds, news)
            except DeploymentError as error:
                return wire.CheckResponse(failures=[wire.CheckFailure(reason=str(error))])
            return wire.CheckResponse(inputs=to_wire(checked))

    def Diff(self, request: Any, context: Any) -> wire.DiffResponse:  # noqa: ANN401, N802
        """Compare new inputs with the deployed ones, property by property."""
        with _told(context):
            olds, news = _properties(request.old_inputs), _properties(request.news)
            diff = self._diff(request, olds, news)
            return wire.DiffResponse(
                changes=wire.DiffResponse.DIFF_SOME
                if diff.changed
                else wire.DiffResponse.DIFF_NONE,
                diffs=diff.changed,
                replaces=diff.replaces,
                deleteBeforeReplace=bool(diff.replaces) and diff.delete_first,
                detailedDiff={key: _changed(key, olds, news, diff) for key in diff.changed},
                hasDetailedDiff=True,
            )

    def Create(self, request: Any, context: Any) -> wire.CreateResponse:  # noqa: ANN401, N802
        """Make a resource; in a preview, only its inputs are certain."""
        with _told(context):
            news = _properties(request.properties)
            if request.preview:
                return wire.CreateResponse(properties=to_wire(news))
            id_, outputs = self._provider(request).create(news, resume=False)
            return wire.CreateResponse(id=id_, properties=to_wire({**news, **outputs}))

    def Update(self, request: Any, context: Any) -> wire.UpdateResponse:  # noqa: ANN401, N802
        """Change a resource in place; in a preview, foresee what is certain."""
        with _told(context):
            provider, news = self._provider(request), _properties(request.news)
            outputs = _properties(request.olds)
            if request.preview:
                diff = self._diff(request, _properties(request.old_inputs), news)
                foreseen = provider.foresee(outputs, news, diff)
                return wire.UpdateResponse(properties=to_wire(foreseen))
            made = provider.update(request.id, outputs, news)
            return wire.UpdateResponse(properties=to_wire({**news, **made}))

    def Read(self, request: Any, context: Any) -> wire.ReadResponse:  # noqa: ANN401, N802
        """Look at what is really there; an empty id says that it is gone."""
        with _told(context):
            inputs, outputs = _properties(request.inputs), _properties(request.properties)
            found = self._provider(request).read(request.id, outputs)
            if found is None:
                return wire.ReadResponse()
            # Inputs are what the engine compares, so that what drifted must show in them as well.
            drifted = {key: found[key] for key in changed_keys(_part(outputs, found), found)}
            return wire.ReadResponse(
                id=request.id,
                inputs=to_wire({**inputs, **drifted}),
                properties=to_wire({**outputs, **drifted}),
            )

    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: ANN401, N802
        """Remove a resource."""
        with _told(context):
            self._provider(request).delete(request.id, _properties(request.properties))
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> wire.InvokeResponse:  # noqa: ANN401, N802
        """Call a provider function."""
        with _told(context):
            if request.tok not in self._functions:
                raise DeploymentError(f"the embedded AWS has no function {request.tok}")
            fields: Any = {
                "return": to_wire(self._functions[request.tok](_properties(request.args)))
            }
            return wire.InvokeResponse(**fields)  # `return` is a keyword

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: ANN401, N802
        """Let what is under way end in its own time."""
        del request, context
        return empty_pb2.Empty()

    def _provider(self, request: Any) -> Provider:  # noqa: ANN401 - any of the requests
        type_ = str(request.urn).split("::")[2].rpartition("$")[2]
        if type_ not in self._providers:
            raise DeploymentError(
                f"the embedded AWS has no {type_}; deploy this to a real stack, or add the type "
                "to local/aws/"
            )
        return self._providers[type_]

    def _diff(self, request: Any, olds: Properties, news: Properties) -> Difference:  # noqa: ANN401
        return self._provider(request).diff(request.id, olds, _properties(request.olds), news)


@contextmanager
def serving(plugin: Plugin) -> Iterator[int]:
    """Serve a plugin on a free port of this machine; give the port."""
    options = [(f"grpc.max_{way}_message_length", LARGEST_MESSAGE) for way in ("receive", "send")]
    server = grpc.server(ThreadPoolExecutor(THREADS), options=options)
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
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    terminal = sys.stdout
    # Only the line goes to stdout, so that it can be caught; news of what happens goes to stderr.
    with redirect_stdout(sys.stderr):
        try:
            machine = _machine(Home.default(), stack)
        except LocalError as error:
            print(f"error: {error}")
            return error.exit_code
        os.chdir(PROJECT)  # the program's paths are relative to it
        types = {**aws.providers(machine), images.TOKEN: images.Image()}
        with serving(Plugin(types, aws.functions_of(machine))) as port:
            print(_line(machine, port), file=terminal, flush=True)
            say("run that line in another terminal, then pulumi there; Ctrl-C here to end")
            stopped.wait()
    return 0


def _machine(home: Home, stack: str) -> Emulator:
    """The stack's emulator, and what else a deployment to it needs.

    Raises:
        LocalError: Something did not start, or the embedded engine has deployed here.
    """
    configuration(stack)  # an unknown stack starts no daemon
    with home.locked():
        docker.ensure(home)
        base.ensure()
        machine = emulator.ensure(home, stack)
        state = State(home.stack(stack) / "state.json")
    if state.boot == machine.boot and state.resources:
        raise DeploymentError(
            f"`python -m local up` has deployed stack {stack}, and another engine would find its "
            f"names taken; run `python -m local down --stack {stack}` first"
        )
    return machine


def _line(machine: Emulator, port: int) -> str:
    attached = ",".join(f"{package}:{port}" for package in PACKAGES)
    settings = {"PULUMI_DEBUG_PROVIDERS": attached, **machine.environment()}
    return "export " + " ".join(f"{key}={shlex.quote(value)}" for key, value in settings.items())


@contextmanager
def _told(context: Any) -> Iterator[None]:  # noqa: ANN401 - grpc has no types
    """Hand the engine an error's own words; anything else is a bug and keeps its traceback."""
    try:
        yield
    except (LocalError, BotoCoreError, ClientError) as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _properties(struct: Any) -> Properties:  # noqa: ANN401 - a protobuf message
    return dict(plain(from_wire(struct)))


def _part(properties: Properties, names: Mapping[str, Any]) -> Properties:
    return {key: properties.get(key) for key in names}


def _name(request: Any) -> str:  # noqa: ANN401 - any of the requests
    return str(request.urn).split("::", 3)[3]


def _changed(key: str, olds: Properties, news: Properties, diff: Difference) -> wire.PropertyDiff:
    """What becomes of a property, in the protocol's words."""
    kind = "ADD" if olds.get(key) is None else "UPDATE" if news.get(key) is not None else "DELETE"
    kind += "_REPLACE" if key in diff.replaces else ""
    return wire.PropertyDiff(kind=wire.PropertyDiff.Kind.Value(kind), inputDiff=True)


if __name__ == "__main__":
    sys.exit(main())
