"""The SDK's monitor, answered by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import resource_pb2

from local.engine import STACK, Monitor
from local.errors import DeploymentError
from local.values import MASK, Secret, from_wire, to_wire
from tests.local.conftest import KIND

if TYPE_CHECKING:
    from tests.local.conftest import Runs


@pytest.fixture
def monitor(runs: Runs) -> Monitor:
    """The monitor over a run; the other stack exports a digest."""
    run = runs.begin()
    run.functions = {"test:index:double": lambda arguments: {"twice": 2 * arguments["x"]}}
    return Monitor(run, lambda name: {"stack": name, "digest": Secret("d")})


def request(type_: str, name: str, parent: str = "", **fields: Any) -> Any:
    """A registration as the SDK sends it."""
    return resource_pb2.RegisterResourceRequest(
        type=type_, name=name, parent=parent, custom=True, **fields
    )


def test_urns_hold_all_parents_types(monitor: Monitor) -> None:
    """As Pulumi's engine makes them, so that its state and ours name the same things."""
    stack = monitor.make_urn("", STACK, "demo-local")
    outer = monitor.make_urn(stack, "app:index:Outer", "outer")
    inner = monitor.make_urn(outer, "app:index:Inner", "inner")
    found = monitor.make_urn(inner, KIND, "a").split("::")[2:]
    assert found == [f"app:index:Outer$app:index:Inner${KIND}", "a"]


def test_monitor_answers_a_registration(monitor: Monitor) -> None:
    """Whole numbers, computed outputs and secrets go back to the program."""
    properties = to_wire({"text": "four", "memory": 128, "token": Secret("t")})
    answer = monitor.RegisterResource(request(KIND, "a", object=properties))
    found = from_wire(answer.object)
    assert (answer.id, found["size"], found["memory"]) == ("a-1", 4, 128)
    assert found["token"] == Secret("t")


def test_monitor_takes_options_from_the_wire(monitor: Monitor) -> None:
    """protect, ignoreChanges and additionalSecretOutputs arrive at the engine."""
    monitor.RegisterResource(
        request(
            KIND,
            "a",
            object=to_wire({"text": "one"}),
            protect=True,
            ignoreChanges=["text"],
            additionalSecretOutputs=["size"],
        )
    )
    (recorded,) = monitor.deployment.state.resources.values()
    assert (recorded.protect, recorded.outputs["size"]) == (True, MASK)


def test_monitor_reads_another_stacks_outputs(monitor: Monitor) -> None:
    """A StackReference gets the outputs that the embedded AWS has of that stack."""
    reference = resource_pb2.ReadResourceRequest(
        type="pulumi:pulumi:StackReference",
        name="ref",
        properties=to_wire({"name": "organization/demo/dev"}),
    )
    found = from_wire(monitor.ReadResource(reference).properties)
    assert found["outputs"] == {"stack": "organization/demo/dev", "digest": Secret("d")}


def test_monitor_reads_nothing_else(monitor: Monitor) -> None:
    """`Bucket.get(...)` has no place here, and says so."""
    with pytest.raises(DeploymentError, match="cannot read a aws:s3:Bucket"):
        monitor.ReadResource(resource_pb2.ReadResourceRequest(type="aws:s3:Bucket", name="b"))


def test_monitor_calls_functions(monitor: Monitor) -> None:
    """Arguments in, result out."""
    call = resource_pb2.ResourceInvokeRequest(tok="test:index:double", args=to_wire({"x": 4}))
    answer = getattr(monitor.Invoke(call), "return")
    assert isinstance(answer, struct_pb2.Struct)
    assert from_wire(answer) == {"twice": 8}


def test_monitor_knows_no_other_function(monitor: Monitor) -> None:
    """An unknown function is named."""
    with pytest.raises(DeploymentError, match="no function aws:x:y"):
        monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok="aws:x:y"))
