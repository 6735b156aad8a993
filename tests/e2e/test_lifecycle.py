"""The stack from outside: what a second `up`, a changed label and a `down` do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.api import send
from tests.e2e.project import TIMEOUT_SECONDS, Project, copy_of_the_tree

IMAGE_AND_DEPENDENTS = {
    ("update", "pulumi-python:dynamic:ImageTag"),
    ("update", "docker:index/image:Image"),
    ("update", "aws:lambda/function:Function"),
    ("update", "aws:lambda/alias:Alias"),
}
NOBODY = 65534
# Root imports the command first: the interpreter itself may lie where nobody may look.
AS_NOBODY = f"""
import os, sys
from local.__main__ import main
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
sys.exit(main(["up"]))
"""


def test_second_up_changes_nothing(project: Project) -> None:
    """`up` on what is up says "no changes" and sends a picture again."""
    printed = project.ok("local", "up", "--expect-no-changes")
    assert "no changes" in printed


def test_refresh_finds_no_drift(project: Project) -> None:
    """What was deployed is what is there."""
    project.ok("local", "refresh", "--expect-no-changes")


def test_image_is_used_by_digest(project: Project) -> None:
    """The function runs REPOSITORY@sha256:..., and the export is that digest."""
    state = json.loads((project.folder / ".local/stacks/local/state.json").read_text())
    function = next(r for r in state["resources"] if r["type"].endswith(":Function"))
    assert function["inputs"]["imageUri"].endswith("@" + project.outputs()["image_digest"])


def test_no_secret_in_the_state(project: Project) -> None:
    """The registry's password is in no file of the stack."""
    password = "ministack-auth-token"
    stack = project.folder / ".local/stacks/local"
    for path in (stack / "state.json", project.folder / ".build"):
        for file in [path] if path.is_file() else path.rglob("*.json"):
            assert password not in file.read_text()


def test_changed_label(project: Project) -> None:
    """A changed label changes the image and what depends on it, and the API answers with it."""
    card = project.folder / "models/digits/model.yaml"
    before = card.read_text()
    picture = (project.folder / "models/digits/samples/7.png").read_bytes()
    card.write_text(before.replace('"7"', '"seven"'))
    try:
        assert project.plan() == IMAGE_AND_DEPENDENTS
        project.ok("local", "up")
        url = project.outputs()["url"]
        answer = send(url, "/v1/models/digits:image", picture, "image/png")
        assert answer.document["predictions"][0]["label"] == "seven"
    finally:
        card.write_text(before)
        project.ok("local", "up")


def test_interrupted_up_continues(project: Project) -> None:
    """Ctrl-C while the image is built ends with one line; the next `up` finishes the work."""
    card = project.folder / "models/digits/model.yaml"
    before = card.read_text()
    card.write_text(before.replace('"4"', '"four"'))
    try:
        command = [sys.executable, "-m", "local", "up"]
        with subprocess.Popen(
            command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as up:
            assert up.stdout is not None
            assert any("building" in line for line in up.stdout)
            up.send_signal(signal.SIGINT)
            said = up.communicate(timeout=TIMEOUT_SECONDS)[1]
        assert (1, 1) == (up.returncode, said.count("\n")), said
        assert "continues from there" in said
        project.ok("local", "up")
        picture = (project.folder / "models/digits/samples/4.png").read_bytes()
        answer = send(project.outputs()["url"], "/v1/models/digits:image", picture, "image/png")
        assert answer.document["predictions"][0]["label"] == "four"
    finally:
        card.write_text(before)
        project.ok("local", "up")


def test_preview_of_a_missing_model_fails(project: Project) -> None:
    """A card that names no file fails in preview, with the command line's own message."""
    card = project.folder / "models/digits/model.yaml"
    before = card.read_text()
    card.write_text(before.replace("model.keras", "absent.keras"))
    try:
        done = project.run("local", "preview")
    finally:
        card.write_text(before)
    assert done.returncode == 1
    assert "absent.keras" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_stack(project: Project) -> None:
    """A stack without settings is one line that lists those with."""
    done = project.run("local", "up", "--stack", "nowhere")
    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    assert "local" in done.stderr


def test_without_root_and_docker() -> None:
    """Where no daemon answers and nobody may start one, one line says what is missing."""
    if os.geteuid() != 0:
        pytest.fail("run as root: only root can become somebody else")
    # Not in tmp_path, whose parents only root may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        project = copy_of_the_tree(Path(folder) / "project")
        project.chmod(0o777)
        done = as_nobody(project)
    assert (1, 1) == (done.returncode, done.stderr.count("\n")), done.stderr
    assert "docker.io" in done.stderr


def test_home_that_cannot_be_written() -> None:
    """Where nothing may be written, one line names the folder."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = as_nobody(copy_of_the_tree(Path(folder) / "project"))
    assert (1, 1) == (done.returncode, done.stderr.count("\n")), done.stderr
    assert f"{folder}/project/.local" in done.stderr


def as_nobody(project: Path) -> subprocess.CompletedProcess[str]:
    """`local up` by a user who is not root and reaches no Docker."""
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(project), "DOCKER_CONFIG": str(project)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
