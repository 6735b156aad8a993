"""A stand-in for AWS's base image: Debian's Python with the runtime client and an emulator.

Debian comes from a registry where one can be reached, else from its package archive. AWS's own
image of this Python will not do: it is Amazon Linux 2, whose C library (2.26) is too old for
LiteRT. A newer one would be another Python than the one that is made where nothing can be pulled.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local import docker
from local.errors import DockerError
from local.home import PROJECT, say

if TYPE_CHECKING:
    from local.home import Home

# What a stack's settings call it. No image has this very name: each home builds from a tag of its
# own, lest one checkout's `down` take away what another is about to build from.
IMAGE = "thimble/lambda-python:3.11"
DEBIAN_IMAGE = "public.ecr.aws/docker/library/python:3.11-slim-bookworm"
REGISTRY = "https://public.ecr.aws/v2/"
HERE = Path(__file__).parent
# What AWS's image sets; the handler's Dockerfile relies on the first two.
ENVIRONMENT = {
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "PYTHONPATH": "/var/runtime",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "en_US.UTF-8",
    "TZ": ":/etc/localtime",
}


def reference() -> str:
    """What stacks are told to build on here: named by a digest, as real ones are, of its recipe.

    No registry knows it. local.images puts the home's own tag in its place.
    """
    return f"{IMAGE}@sha256:{recipe()}"


def tag(home: Home) -> str:
    """The name under which a home keeps the base image: whose it is, and what it is made of."""
    return f"{IMAGE}-{_owner(home)}-{recipe()[:12]}"


def ensure(home: Home) -> str:
    """See to it that the home's tag exists: another home's image, or one made here.

    Returns:
        The tag.

    Raises:
        DockerError: None can be made; the message says what is missing.
    """
    own = tag(home)
    others = [name for name in _tags() if name.endswith(recipe()[:12])]
    if own in others:
        return own
    for other in others:
        # Its owner may have taken it away since it was listed.
        with suppress(DockerError):
            docker.docker("tag", other, own)
            return own
    with tempfile.TemporaryDirectory(prefix="thimble-base-") as folder:
        if _reachable():
            say(f"making a base image from {DEBIAN_IMAGE} ...")
            _build(own, Path(folder))
        else:
            say(
                "no image can be pulled from here; making one from Debian's packages (a minute) ..."
            )
            _bootstrap(own, Path(folder))
    return own


def forget(home: Home) -> None:
    """Remove the home's tags from a daemon that goes on; others' stay, and what stands on them."""
    own = [name for name in _tags() if name.startswith(f"{IMAGE}-{_owner(home)}-")]
    if own:
        docker.docker("image", "rm", "--force", *own)


def _tags() -> list[str]:
    repository = IMAGE.partition(":")[0]
    shown = docker.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository)
    return sorted(shown.split())


def _owner(home: Home) -> str:
    return hashlib.sha256(str(home.root).encode()).hexdigest()[:8]


def recipe() -> str:
    """What the stand-in is made of: these files, and the packages that are pinned for it."""
    total = hashlib.sha256()
    for path in sorted(HERE.glob("*.*")):
        total.update(path.read_bytes())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    total.update(str(project["dependency-groups"]["base"]).encode())
    return total.hexdigest()


def _reachable() -> bool:
    """Whether AWS's public registry answers; any HTTP status is an answer."""
    try:
        with urllib.request.urlopen(REGISTRY, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        # A proxy that refuses the host answers 403; the registry itself asks for a token.
        return error.code == 401  # noqa: PLR2004
    except OSError:
        return False


def _build(name: str, folder: Path) -> None:
    """Make it on an image that a registry has."""
    _lay_out(folder / "root")
    lines = [f"FROM {DEBIAN_IMAGE}", "COPY root/ /", *_changes(), ""]
    (folder / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
    docker.docker("build", "--quiet", f"--tag={name}", str(folder))


def _bootstrap(name: str, folder: Path) -> None:
    """Make it without any, as root."""
    if shutil.which("debootstrap") is None:
        docker.install(["debootstrap"])
    root = folder / "root"
    _debootstrap(root)
    _lay_out(root)
    options = [word for change in _changes() for word in ("--change", change)]
    archive = folder / "root.tar"
    _run(["tar", "-C", str(root), "-cf", str(archive), "."])
    docker.docker("import", *options, str(archive), name)


def _lay_out(root: Path) -> None:
    """What AWS's image has that Debian's has not."""
    runtime = root / "var" / "runtime"
    runtime.mkdir(parents=True)
    _install_runtime_client(runtime)
    shutil.copy(HERE / "rie.py", runtime)
    shutil.copy(HERE / "lambda-entrypoint.sh", root)
    (root / "var" / "task").mkdir()


def _changes() -> list[str]:
    """The image's settings, as a Dockerfile has them."""
    settings = [f"ENV {name}={value}" for name, value in ENVIRONMENT.items()]
    return [*settings, "WORKDIR /var/task", 'ENTRYPOINT ["/lambda-entrypoint.sh"]']


def _debootstrap(root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates"]
    done = subprocess.run(
        [*command, "bookworm", str(root)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise DockerError(
            f"debootstrap failed: {said[-1] if said else 'no message'}; it needs root and Debian's "
            f"package archive. Or run this where {DEBIAN_IMAGE} can be pulled"
        )
    for useless in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / useless, ignore_errors=True)


def _install_runtime_client(target: Path) -> None:
    """Install the locked awslambdaric and boto3, which AWS's image carries too."""
    uv = os.environ.get("UV") or shutil.which("uv")
    command = [uv] if uv else [sys.executable, "-m", "uv"]
    export = ["export", "--frozen", "--quiet", "--no-emit-project", "--only-group", "base"]
    wanted = _run([*command, *export])
    install = ["pip", "install", "--quiet", "--target", str(target), "--python-version", "3.11"]
    system = ["--python-platform", f"{platform.machine()}-manylinux_2_28", "--require-hashes"]
    _run([*command, *install, *system, "--requirement", "-"], given=wanted)


def _run(command: list[str], given: str | None = None) -> str:
    done = subprocess.run(
        command, cwd=PROJECT, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise DockerError(f"{' '.join(command[:3])} failed: {said[-1] if said else 'no message'}")
    return done.stdout
