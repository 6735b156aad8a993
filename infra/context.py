"""The image's build context: a folder whose name is the hash of what is in it.

Docker compares names, modes and contents, so all three are made the same on every machine: a git
checkout's umask or a file's age must not publish a new version.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.card import Card
from infra.errors import ContextError
from infra.runtime import LIBRARY, PACKAGES
from infra.slim import slim

IMAGES = Path(".build/image")
HANDLER = Path("handler")
EPOCH = 315_532_800  # 1 January 1980, the earliest date every archive format can hold
# Parts of Pillow no served picture needs: fonts, AVIF, colour management, Tk; and the libraries
# that only they load. Pillow itself reports these features as absent.
LEFT_OUT = ("_avif.", "_imagingcms.", "_imagingft.", "_imagingtk.", "_imagingmorph.")
LEFT_OUT_LIBRARIES = ("libavif", "liblcms2", "libfreetype", "libharfbuzz", "libbrotli", "libpng16")
# Modules that nothing of ours imports: other parsers, websockets, a terminal, slower ways out.
LEFT_OUT_MODULES = (
    "uvicorn/lifespan/on.py",
    "uvicorn/protocols/http/auto",
    "uvicorn/protocols/http/h11_impl",
    "uvicorn/protocols/http/zttp",
    "uvicorn/protocols/websockets/",
    "uvicorn/supervisors/watchfilesreload",
    "uvicorn/workers",
    "click/_termui_impl",
    "click/_winconsole",
    "click/shell_completion",
    "click/testing",
    "pybase64/__main__",
    "pybase64/_fallback",
    "pybase64/_typing",
)


def assemble(card: Card, artifact: str, libraries: Path, base_image: str, platform: str) -> Path:
    """Lay out everything `docker build` needs.

    Args:
        card: Its name, labels and picture replace those the converter wrote, so that a new label
            needs no conversion.
        artifact: Folder with model.tflite and model.json, relative to the project.
        libraries: What infra.runtime.install() returned.
        base_image: Part of the hash: another base is another image.
        platform: Docker's name, such as linux/arm64; part of the hash too.

    Returns:
        The folder, relative to the project.

    Raises:
        ContextError: The artifact is not there, or the card's labels do not fit the model.
    """
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=IMAGES) as temporary:
        staging = Path(temporary, "context")
        _lay_out(staging, card, Path(artifact), libraries)
        folder = IMAGES / _normalise(staging, f"{base_image} {platform}")
        try:
            staging.rename(folder)
        except OSError:
            # It is there already, by the same name and therefore with the same contents.
            if not folder.exists():
                raise
    return folder


def _lay_out(staging: Path, card: Card, artifact: Path, libraries: Path) -> None:
    for source in _files(HANDLER):
        relative = source.relative_to(HANDLER)
        _copy(source, staging / ("" if source.name == "Dockerfile" else "handler") / relative)
    if not (artifact / "model.tflite").exists():
        raise ContextError(
            f"there is no model at {artifact}; remove .build and run pulumi up again, which makes "
            "it anew"
        )
    _copy(artifact / "model.tflite", staging / "model" / "model.tflite")
    described = json.loads((artifact / "model.json").read_text(encoding="utf-8"))
    (staging / "model" / "model.json").write_text(
        json.dumps(present(described, card), indent=2) + "\n", encoding="utf-8"
    )
    _copy_slim(libraries / LIBRARY, staging / "lib" / LIBRARY.name)
    for source in _packages(libraries):
        _copy_slim(source, staging / "site" / source.relative_to(libraries))
    if card.picture is not None:
        for source in _pillow(libraries):
            _copy_slim(source, staging / "site" / source.relative_to(libraries))


def present(described: dict[str, Any], card: Card) -> dict[str, Any]:
    """model.json with the card's presentation of today.

    Raises:
        ContextError: There are more or fewer labels than scores.
    """
    labels = None if card.labels is None else list(card.labels)
    outputs = described["signature"]["outputs"]
    scores = outputs[0]["shape"][-1:] if len(outputs) == 1 else []
    # As the converter has it: one score is the probability of the second of two labels.
    if labels is not None and scores and scores[0] != -1 and len(labels) != max(scores[0], 2):
        raise ContextError(
            f"{card.path}: labels has {len(labels)} entries and the model's last output dimension "
            f"is {scores[0]}; give one label per score, or two for a lone one"
        )
    picture = None if card.picture is None else dict(card.picture)
    return described | {"name": card.name, "labels": labels, "picture": picture}


def _packages(libraries: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for source in _files(libraries / package):
            name = source.relative_to(libraries).as_posix()
            if source.suffix in {".py", ".so"} and not name.startswith(LEFT_OUT_MODULES):
                yield source
        for folder in libraries.glob(f"{package}-*.dist-info/licenses"):
            yield from _files(folder)


def _pillow(libraries: Path) -> Iterator[Path]:
    for source in _files(libraries / "PIL"):
        if source.suffix in {".py", ".so"} and not source.name.startswith(LEFT_OUT):
            yield source
    # Its licence travels with it.
    for folder in libraries.glob("pillow-*.dist-info/licenses"):
        yield from _files(folder)
    for source in _files(libraries / "pillow.libs"):
        if not source.name.startswith(LEFT_OUT_LIBRARIES):
            yield source


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    executable = source.suffix == ".sh" or source.stat().st_mode & 0o100
    target.chmod(0o755 if executable else 0o644)


def _copy_slim(source: Path, target: Path) -> None:
    _copy(source, target)
    if ".so" in source.suffixes:
        target.write_bytes(slim(source.read_bytes()))


def _normalise(staging: Path, salt: str) -> str:
    """Fix modes and times, and hash what is left: names, modes and contents."""
    total = hashlib.sha256(salt.encode())
    for path in sorted([staging, *staging.rglob("*")], reverse=True):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
        if path.is_file():
            name = path.relative_to(staging).as_posix()
            total.update(f"{name}\0{path.stat().st_mode & 0o777:o}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
        os.utime(path, (EPOCH, EPOCH))
    return total.hexdigest()
