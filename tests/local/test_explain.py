"""Where an image's megabytes go."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from local import explain
from local.errors import DockerError

if TYPE_CHECKING:
    from pathlib import Path

LAYERS: tuple[dict[str, int | bytes | None], ...] = (
    {"usr/bin/python3": 5_000_000},
    {"opt/litert/libLiteRt.so": 8_000_000},
    {"var/task/uvicorn/server.py": 100_000, "./var/task/PIL/_webp.so": 200_000},
    {"var/task/pybase64/__init__.py": 3_000, "var/task/orjson/__init__.py": 2_000},
    {"var/task/handler/app.py": 10_000, "opt/model/model.tflite": 20_000, "var/task/handler": None},
)


def archive(files: dict[str, int | bytes | None]) -> bytes:
    """A tar file of files by content or size; None for a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type = tarfile.DIRTYPE
            data = bytes(content or 0) if not isinstance(content, bytes) else content
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that knows one image, and its archive."""
    parts: dict[str, int | bytes | None] = {
        f"{i}/layer.tar": archive(layer) for i, layer in enumerate(LAYERS)
    }
    image = tmp_path / "image.tar"
    image.write_bytes(archive({**parts, "manifest.json": b"[{}]"}))
    command = tmp_path / "docker"
    command.write_text(
        "#!/bin/sh\n"
        'for last; do :; done\n[ "$last" = here ] || { echo "No such image: $last"; exit 1; }\n'
        f'[ "$1" = save ] && exec cat {image}\nexit 0\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return image


def test_every_file_has_a_purpose(saved: Path) -> None:
    """Files are counted by where they lie, folders are not, and the base has the rest."""
    assert saved.exists()
    shares = explain.explain("here")

    assert {
        "LiteRT's C library": (1, 8_000_000),
        "the server's library": (1, 100_000),
        "orjson, pybase64": (2, 5_000),
        "Pillow": (1, 200_000),
        "the handler": (1, 10_000),
        "the model": (1, 20_000),
        "the base image": (1, 5_000_000),
    } == {name: (share.files, share.size) for name, share in shares.items()}
    assert all(0 < share.compressed < share.size for share in shares.values())


def test_the_table_adds_up(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is added to the base, and the whole, are the sums of the lines above."""
    assert saved.exists()
    assert 0 == explain.main(["here"])

    lines = capsys.readouterr().out.splitlines()
    assert "here" == lines[0]
    assert ["7", "8.34"] == next(at for at in lines if at.startswith("added")).split()[4:6]
    assert ["8", "13.34"] == lines[-1].split()[2:4]


def test_an_image_that_is_not_there(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is one line and names it."""
    assert saved.exists()
    with pytest.raises(DockerError, match="No such image: elsewhere"):
        explain.explain("elsewhere")
    assert 1 == explain.main(["elsewhere"])
    assert "error: docker image inspect" in capsys.readouterr().err
