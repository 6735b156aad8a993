"""What an arm64 image carries, on an emulated processor: stacks have arm64 by default.

The handler, LiteRT's library and the packages are those of the image, assembled as a deployment
does it; Python and the C libraries are Debian's. The image itself cannot be run: for that the
kernel would have to know of the emulator.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ai_edge_litert
import pytest

from local import docker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.project import Project

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="on an arm64 machine every other test is one of arm64"
)

EMULATOR = "qemu-aarch64-static"
# LiteRT reads there what the processor can do, and QEMU before 8.2 shows it the other processor.
CPUINFO = """\
processor\t: 0
Features\t: fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""
ASSEMBLE = """
import json, pathlib, sys
from infra import context, runtime
from infra.card import Card

def is_deployed(folder):
    return json.loads((folder / "model.json").read_text())["sha256"] == sys.argv[1]

(artifact, *_) = filter(is_deployed, pathlib.Path(".build/models").iterdir())
libraries = runtime.install("arm64", "3.11", pillow=True)
print(context.assemble(Card.load("models/digits"), str(artifact), libraries, "", "linux/arm64"))
"""
ASK = """
import json, sys
from handler.app import handler

events = json.load(sys.stdin)
print(json.dumps([handler(event, None) for event in events]))
"""
EVENTS = Path(__file__).parents[1] / "events"
# Integers inside, floats outside: a last step up or down is one of 256 or 16.
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's Python for arm64: files, of which no script is ever run."""
    missing = [
        package
        for package, command in (("qemu-user-static", EMULATOR), ("debootstrap", "debootstrap"))
        if shutil.which(command) is None
    ]
    if missing:
        docker.install(missing)
    root = tmp_path_factory.mktemp("debian")
    options = ["--arch=arm64", "--foreign", "--variant=minbase", "--include=python3,libstdc++6"]
    subprocess.run(
        ["debootstrap", *options, "bookworm", str(root)], capture_output=True, check=True
    )
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(root)], check=True)
    (root / "proc" / "cpuinfo").write_text(CPUINFO, encoding="ascii")
    return root


@pytest.fixture(scope="module")
def content(project: Project) -> Path:
    """The image's content, with the model that is deployed."""
    sha256 = project.outputs()["model_sha256"]
    command = [sys.executable, "-c", ASSEMBLE, sha256]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True)
    return project.folder / done.stdout.strip()


def on_arm64(debian: Path, content: Path, *arguments: str, given: str = "") -> str:
    """What Python there prints."""
    command = [EMULATOR, "-L", str(debian), str(debian / "usr/bin/python3.11"), *arguments]
    settings = {
        "PYTHONHOME": str(debian / "usr"),
        "PYTHONPATH": f"{content}:{content / 'site'}",
        "LITERT_LIBRARY": str(content / "lib/libLiteRt.so"),
    }
    return _run(command, content, settings, given)


def on_this_machine(content: Path, *arguments: str, given: str = "") -> str:
    """What Python here prints, with the same handler and model."""
    settings = {
        "PYTHONPATH": str(content),
        "LITERT_LIBRARY": str(Path(ai_edge_litert.__path__[0], "libLiteRt.so")),
    }
    return _run([sys.executable, *arguments], content, settings, given)


def _run(command: list[str], content: Path, settings: dict[str, str], given: str) -> str:
    environment = {"MODEL_DIR": str(content / "model"), "TELEMETRY": "off", **settings}
    done = subprocess.run(
        command,
        cwd=content,
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def numbers(answer: dict[str, Any]) -> list[float]:
    """All numbers of an answer: those of a JSON document in order, or the ten scores at its end."""
    if answer["isBase64Encoded"]:
        return list(array("f", base64.b64decode(answer["body"])[-10 * 4 :]))
    return list(_numbers(json.loads(answer["body"])))


def _numbers(document: Any) -> Iterator[float]:
    if isinstance(document, dict | list):
        for item in document.values() if isinstance(document, dict) else document:
            yield from _numbers(item)
    elif isinstance(document, int | float):
        yield document


def test_the_image_s_own_proof_succeeds(debian: Path, content: Path) -> None:
    """What building it would run: the digest, the golden answer, a picture, all packages."""
    printed = on_arm64(debian, content, "-m", "handler.prove")

    assert printed.startswith("digits (")
    assert printed.endswith("gives scores [1, 10]\n")


def test_every_event_is_answered_as_on_this_machine(debian: Path, content: Path) -> None:
    """JSON, raw tensors, pictures, gzip and faults: the same statuses, headers and numbers."""
    events = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(EVENTS.iterdir())]
    given = json.dumps(events)
    here = json.loads(on_this_machine(content, "-c", ASK, given=given))
    there = json.loads(on_arm64(debian, content, "-c", ASK, given=given))

    assert len(events) == len(there)
    assert {200, 404, 405} <= {answer["statusCode"] for answer in there}
    for expected, answer in zip(here, there, strict=True):
        assert expected["statusCode"] == answer["statusCode"]
        assert pytest.approx(numbers(expected), abs=TOLERANCE) == numbers(answer)
    assert any(answer["isBase64Encoded"] for answer in there)
