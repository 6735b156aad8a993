"""The plugin, asked over gRPC as Pulumi's engine asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]
import pytest
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as wire

from local import base, docker, emulator, plugin
from local.emulator import Emulator
from local.errors import DeploymentError
from local.home import PROJECT, Home
from local.state import ResourceState, State
from local.values import UNKNOWN, Properties, from_wire, to_wire
from tests.local.conftest import KIND, Cloud, urn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URN = urn("thing")
THING: Any = {"urn": URN, "name": "thing", "type": KIND}
MACHINE = Emulator(4566, 4567, "boot")


@pytest.fixture
def engine(cloud: Cloud) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """Pulumi's end of a connection to the plugin."""
    served = plugin.Plugin({KIND: cloud}, {"test:index:double": double})
    with (
        plugin.serving(served) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def double(arguments: Properties) -> Properties:
    """A provider function."""
    return {"result": arguments["number"] * 2}


def diff(engine: Any, olds: Properties, news: Properties) -> wire.DiffResponse:
    """Ask for a diff; the deployed outputs hold more than the inputs, as they do."""
    outputs = to_wire({**olds, "size": 4})
    answer: wire.DiffResponse = engine.Diff(
        wire.DiffRequest(
            id="a", old_inputs=to_wire(olds), olds=outputs, news=to_wire(news), **THING
        )
    )
    return answer


def kinds(answer: wire.DiffResponse) -> dict[str, str]:
    """The detailed diff in words."""
    return {k: wire.PropertyDiff.Kind.Name(v.kind) for k, v in answer.detailedDiff.items()}


def test_it_is_not_older_than_the_packages(engine: Any) -> None:
    """Else the engine would warn on every command."""
    version = engine.GetPluginInfo(plugin_pb2.PluginInfo()).version
    assert tuple(map(int, version.split("."))) >= (7, 51, 1)


def test_it_can_be_attached(engine: Any) -> None:
    """PULUMI_DEBUG_PROVIDERS makes the engine attach before it configures."""
    engine.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
    answer = engine.Configure(wire.ConfigureRequest())
    assert (answer.supportsPreview, answer.acceptSecrets) == (True, False)


def test_check_completes_inputs(engine: Any) -> None:
    """A physical name is made up from the logical one."""
    answer = engine.Check(wire.CheckRequest(news=to_wire({"text": "abcd"}), **THING))
    assert from_wire(answer.inputs) == {"text": "abcd", "name": "thing-1"}


def test_a_users_mistake_arrives_as_one_line(engine: Any) -> None:
    """The error's own words and nothing around them."""
    with pytest.raises(grpc.RpcError) as caught:
        engine.Check(wire.CheckRequest(news=to_wire({"text": "impossible"}), **THING))
    assert caught.value.details() == "thing: text: impossible"


def test_a_type_that_is_not_there_says_where_to_add_it(engine: Any) -> None:
    """A program may use more of aws than is emulated."""
    request = wire.CheckRequest(urn=URN, name="thing", type="aws:s3/bucket:Bucket")
    with pytest.raises(grpc.RpcError) as caught:
        engine.Check(request)
    assert (
        caught.value.details()
        == "the embedded AWS has no aws:s3/bucket:Bucket; add it to local/aws/"
    )


def test_no_difference(engine: Any) -> None:
    """Outputs that are no inputs are no difference."""
    answer = diff(engine, {"name": "a", "text": "x"}, {"name": "a", "text": "x"})
    assert (answer.changes, kinds(answer)) == (wire.DiffResponse.DIFF_NONE, {})


def test_each_difference_has_its_kind(engine: Any) -> None:
    """An input that the program no longer gives is a deletion, which only old inputs can tell."""
    olds = {"name": "a", "text": "x", "gone": 1}
    answer = diff(engine, olds, {"name": "a", "text": "y", "new": True})
    assert answer.changes == wire.DiffResponse.DIFF_SOME
    assert kinds(answer) == {"gone": "DELETE", "new": "ADD", "text": "UPDATE"}
    assert list(answer.replaces) == []


def test_what_cannot_change_in_place_replaces(engine: Any, cloud: Cloud) -> None:
    """With the same physical name, the old one goes first."""
    cloud.delete_first = True
    answer = diff(engine, {"name": "a", "zone": "1"}, {"name": "a", "zone": "2"})
    assert kinds(answer) == {"zone": "UPDATE_REPLACE"}
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["zone"], True)


