"""A recording stand-in for AWS: what the program asks for, and answers shaped like AWS's own."""

import asyncio
import json
import runpy
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.runtime import config as runtime_config
from pulumi.runtime import mocks
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

with warnings.catch_warnings():
    # Loading the module, which happens on first use, warns of resources that nobody here uses.
    warnings.simplefilter("ignore", DeprecationWarning)
    aws.lambda_.Function  # noqa: B018

from infra.model import OptimizedModelProvider, fingerprint
from tests.event_loop import event_loop

ACCOUNT = "000000000000"
REGION = "eu-central-1"
DIGEST = "sha256:" + "d" * 64

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def arn(service: str, rest: str) -> str:
    """An ARN of the account that answers."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


@dataclass
class Cloud(mocks.Mocks):
    """Remembers every resource as AWS would receive it."""

    stacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    preview: bool = False
    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Remember the inputs and answer with what AWS computes."""
        kind = args.typ.rpartition(":")[2]
        inputs = {key: value for key, value in args.inputs.items() if key != "__provider"}
        self.resources[kind, args.name] = inputs
        if kind == "StackReference":
            return args.name, {**inputs, "outputs": self.stacks[args.inputs["name"]]}
        if self.preview:
            return "", inputs
        if kind == "OptimizedModel":
            created = OptimizedModelProvider().create(inputs)
            return created.id, created.outs or {}
        return f"{args.name}-id", inputs | self._computed(kind, args.name, inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[Any]]:
        """Answer an invoke."""
        answers = {
            "aws:ecr/getAuthorizationToken:getAuthorizationToken": {
                "userName": "AWS",
                "password": "token",
            },
            "aws:index/getRegion:getRegion": {"region": REGION},
        }
        return answers[args.token], []

    def _computed(self, kind: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The outputs that AWS adds to the inputs of a resource."""
        named = inputs.get("name", name)
        host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
        repository = inputs.get("imageName", "").rpartition(":")[0]
        alias = arn("lambda", f"function:{inputs.get('functionName')}:{named}")
        computed: dict[str, dict[str, Any]] = {
            "Repository": {"repositoryUrl": f"{host}/{named}", "registryId": ACCOUNT},
            "ImageTag": {"tag": "drawn"},
            "Image": {"repoDigest": f"{repository}@{DIGEST}"},
            "Function": {"arn": arn("lambda", f"function:{named}"), "version": "7"},
            "Alias": {"arn": alias, "invokeArn": f"invoke/{alias}"},
            "LogGroup": {"arn": arn("logs", f"log-group:{named}")},
            "Api": {
                "apiEndpoint": f"https://{name}.execute-api.{REGION}.amazonaws.com",
                "executionArn": arn("execute-api", name),
            },
        }
        return {"arn": arn(kind.lower(), str(named))} | computed.get(kind, {})

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        """The inputs of the only resource of a kind (and name)."""
        found = [
            inputs
            for (its_kind, its_name), inputs in self.resources.items()
            if its_kind == kind and name in {None, its_name}
        ]
        assert len(found) == 1, f"{len(found)} of {kind}, among {sorted(self.resources)}"
        return found[0]

    def kinds(self) -> set[str]:
        """The kinds of everything asked for."""
        return {kind for kind, _ in self.resources}


@dataclass
class Deployment:
    """What one run of a program asked for and exported."""

    cloud: Cloud
    outputs: dict[str, Any]
    registrations: list[Any]

    def options(self, kind: str, name: str) -> Any:
        """The whole request of one resource: protection, parent, dependencies."""
        return next(
            request
            for request in self.registrations
            if request.type.endswith(f":{kind}") and request.name == name
        )


class Monitor(mocks.MockMonitor):
    """The SDK's monitor, keeping requests whole and closing the event loops it opens in threads."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.requests: list[Any] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        """Keep the request."""
        self.requests.append(request)
        with event_loop():
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        """Answer a stack reference."""
        with event_loop():
            return super().ReadResource(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        """Answer a data source."""
        with event_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy() -> Deploy:
    """Run a program against a recording cloud, as the engine would, and hand back what it asked."""

    def run(
        program: Callable[[], Any],
        *,
        stack: str = "dev",
        config: dict[str, Any] | None = None,
        stacks: dict[str, dict[str, Any]] | None = None,
        preview: bool = False,
    ) -> Deployment:
        cloud = Cloud(stacks=stacks or {}, preview=preview)
        monitor = Monitor(cloud)

        async def whole() -> dict[str, Any]:
            mocks.set_mocks(
                cloud,
                project="thimble",
                stack=stack,
                preview=preview,
                monitor=monitor,
                organization="organization",
            )
            # A run that failed leaves work behind, in an event loop that is gone.
            SETTINGS.rpc_manager.clear()
            SETTINGS.outputs.clear()
            runtime_config.set_all_config(encode(config or {}))
            await run_pulumi_func(program)
            root: Any = pulumi.runtime.get_root_resource()
            return {
                name: await pulumi.Output.from_input(value).future()
                for name, value in root.outputs.items()
            }

        outputs = asyncio.run(whole())
        return Deployment(cloud, outputs, monitor.requests)

    return run


def encode(config: dict[str, Any]) -> dict[str, str]:
    """Configuration as the engine passes it: text, or JSON text for anything nested."""
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project to run in: a card, a model, a handler and a converter that costs nothing.

    The converter is a real `python -m convert` in a real subprocess; it just copies the model.
    """
    (tmp_path / "convert").mkdir()
    (tmp_path / "convert" / "__init__.py").touch()
    (tmp_path / "convert" / "__main__.py").write_text((HERE / "fake_converter.py").read_text())
    (tmp_path / "handler").mkdir()
    (tmp_path / "handler" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
    (tmp_path / "handler" / "app.py").write_text("def handler(): ...\n")
    (tmp_path / "handler" / "entrypoint.sh").write_text("#!/bin/sh\n")
    card = tmp_path / "models" / "digits"
    card.mkdir(parents=True)
    (card / "model.keras").write_bytes(b"weights")
    (card / "evaluation.npz").write_bytes(b"numbers")
    (card / "model.yaml").write_text(
        "name: digits\nmodel: model.keras\nevaluation: evaluation.npz\n"
        "task: classification\nmetric: accuracy\nbudget: {max_accuracy_drop: 0.01}\n"
        'labels: ["a", "b", "c"]\n'
    )
    uv = tmp_path / "uv"
    uv.write_text(f"#!{sys.executable}\n" + (HERE / "fake_uv.py").read_text())
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    monkeypatch.chdir(tmp_path)
    fingerprint.cache_clear()
    return tmp_path


@pytest.fixture
def whole_program() -> Callable[[], None]:
    """__main__.py as it stands."""

    def run() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return run
