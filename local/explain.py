"""What each megabyte of a model's image is for: `python -m local.explain [IMAGE]`.

Reads the image itself, as `docker save` gives it, file by file; without an argument the one that
the local stack runs. What lies under no path of ours is the base image's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from local import docker
from local.errors import DockerError, LocalError
from local.home import Home, say
from local.stack import LocalStack

TASK = "var/task"
PURPOSES = (
    ("LiteRT's C library", "opt/litert/"),
    ("the server's library", f"{TASK}/uvicorn", f"{TASK}/httptools", f"{TASK}/click"),
    ("orjson, pybase64", f"{TASK}/orjson", f"{TASK}/pybase64"),
    ("Pillow", f"{TASK}/PIL", f"{TASK}/pillow"),
    ("the handler", f"{TASK}/handler/"),
    ("the model", "opt/model/"),
)
BASE = "the base image"
MEGABYTE = 1_000_000


@dataclass(slots=True)
class Share:
    """What one purpose takes.

    Attributes:
        files: How many files.
        size: Their bytes on disk.
        compressed: Their bytes as a registry keeps and sends them.
    """

    files: int = 0
    size: int = 0
    compressed: int = 0
    _packer: zlib._Compress = field(default_factory=zlib.compressobj)

    def add(self, content: IO[bytes]) -> None:
        """Count one file."""
        self.files += 1
        while block := content.read(1 << 20):
            self.size += len(block)
            self.compressed += len(self._packer.compress(block))

    def close(self) -> None:
        """Count what the compression still held back."""
        self.compressed += len(self._packer.flush())


def explain(image: str) -> dict[str, Share]:
    """Each purpose's share of an image, the base image's last.

    Raises:
        DockerError: There is no such image.
    """
    docker.docker("image", "inspect", "--format", "{{.Id}}", image)
    shares = {name: Share() for name, *_ in PURPOSES} | {BASE: Share()}
    with (
        subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving,
        tarfile.open(fileobj=saving.stdout, mode="r|") as archive,
    ):
        for part in archive:
            _count(archive.extractfile(part) if part.isfile() else None, shares)
    if saving.returncode != 0:
        raise DockerError(f"docker save {image} failed with exit code {saving.returncode}")
    for share in shares.values():
        share.close()
    return shares


def purpose(path: str) -> str:
    """What a file is for, by its path in the image."""
    for name, *folders in PURPOSES:
        if path.removeprefix("./").startswith(tuple(folders)):
            return name
    return BASE


def table(shares: dict[str, Share]) -> str:
    """Plain text: a line for each purpose that has files, and sums."""
    added = {name: share for name, share in shares.items() if name != BASE and share.files}
    lines = [f"{'':24}{'files':>7}{'MB':>9}{'MB gzip':>9}"]
    lines += [_line(name, [share]) for name, share in added.items()]
    lines.append(_line("added to the base", list(added.values())))
    lines.append(_line(BASE, [shares[BASE]]))
    lines.append(_line("the image", [*added.values(), shares[BASE]]))
    return "\n".join(lines)


def _line(name: str, shares: list[Share]) -> str:
    size = sum(share.size for share in shares) / MEGABYTE
    compressed = sum(share.compressed for share in shares) / MEGABYTE
    return f"{name:24}{sum(share.files for share in shares):7}{size:9.2f}{compressed:9.2f}"


def _count(layer: IO[bytes] | None, shares: dict[str, Share]) -> None:
    if layer is None:
        return
    # What is no layer, but the image's description, is no archive.
    with suppress(tarfile.ReadError), tarfile.open(fileobj=layer, mode="r|*") as files:
        for entry in files:
            content = files.extractfile(entry) if entry.isreg() else None
            if content is not None:
                shares[purpose(entry.name)].add(content)


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="local.explain", description="Where an image's MB go.")
    parser.add_argument("image", nargs="?", help="an image; default: what the stack `local` runs")
    image = parser.parse_args(argv).image
    try:
        if not image:
            image = str(LocalStack(Home.default(), "local").outputs()["image_uri"])
        say(f"{image}\n\n{table(explain(image))}")
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
