"""What the image carries beside the base: LiteRT's C library, a few packages, Pillow for pictures.

All of it comes out of the wheels that uv.lock pins by hash, for the image's platform and Python
rather than this machine's. Of LiteRT's wheel only the C library is shipped: the handler calls it
itself, so numpy and LiteRT's own Python stay out, and with them most of a cold start.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.errors import ToolError

RUNTIMES = Path(".build/runtime")
LIBRARY = Path("ai_edge_litert/libLiteRt.so")
# The server (which cannot be imported without click), and JSON and base64 of large bodies.
PACKAGES = ("uvicorn", "httptools", "click", "orjson", "pybase64")
# LiteRT's wheel for arm64 asks for more than its name says: glibc 2.34 and libstdc++ 12.
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}


def install(architecture: str, python: str, *, pillow: bool) -> Path:
    """A folder with the pinned wheels unpacked, made once per lock, platform and Python.

    Args:
        architecture: Lambda's name: x86_64 or arm64.
        python: The image's Python, such as "3.13".
        pillow: Whether Pillow is needed.

    Raises:
        ToolError: uv is missing, or cannot install for that platform.
    """
    wanted = ("ai-edge-litert", *PACKAGES, *(("pillow",) if pillow else ()))
    uv = find_uv()
    exported = _run(
        [*uv, "export", "--frozen", "--only-group", "image", "--no-header", "--no-annotate"]
    )
    requirements = select(exported, wanted)
    platform = PLATFORMS[architecture]
    key = hashlib.sha256(f"{platform} {python}\n{requirements}".encode()).hexdigest()[:16]
    folder = RUNTIMES / key
    if folder.exists():
        return folder
    RUNTIMES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUNTIMES) as temporary:
        _run(
            [
                *(*uv, "pip", "install", "--quiet", "--target", f"{temporary}/wheels"),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
                *("--python-platform", platform, "--python-version", python, "-r", "-"),
            ],
            requirements,
        )
        library = Path(temporary, "wheels") / LIBRARY
        if not library.exists():
            raise ToolError(
                f"the ai-edge-litert wheel for {platform} and Python {python} holds no {LIBRARY}; "
                "pin one that does in pyproject.toml's group `image`"
            )
        try:
            Path(temporary, "wheels").rename(folder)
        except OSError:
            # Another run made the same folder meanwhile; the name says the contents are equal.
            if not folder.exists():
                raise
    return folder


def select(requirements: str, names: tuple[str, ...]) -> str:
    """The blocks (a requirement and its indented hashes) of some packages.

    Raises:
        ToolError: The lock lacks one of them.
    """
    kept: dict[str, list[str]] = {}
    name = ""
    for line in requirements.splitlines():
        if line and not line[0].isspace():
            name = line.partition("==")[0].strip().lower()
        if name in names:
            kept.setdefault(name, []).append(line)
    missing = set(names) - set(kept)
    if missing:
        raise ToolError(
            f"uv.lock's group `image` lacks {', '.join(sorted(missing))}; add it in "
            "pyproject.toml's [dependency-groups] and run uv lock"
        )
    return "".join(f"{line}\n" for name in names for line in kept[name])


def find_uv() -> list[str]:
    """How to call uv: as `uv run` says, from PATH, or as this Python's module.

    Raises:
        ToolError: There is none.
    """
    named = os.environ.get("UV") or shutil.which("uv")
    if named:
        return [named]
    module = [sys.executable, "-m", "uv"]
    if subprocess.run([*module, "--version"], check=False, capture_output=True).returncode == 0:
        return module
    raise ToolError(
        "uv is not installed, and it fetches what the image carries; install it: "
        "curl -LsSf https://astral.sh/uv/install.sh | sh, or python -m pip install uv"
    )


def _run(command: list[str], text: str | None = None) -> str:
    process = subprocess.run(command, check=False, input=text, text=True, capture_output=True)
    if process.returncode != 0:
        last = process.stderr.strip().splitlines()[-8:]
        raise ToolError(f"`{' '.join(command)}` ended with {process.returncode}: {' '.join(last)}")
    return process.stdout
