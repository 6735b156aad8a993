"""Runs the unchanged program against a deployment: configuration in, exports out."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import platform
import runpy
import signal
import sys
from typing import TYPE_CHECKING, Any

import pulumi
import yaml
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.stack import run_pulumi_func

from local import base
from local.engine import Monitor
from local.errors import DeploymentError
from local.home import PROJECT, say
from local.values import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import FrameType

    from local.engine import Deployment
    from local.values import Properties

INTERRUPTED = 130  # 128 + SIGINT, a shell's own convention
ARCHITECTURE = "arm64" if platform.machine() == "aarch64" else "x86_64"


def configuration(stack: str, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """A stack's configuration as Pulumi's engine hands it out: text, areas as JSON text.

    Args:
        stack: Values of its Pulumi.STACK.yaml stand over the defaults of Pulumi.yaml.
        settings: Values of this one run by key, such as thimble:image.digest; they stand over all.
            As for Pulumi, a key without a namespace is the project's own.

    Raises:
        DeploymentError: There is no such stack here, or its file cannot be understood.
    """
    path = PROJECT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(p.name.split(".")[1] for p in PROJECT.glob("Pulumi.*.yaml"))
        raise DeploymentError(f"no stack {stack!r} here; expected one of {', '.join(known)}")
    project = _yaml(PROJECT / "Pulumi.yaml")
    merged = _settings(path.name, _yaml(path))
    name, declared = _name(project), _settings("Pulumi.yaml", project)
    for key in merged:
        if ":" not in key:
            raise DeploymentError(
                f"{path.name}: {key!r} has no namespace; expected {name}:{key}, as "
                f"`pulumi config set {key}` writes it"
            )
    # What every stack must take from this machine, whatever its own settings say.
    forced = {"image.baseImage": base.reference(), "function.architecture": ARCHITECTURE}
    here = {f"{name}:{key}": value for key, value in forced.items() if key in declared}
    given = {k if ":" in k else f"{name}:{k}": v for k, v in (settings or {}).items()}
    if stack == "local":
        _refuse(path.name, merged, here)
    for key, value in {**here, **given}.items():
        _set(merged, key.split("."), value)
    for key, described in declared.items():
        if isinstance(described, dict) and "default" in described:
            _set(merged, f"{name}:{key}".split("."), described["default"], keep=True)
    return {key: _text(value) for key, value in merged.items()}


def project_name() -> str:
    """The project's name in Pulumi.yaml.

    Raises:
        DeploymentError: It has none, or the file cannot be understood.
    """
    return _name(_yaml(PROJECT / "Pulumi.yaml"))


def run(
    deployment: Deployment,
    stack: str,
    config: Mapping[str, str],
    references: Callable[[str], Properties],
) -> dict[str, Any]:
    """Run __main__.py to its end.

    Args:
        deployment: Takes what the program registers.
        stack: Its stack.
        config: The stack's configuration.
        references: Outputs of another stack by its name.

    Returns:
        The exports that are known, secrets masked.

    Raises:
        DeploymentError: The program raised, or a resource failed.
    """
    previous = signal.signal(signal.SIGINT, _Interrupt(deployment))
    try:
        return asyncio.run(_run(deployment, stack, config, references))
    finally:
        signal.signal(signal.SIGINT, previous)


async def _run(
    deployment: Deployment,
    stack: str,
    config: Mapping[str, str],
    references: Callable[[str], Properties],
) -> dict[str, Any]:
    # One failed resource fails every output that hangs on it; the failure is told once, below.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    # The monitor must be made inside the loop that runs the program, or it waits for ever.
    monitor = Monitor(deployment, references)
    mocks.set_mocks(
        monitor.mocks,
        project=project_name(),
        stack=stack,
        preview=deployment.preview,
        logger=_logger(),
        monitor=monitor,
        organization="organization",
    )
    set_all_config(dict(config))
    os.chdir(PROJECT)
    sys.path.insert(0, str(PROJECT))
    try:
        await run_pulumi_func(_main)
    except Exception as error:
        raise _failure(deployment, error) from error
    finally:
        sys.path.remove(str(PROJECT))
    if deployment.failures:
        raise _failure(deployment, DeploymentError("a resource failed"))
    outputs: dict[str, Any] = getattr(pulumi.runtime.get_root_resource(), "outputs", {})
    return {name: await _shown(value) for name, value in outputs.items()}


def _main() -> None:
    runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__")


async def _shown(value: Any) -> Any:  # noqa: ANN401 - exports are any JSON
    output = pulumi.Output.from_input(value)
    if await output.is_secret():
        return MASK
    return await output.future() if await output.is_known() else None


def _failure(deployment: Deployment, error: Exception) -> DeploymentError:
    if deployment.stopping.is_set():
        return DeploymentError(
            "stopped; what was done is recorded, and running this again continues from there"
        )
    if deployment.failures:
        return DeploymentError("\n       ".join(dict.fromkeys(deployment.failures)))
    return DeploymentError(f"the program failed: {error}")


def _set(
    merged: dict[str, Any],
    path: list[str],
    value: Any,  # noqa: ANN401 - any YAML
    *,
    keep: bool = False,
) -> None:
    *areas, key = path
    for area in areas:
        merged = merged.setdefault(area, {})
        if not isinstance(merged, dict):
            raise DeploymentError(
                f"{area} is {merged!r}, which has no {key!r}; expected a mapping of settings"
            )
    if not keep or key not in merged:
        merged[key] = value


def _refuse(file: str, merged: dict[str, Any], here: Mapping[str, str]) -> None:
    """Stages mean AWS by what they name; the local stack means this machine, and must not differ.

    Raises:
        DeploymentError: It names what would be replaced without a word.
    """
    for key, value in here.items():
        area, _, below = key.partition(".")
        own = {"baseImage": base.IMAGE, "architecture": "host"}[below]
        wanted = merged[area].get(below, own) if isinstance(merged.get(area), dict) else own
        if wanted not in (own, value):
            raise DeploymentError(
                f"{file}: {key} is {wanted!r}, and the embedded AWS has this machine's own: "
                f"set it to {own}"
            )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        raise DeploymentError(f"{path.name} is missing; `git checkout {path.name}`") from None
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())
        raise DeploymentError(f"{path.name} is no YAML mapping: {said}") from error
    if not isinstance(content, dict):
        raise DeploymentError(f"{path.name} is no YAML mapping: it holds {content!r}")
    return content


def _name(project: dict[str, Any]) -> str:
    name = project.get("name")
    if not isinstance(name, str):
        raise DeploymentError(f"Pulumi.yaml: name is {name!r}; expected the project's, `thimble`")
    return name


def _settings(file: str, document: dict[str, Any]) -> dict[str, Any]:
    """What stands under `config`, keys as text: YAML would have 3, null and yes be more."""
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise DeploymentError(
            f"{file}: config is {config!r}; expected settings below it, such as "
            "`thimble:model: models/digits`"
        )
    return {str(key): value for key, value in config.items()}


def _text(value: Any) -> str:  # noqa: ANN401 - any YAML
    # JSON has no dates: one is the text that was written.
    if isinstance(value, str | dt.date):
        return str(value)
    return json.dumps(value, default=str)


def _logger() -> logging.Logger:
    """Where the program's `pulumi.log` lines go: warnings and errors to the terminal."""
    logger = logging.getLogger("thimble.program")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    return logger


class _Interrupt:
    """Strictly private. Ctrl-C once: finish what is under way; twice: end at once."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self._deployment.stopping.is_set():
            os._exit(INTERRUPTED)
        self._deployment.stopping.set()
        say("stopping after the steps under way (Ctrl-C again to end at once) ...")
