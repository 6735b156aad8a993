"""The emulated AWS of one stack: MiniStack for most of it, moto for what MiniStack lacks.

One emulator a stack, each on its own port: requests without credentials (docker, a browser) always
land in the default account, so two environments in one emulator would share a registry.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local import process
from local.docker import docker, forget
from local.errors import EmulatorError
from local.home import Home, read_json, say, write_json

if TYPE_CHECKING:
    from pathlib import Path

FIRST_PORT = 4566
REGION = "us-east-1"
READY_SECONDS = 60.0
# Emulated, so anything goes: MiniStack reads only an account out of a 12-digit key.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator.

    Attributes:
        port: Where MiniStack listens on 127.0.0.1.
        sagemaker_port: Where SageMaker (control and data plane) listens; moto.
        boot: Identity of this run; state made in another run is gone with it.
    """

    port: int
    sagemaker_port: int
    boot: str

    @property
    def url(self) -> str:
        """Endpoint of every service but SageMaker and application autoscaling."""
        return f"http://localhost:{self.port}"

    @property
    def sagemaker_url(self) -> str:
        """Endpoint of SageMaker, its runtime and application autoscaling."""
        return f"http://localhost:{self.sagemaker_port}"

    def environment(self) -> dict[str, str]:
        """What a process needs so that every AWS client in it talks to this emulator."""
        return {
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.sagemaker_url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.sagemaker_url,
            "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": self.sagemaker_url,
        }


def running(home: Home, stack: str) -> Emulator | None:
    """The stack's emulator, if it runs."""
    record = _running(home, stack)
    return _emulator(record) if record else None


def ensure(home: Home, stack: str) -> Emulator:
    """Use the stack's emulator, or start one; its record and log go to the stack's folder.

    Raises:
        EmulatorError: It did not come up.
    """
    folder = home.stack(stack)
    record = _running(home, stack)
    if record is not None:
        # An `up` that was interrupted while it waited may have left one that only begins.
        return _ready(folder, record)
    stop(home, stack)
    folder.mkdir(parents=True, exist_ok=True)
    # Two that start at once would find the same port free, and one of them would die of it. The
    # lock is on a folder that every machine has, so none is left behind.
    turn = os.open("/tmp", os.O_RDONLY)  # noqa: S108
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return _start(folder, stack)
    finally:
        os.close(turn)


def _start(folder: Path, stack: str) -> Emulator:
    port = free_port(FIRST_PORT)
    sagemaker_port = free_port(port + 1)
    say(f"starting the emulated AWS of stack {stack} on port {port} ...")
    # What has not begun yet is there as None: half an emulator is none.
    processes: list[dict[str, Any] | None] = [None, None]
    record = {"port": port, "sagemaker_port": sagemaker_port, "processes": processes}
    ministack = [sys.executable, "-m", "ministack"]
    moto = [sys.executable, "-m", "local.sagemaker", "--port", str(sagemaker_port)]
    for which, command, log, env in (
        (0, ministack, folder / "emulator.log", _environment(folder, port, sagemaker_port)),
        (1, moto, folder / "sagemaker.log", None),
    ):
        with process.uninterrupted():
            processes[which] = process.start(command, log, env)
            write_json(folder / "emulator.json", record)
    return _ready(folder, record)


def _ready(folder: Path, record: dict[str, Any]) -> Emulator:
    """Wait until both halves answer."""
    port, sagemaker_port = record["port"], record["sagemaker_port"]
    _wait(record, f"http://127.0.0.1:{port}/_ministack/health", folder / "emulator.log")
    _wait(record, f"http://127.0.0.1:{sagemaker_port}/health", folder / "sagemaker.log")
    return _emulator(record)


def stop(home: Home, stack: str) -> None:
    """Stop the stack's emulator; its containers go with it."""
    path = home.stack(stack) / "emulator.json"
    record = read_json(path)
    if record is None:
        return
    for identity in record["processes"]:
        process.stop(identity)
    path.unlink()


def sweep(emulator: Emulator) -> None:
    """Remove containers and images that a stopped emulator left in a daemon that goes on."""
    name = f"{socket.gethostname()}:{emulator.port}"
    containers = docker("ps", "--all", "--quiet", f"--filter=label=ministack.instance={name}")
    if containers:
        docker("rm", "--force", "--volumes", *containers.split())
    forget(f"localhost:{emulator.port}/")


def free_port(first: int) -> int:
    """The first port from `first` on that nothing listens on."""
    for port in range(first, first + 500):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmulatorError(f"no free port between {first} and {first + 499}")


def _running(home: Home, stack: str) -> dict[str, Any] | None:
    record: dict[str, Any] | None = read_json(home.stack(stack) / "emulator.json")
    return record if record and all(process.alive(p) for p in record["processes"]) else None


def _emulator(record: dict[str, Any]) -> Emulator:
    first = record["processes"][0]
    return Emulator(record["port"], record["sagemaker_port"], f"{first['pid']}.{first['started']}")


def _environment(folder: Path, port: int, sagemaker_port: int) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
    # Containers reach SageMaker's data plane on this machine through Docker's own gateway address.
    runtime = f"http://host.docker.internal:{sagemaker_port}"
    return {
        **keep,
        **CREDENTIALS,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "LAMBDA_EXECUTOR": "docker",
        "LAMBDA_DOCKER_FLAGS": f"-e AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={runtime}",
        # Signatures are verified and IAM policies evaluated, but for the root key above.
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # a port of its own, open to everybody
        # Everything that it might write stays in a folder that `down` removes.
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "emulator-state"),
    }


def _wait(record: dict[str, Any], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback, built above
                return
        except OSError as error:
            alive = all(process.alive(p) for p in record["processes"])
            if not alive or time.monotonic() > deadline:
                for identity in record["processes"]:
                    process.stop(identity)
                lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
                raise EmulatorError(
                    f"the emulated AWS did not answer at {url}: {lines[-1][-300:]} (log: {log})"
                ) from error
        time.sleep(0.1)
