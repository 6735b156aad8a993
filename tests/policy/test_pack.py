"""The pack as Pulumi starts it: a process that answers the engine's protocol."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policy import rules

ROOT = Path(__file__).parents[2]
ADVISORY, MANDATORY = analyzer_pb2.ADVISORY, analyzer_pb2.MANDATORY


@pytest.fixture(scope="module")
def pack() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The running pack, started from its folder with nothing else on the path."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "policy")],
        stdout=subprocess.PIPE,
        env=environment,
        cwd="/",
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield analyzer_pb2_grpc.AnalyzerStub(channel)
    process.kill()
    process.wait()
    process.stdout.close()


def analyze(pack: analyzer_pb2_grpc.AnalyzerStub, image: str) -> list[tuple[str, int]]:
    """What the pack says about a function with that image: rule and level."""
    properties = struct_pb2.Struct()
    properties.update({"packageType": "Image", "imageUri": image})
    request = analyzer_pb2.AnalyzeRequest(
        type=rules.FUNCTION,
        properties=properties,
        urn=f"urn:pulumi:prod::thimble::{rules.FUNCTION}::digits",
        name="digits",
    )
    answer = pack.Analyze(request, timeout=20)
    return [(one.policyName, one.enforcementLevel) for one in answer.diagnostics]


def test_the_pack_offers_every_rule(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """The engine sees all rules, and each stops a deployment."""
    info = pack.GetAnalyzerInfo(empty_pb2.Empty(), timeout=20)

    assert [policy.name for policy in rules.POLICIES] == [one.name for one in info.policies]
    assert {MANDATORY} == {one.enforcementLevel for one in info.policies}


def test_a_violation_is_mandatory(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """A tag stops the deployment."""
    assert [("image-by-digest", MANDATORY)] == analyze(pack, "repository:tag")


def test_what_is_right_is_not_mentioned(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """A digest passes in silence."""
    assert [] == analyze(pack, "repository@sha256:" + "a" * 64)


def test_an_unknown_image_is_a_remark(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """In a preview the rule says that it could not be applied yet, and stops nothing."""
    assert [("image-by-digest", ADVISORY)] == analyze(pack, UNKNOWN_STRING_VALUE)


def test_the_pack_runs_in_the_projects_environment() -> None:
    """The pack's description names an environment that `uv sync` makes."""
    described = yaml.safe_load((ROOT / "policy" / "PulumiPolicy.yaml").read_text())

    assert "../.venv" == described["runtime"]["options"]["virtualenv"]
