"""The images that are measured: ours, laid out as a deployment does it, and the rivals'.

Each is named by a hash of all that goes into it, so that a second run finds it built.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.models import BUILT
from infra import context, runtime
from infra.card import Card
from local import base
from local.docker import docker
from local.errors import DockerError
from local.home import PROJECT, Home, say

if TYPE_CHECKING:
    from bench.models import BenchModel

PREFIX = "thimble-bench"
PYTHON = "3.11"  # the base image's
RIVALS = Path("bench/rivals")
BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to write the handler.

    Attributes:
        key: Its short name.
        title: For tables.
        handler: What the runtime client is told to run.
        packages: The file in rivals/ with its pinned packages, or None.
        model_file: What its image carries of the model, or None.
        slow: Whether a start takes many seconds: measured less often.
    """

    key: str
    title: str
    handler: str
    packages: str | None = None
    model_file: str | None = None
    slow: bool = False


KINDS = (
    Kind(
        key="naive",
        title="TensorFlow, model loaded per call",
        handler="bench.rivals.naive.handler",
        packages="tensorflow.txt",
        model_file="model.keras",
        slow=True,
    ),
    Kind(
        key="tensorflow",
        title="TensorFlow, model loaded once",
        handler="bench.rivals.loaded.handler",
        packages="tensorflow.txt",
        model_file="model.keras",
        slow=True,
    ),
    Kind(
        key="stock",
        title="stock LiteRT and numpy",
        handler="bench.rivals.stock.handler",
        packages="litert.txt",
        model_file="model.tflite",
    ),
    Kind(key="ours", title="thimble", handler="handler.app.handler"),
    Kind(key="bare", title="no model: bare Python", handler="bench.rivals.bare.handler"),
)


def base_image() -> str:
    """The name under which this keeps the base image, made if it is not there.

    A name of its own: `make down` takes the other one away, and a minute's work with it.

    Raises:
        DockerError: It can neither be pulled nor made.
    """
    name = f"{PREFIX}-base:{base.recipe()[:12]}"
    if not _exists(name):
        docker("tag", base.ensure(Home.default()), name)
    return name


def build(kind: Kind, model: BenchModel, *, pillow: bool = False) -> str:
    """Build an image if it is not there, and give its name.

    Args:
        kind: Whose.
        model: What it serves.
        pillow: For ours: with the library that pictures need.

    Raises:
        BenchError: Packages cannot be installed.
        DockerError: Docker refused.
    """
    if kind.key == "ours":
        return _build_ours(model, pillow=pillow)
    over = _packages(kind.packages) if kind.packages else base_image()
    with _scratch() as scratch:
        folder = Path(scratch)
        for source in (Path("bench/__init__.py"), *sorted(RIVALS.glob("*.py"))):
            _copy(source, folder / source)
        (folder / "model").mkdir()
        if kind.model_file == "model.tflite":
            _copy(model.artifact / kind.model_file, folder / "model" / kind.model_file)
        elif kind.model_file:
            _copy(model.card / kind.model_file, folder / "model" / kind.model_file)
        _copy(RIVALS / "Dockerfile", folder / "Dockerfile")
        return _image(f"{kind.key}-{model.name}", folder, over)


def megabytes(image: str) -> float:
    """An image's size as Docker tells it, in millions of bytes, uncompressed."""
    return int(docker("image", "inspect", image, "--format", "{{.Size}}")) / BYTES_PER_MB


def _build_ours(model: BenchModel, *, pillow: bool) -> str:
    card = Card.load(model.card.as_posix())
    if not pillow:
        card = dataclasses.replace(card, picture=None)
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    libraries = runtime.install(architecture, PYTHON, pillow=pillow)
    folder = context.assemble(card, str(model.artifact), libraries, base_image(), architecture)
    suffix = "-pillow" if pillow else ""
    return _image(f"ours-{model.name}{suffix}", folder, base_image())


def _packages(file: str) -> str:
    """The base image with a rival's pinned packages."""
    requirements = RIVALS / file
    with _scratch() as scratch:
        folder = Path(scratch)
        _copy(RIVALS / "packages.Dockerfile", folder / "Dockerfile")
        _copy(requirements, folder / file)
        name = _name(f"packages-{requirements.stem}", folder, base_image())
        if not _exists(name):
            say(f"installing {requirements.stem} for its image ...")
            _install(requirements, folder / "site")
            _docker_build(name, folder, base_image())
    return name


def _install(requirements: Path, target: Path) -> None:
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    command = [
        # The project's own overrides are not theirs.
        *(*runtime.find_uv(), "pip", "install", "--quiet", "--no-config", "--target", str(target)),
        *("--require-hashes", "--only-binary", ":all:", "--compile-bytecode"),
        *("--python-platform", f"{machine}-manylinux_2_28", "--python-version", PYTHON),
        *("--requirements", str(requirements)),
    ]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BenchError(
            f"{requirements} cannot be installed: {said[-1] if said else 'no message'}"
        )


def _image(label: str, folder: Path, over: str) -> str:
    name = _name(label, folder, over)
    if not _exists(name):
        say(f"building {name} ...")
        _docker_build(name, folder, over)
    return name


def _name(label: str, folder: Path, over: str) -> str:
    """A tag made of the contents and of what lies below them."""
    below = docker("image", "inspect", over, "--format", "{{.Id}}")
    total = hashlib.sha256(below.encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder)}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{PREFIX}-{label}:{total.hexdigest()[:12]}"


def _exists(name: str) -> bool:
    return bool(docker("image", "ls", "--quiet", name).strip())


def _docker_build(name: str, folder: Path, over: str) -> None:
    docker("build", "--quiet", f"--tag={name}", f"--build-arg=BASE_IMAGE={over}", str(folder))
    # What an earlier state of the same image left: a rival's packages are gigabytes.
    repository = name.partition(":")[0]
    for tag in docker("image", "ls", repository, "--format", "{{.Repository}}:{{.Tag}}").split():
        if tag != name and not tag.endswith(":<none>"):
            with suppress(DockerError):  # in use, by another run
                docker("image", "rm", tag)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    BUILT.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=BUILT)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