def test_create_answers_with_inputs_and_outputs(engine: Any) -> None:
    """The engine stores what comes back and nothing else."""
    news = {"name": "a", "text": "abcd", "zone": "1"}
    answer = engine.Create(wire.CreateRequest(properties=to_wire(news), **THING))
    assert (answer.id, from_wire(answer.properties)) == ("a", {**news, "size": 4})


def test_a_previewed_creation_touches_nothing(engine: Any, cloud: Cloud) -> None:
    """What is unknown stays unknown, at any depth."""
    news = {"name": "a", "text": UNKNOWN, "deep": {"er": [UNKNOWN]}}
    request = wire.CreateRequest(properties=to_wire(news), preview=True, **THING)
    assert from_wire(engine.Create(request).properties) == news
    assert cloud.log == []


def update(engine: Any, preview: bool) -> Properties:  # noqa: FBT001 - the request's own flag
    """Change a thing's text."""
    olds = {"name": "a", "text": "x"}
    request = wire.UpdateRequest(
        id="a",
        old_inputs=to_wire(olds),
        olds=to_wire({**olds, "size": 1}),
        news=to_wire({"name": "a", "text": "xyz"}),
        preview=preview,
        **THING,
    )
    return from_wire(engine.Update(request).properties)


def test_update(engine: Any, cloud: Cloud) -> None:
    """Outputs that follow from the change come back new."""
    assert update(engine, preview=False) == {"name": "a", "text": "xyz", "size": 3}
    assert cloud.log == [("update", "a")]


def test_a_previewed_update_leaves_out_what_it_cannot_know(engine: Any, cloud: Cloud) -> None:
    """The engine takes what is missing for unknown."""
    assert update(engine, preview=True) == {"name": "a", "text": "xyz"}
    assert cloud.log == []


def read(engine: Any) -> wire.ReadResponse:
    """Look at a thing that was deployed as name a, text x."""
    inputs = {"name": "a", "text": "x"}
    outputs = to_wire({**inputs, "size": 1})
    answer: wire.ReadResponse = engine.Read(
        wire.ReadRequest(id="a", inputs=to_wire(inputs), properties=outputs, **THING)
    )
    return answer


def test_reading_what_drifted(engine: Any, cloud: Cloud) -> None:
    """The engine compares inputs, so the drift shows in them too."""
    cloud.things["a"] = {"name": "a", "text": "other"}
    answer = read(engine)
    assert from_wire(answer.inputs) == {"name": "a", "text": "other"}
    assert from_wire(answer.properties) == {"name": "a", "text": "other", "size": 1}


def test_reading_what_is_gone(engine: Any) -> None:
    """An empty id is the protocol's word for it."""
    assert read(engine).id == ""


def test_delete(engine: Any, cloud: Cloud) -> None:
    """By id."""
    cloud.things["a"] = {"name": "a"}
    engine.Delete(wire.DeleteRequest(id="a", **THING))
    assert cloud.things == {}


def test_invoke(engine: Any) -> None:
    """A provider function's answer."""
    request = wire.InvokeRequest(tok="test:index:double", args=to_wire({"number": 21}))
    assert from_wire(getattr(engine.Invoke(request), "return")) == {"result": 42}


def test_invoking_what_is_not_there(engine: Any) -> None:
    """One line that names the function."""
    with pytest.raises(grpc.RpcError) as caught:
        engine.Invoke(wire.InvokeRequest(tok="aws:s3/getBucket:getBucket"))
    assert caught.value.details() == "the embedded AWS has no function aws:s3/getBucket:getBucket"


def test_an_unknown_stack_starts_nothing(tmp_path: Path) -> None:
    """One line and exit code 1, and stdout stays empty for who catches the line."""
    done = subprocess.run(
        [sys.executable, "-m", "local.plugin", "--stack", "nowhere"],
        cwd=PROJECT,
        env={**os.environ, "THIMBLE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no stack 'nowhere' here; expected one of ")
    assert not (tmp_path / "home").exists()


def test_a_stack_of_the_embedded_engine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines would not know of each other's resources."""
    home = Home(tmp_path)
    monkeypatch.setattr(docker, "ensure", lambda _: None)
    monkeypatch.setattr(base, "ensure", lambda _home: "base")
    monkeypatch.setattr(emulator, "ensure", lambda *_: MACHINE)
    home.stack("local").mkdir(parents=True)
    state = State(home.stack("local") / "state.json")
    state.boot = MACHINE.boot
    state.put(ResourceState(urn=URN, type=KIND, custom=True, id="a"))
    with pytest.raises(DeploymentError, match="run `python -m local down --stack local` first"):
        plugin._machine(home, "local")
