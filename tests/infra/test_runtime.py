"""What the image carries beside the base: wheels, by hash, for the image's platform."""

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from infra import runtime
from infra.errors import ToolError

REQUIREMENTS = """\
ai-edge-litert==2.3.0 \\
    --hash=sha256:aa
numpy==2.4.6 \\
    --hash=sha256:bb
pillow==13.0.0 \\
    --hash=sha256:cc
"""


def test_wheels_are_locked_and_for_the_image(project: Path) -> None:
    """Installing insists on hashes and wheels, for the image's processor and Python."""
    runtime.install("arm64", "3.13", pillow=False)
    installed = (project / "uv.log").read_text().splitlines()[-1]

    for option in (
        "--require-hashes",
        "--no-deps",
        "--only-binary :all:",
        "--python-platform aarch64-manylinux_2_28",
        "--python-version 3.13",
    ):
        assert option in installed


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("architecture", runtime.PLATFORMS)
def test_the_lock_has_a_wheel_for_each_image(architecture: str, python: str) -> None:
    """Whatever processor and Python a base image has, all that is shipped exists for it."""
    machine, _, platform = runtime.PLATFORMS[architecture].partition("-")
    interpreter = f"cp{python.replace('.', '')}"
    platforms = re.compile(rf"manylinux_2_(\d+)_{machine}")
    newest = int(platform.rpartition("_")[2])
    lock = tomllib.loads((Path(__file__).parents[2] / "uv.lock").read_text(encoding="utf-8"))

    def fits(tag: Tag) -> bool:
        found = platforms.fullmatch(tag.platform.replace("manylinux2014", "manylinux_2_17"))
        if tag.interpreter == interpreter and found is not None:
            return int(found[1]) <= newest
        return str(tag) == "py3-none-any"

    served = {
        package["name"]
        for package in lock["package"]
        for wheel in package.get("wheels", ())
        if any(map(fits, parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]))
    }
    assert {"ai-edge-litert", "pillow", *runtime.PACKAGES} <= served


def test_installed_once(project: Path) -> None:
    """The same lock, platform and Python are one folder and one installation."""
    first = runtime.install("x86_64", "3.13", pillow=True)

    assert first == runtime.install("x86_64", "3.13", pillow=True)
    assert 1 == (project / "uv.log").read_text().count("pip install")


def test_platforms_do_not_mix(project: Path) -> None:
    """Another processor or Python is another folder."""
    assert project.is_dir()
    folders = {
        runtime.install("arm64", "3.13", pillow=True),
        runtime.install("x86_64", "3.13", pillow=True),
        runtime.install("x86_64", "3.12", pillow=True),
    }

    assert 3 == len(folders)


def test_only_what_is_wanted_is_fetched() -> None:
    """What is locked beside LiteRT, numpy above all, is not even downloaded."""
    found = runtime.select(REQUIREMENTS, ("ai-edge-litert", "pillow"))

    assert ["ai-edge-litert==2.3.0 \\", "    --hash=sha256:aa"] == found.splitlines()[:2]
    assert "numpy" not in found


def test_lock_without_the_library() -> None:
    """A lock that lacks a package names it, and the commands that add it."""
    with pytest.raises(ToolError, match=r"lacks pillow; add it in"):
        runtime.select("ai-edge-litert==2.3.0\n", ("ai-edge-litert", "pillow"))


def test_uv_as_uv_run_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `uv run`, the same uv is used again."""
    monkeypatch.setenv("UV", "/opt/uv")

    assert ["/opt/uv"] == runtime.find_uv()


def test_uv_from_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else uv comes from PATH."""
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert [str(tmp_path / "uv")] == runtime.find_uv()


def test_uv_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uv the error says how to get it."""
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", shutil.which("false", path="/bin:/usr/bin"))

    with pytest.raises(ToolError, match=r"uv is not installed.*pip install uv"):
        runtime.find_uv()


def test_failed_installation_leaves_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused platform is told in uv's own words, and no half-made folder stays."""
    broken = project / "broken-uv"
    broken.write_text(
        (project / "uv").read_text() + "print('no wheel', file=sys.stderr)\nexit(2)\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("UV", str(broken))

    with pytest.raises(ToolError, match=r"ended with 2: no wheel"):
        runtime.install("arm64", "3.13", pillow=False)
    assert [] == list((project / runtime.RUNTIMES).iterdir())


def test_wheel_without_the_library(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that no longer holds the C library is noticed before an image is built."""
    assert project.is_dir()
    monkeypatch.setattr(runtime, "LIBRARY", Path("ai_edge_litert/gone.so"))

    with pytest.raises(ToolError, match=r"holds no ai_edge_litert/gone.so"):
        runtime.install("arm64", "3.13", pillow=False)
