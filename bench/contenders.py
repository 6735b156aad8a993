"""The four servers: how each is started, and how its requests look.

The peers run with the settings that their own guides recommend for a model on the CPU: one worker
a core. Where a guide offers a choice that matters, both variants are tried before anything is timed
and the faster one counts.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ai_edge_litert

from bench import venvs
from local.home import PROJECT, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.inputs import Rows
    from bench.models import BenchModel

RAW_MEDIA = "application/octet-stream"
JSON_MEDIA = "application/json"
WORKERS = os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Started:
    """What it takes to start a server.

    Attributes:
        command: Program and arguments.
        environment: Beside this process' own.
        folder: Where it runs.
    """

    command: list[str]
    environment: dict[str, str]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One server.

    Attributes:
        key: Its short name; a peer's distribution.
        title: For tables.
        variants: Its settings to choose from.
        health: The path that answers 200 when the model, `{}`, is ready.
        start: From a model, a port, a variant and an empty folder of its own.
        path: Where a model is asked.
        encode: A row into a body and its content type.
    """

    key: str
    title: str
    variants: tuple[str, ...]
    health: str
    start: Callable[[BenchModel, int, str, Path], Started]
    path: Callable[[BenchModel], str]
    encode: Callable[[BenchModel, Rows], tuple[bytes, str]]

    @property
    def version(self) -> str:
        """The one that is pinned; ours has none."""
        return "" if self.key == "ours" else venvs.version(self.key)


def _plain(model: BenchModel, rows: Rows) -> tuple[bytes, str]:
    if model.raw:
        return rows.tobytes(), RAW_MEDIA
    return json.dumps({"instances": rows.tolist()}, separators=(",", ":")).encode(), JSON_MEDIA


def _v2(model: BenchModel, rows: Rows) -> tuple[bytes, str]:
    """MLServer's REST takes no binary tensors: base64 is the nearest that it documents."""
    tensor: dict[str, object]
    if model.raw:
        data = [base64.b64encode(rows.tobytes()).decode()]
        tensor = {"datatype": "BYTES", "shape": [1, 1], "data": data}
        tensor["parameters"] = {"content_type": "base64"}
    else:
        tensor = {"datatype": "FP32", "shape": list(rows.shape), "data": rows.ravel().tolist()}
    # With an id of ours it makes none up, and the same question gets the same answer.
    document = {"id": "1", "inputs": [{"name": "x", **tensor}]}
    return json.dumps(document, separators=(",", ":")).encode(), JSON_MEDIA


def _path(model: BenchModel) -> str:
    return "/raw" if model.raw else "/json"


def _start_ours(model: BenchModel, port: int, variant: str, folder: Path) -> Started:
    del variant, folder
    library = Path(ai_edge_litert.__path__[0], "libLiteRt.so")
    return Started(
        command=[sys.executable, "-m", "handler.serve", "--host", "127.0.0.1", "--port", str(port)],
        environment={
            "MODEL_DIR": str(PROJECT / model.artifact),
            "LITERT_LIBRARY": str(library),
            # No line a request: the peers' access logs are off as well.
            "TELEMETRY": "off",
        },
        folder=PROJECT,
    )


def _environment(model: BenchModel, port: int, variant: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(PROJECT),
        "BENCH_MODEL": str(PROJECT / model.artifact / "model.tflite"),
        "BENCH_PATH": _path(model),
        "BENCH_PORT": str(port),
        "BENCH_WORKERS": str(WORKERS),
        "BENCH_VARIANT": variant,
    }


def _start_bentoml(model: BenchModel, port: int, variant: str, folder: Path) -> Started:
    program = venvs.prepare("bentoml") / "bin" / "bentoml"
    service = "bench.peers.with_bentoml:Predictions"
    return Started(
        command=[str(program), "serve", service, "--host", "127.0.0.1", "--port", str(port)],
        # Neither reports of its use nor files in the user's home.
        environment=_environment(model, port, variant)
        | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder)},
        folder=folder,
    )


def _start_litserve(model: BenchModel, port: int, variant: str, folder: Path) -> Started:
    python = venvs.prepare("litserve") / "bin" / "python"
    return Started(
        command=[str(python), "-m", "bench.peers.with_litserve"],
        environment=_environment(model, port, variant),
        folder=folder,
    )


def _start_mlserver(model: BenchModel, port: int, variant: str, folder: Path) -> Started:
    program = venvs.prepare("mlserver") / "bin" / "mlserver"
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "debug": False,
        "parallel_workers": WORKERS if variant == "parallel workers" else 0,
    }
    write_json(folder / "settings.json", settings)
    implementation = "bench.peers.with_mlserver.Predictions"
    write_json(
        folder / "model-settings.json", {"name": model.name, "implementation": implementation}
    )
    return Started(
        command=[str(program), "start", str(folder)],
        environment=_environment(model, port, variant),
        folder=folder,
    )


CONTENDERS = (
    Contender(
        key="ours",
        title="thimble",
        variants=("",),
        health="/ping",
        start=_start_ours,
        path=lambda model: f"/v1/models/{model.name}:predict",
        encode=_plain,
    ),
    Contender(
        key="mlserver",
        title="MLServer",
        variants=("parallel workers", "one process"),
        health="/v2/models/{}/ready",
        start=_start_mlserver,
        path=lambda model: f"/v2/models/{model.name}/infer",
        encode=_v2,
    ),
    Contender(
        key="litserve",
        title="LitServe",
        variants=("fast queue", "default queue"),
        health="/health",
        start=_start_litserve,
        path=_path,
        encode=_plain,
    ),
    Contender(
        key="bentoml",
        title="BentoML",
        variants=("",),
        health="/readyz",
        start=_start_bentoml,
        path=_path,
        encode=_plain,
    ),
)
