"""The command line as the workflows call it, with a `pulumi` of this test's on PATH."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from release.__main__ import main
from tests.release.conftest import FakeGitHub

ROOT = Path(__file__).parents[2]
COMMIT = "23cd313a0d3f7c5be7d4f0a1d2c3b4a596877869"
DIGEST = "sha256:" + "a" * 64
BARE = """
import sys
sys.path.insert(0, sys.argv[1])
from release.__main__ import main
main(["needs", "--help"])
"""


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` that prints the file `answer` and exits with the number in `code`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "pulumi"
    script.write_text(f'#!/bin/sh\ncat "{folder}/answer"\nexit "$(cat "{folder}/code")"\n')
    script.chmod(0o755)
    (folder / "code").write_text("0")
    (folder / "answer").write_text("{}")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture(autouse=True)
def no_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a surrounding CI run leaks into a test."""
    for name in list(os.environ):
        if name.startswith("GITHUB_") or name in {"NEEDS", "THIMBLE_LOCAL", "SMOKE_TOKEN"}:
            monkeypatch.delenv(name)


def test_it_starts_without_the_project_installed(tmp_path: Path) -> None:
    """A bare interpreter is enough for a job that only writes a comment."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BARE, str(ROOT)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert (0, True) == (done.returncode, "usage: python -m release needs" in done.stdout)


def test_a_failed_preview_is_saved_and_fails(pulumi: Path, tmp_path: Path) -> None:
    """The file for the comment exists even though the step is red."""
    (pulumi / "answer").write_text("error: no credentials")
    (pulumi / "code").write_text("1")

    code = main(["preview", "--stack", "dev", "--out", str(tmp_path / "out")])

    assert 1 == code
    saved = json.loads((tmp_path / "out" / "dev.json").read_text())
    assert "error: no credentials" == saved["error"]


def function(memory: int) -> str:
    """What `pulumi preview --json` prints of a stack with a function."""
    state = {"type": "aws:lambda/function:Function", "inputs": {"memorySize": memory}}
    return json.dumps({"steps": [{"op": "same", "urn": "urn:f", "newState": state}]})


def test_a_stack_says_what_it_would_cost(pulumi: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the terminal, for as many requests as it is asked for."""
    (pulumi / "answer").write_text(function(1024))

    assert 0 == main(["cost", "--stack", "dev", "--milliseconds", "100", "--rate", "2"])

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Lambda, 100 ms each 1.67" in lines
    assert "at 2 a second, 5.3 million a month" in lines


def test_a_stack_that_cannot_be_previewed_has_no_cost(
    pulumi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why stands on stderr, as after `preview`; nothing on stdout could be taken for a price."""
    (pulumi / "answer").write_text("error: no credentials")
    (pulumi / "code").write_text("1")

    assert 1 == main(["cost", "--stack", "dev"])

    captured = capsys.readouterr()
    assert "" == captured.out
    assert "error: no credentials" in captured.err


def test_a_stack_without_a_function_has_no_cost(
    pulumi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as bootstrap's."""
    assert pulumi.is_dir()
    assert 2 == main(["cost", "--stack", "dev"])

    assert "release cost: dev has no function" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--rate", "--milliseconds"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many"])
def test_costs_are_of_something(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No rate and no time that is none."""
    with pytest.raises(SystemExit, match="2"):
        main(["cost", "--stack", "dev", f"{option}={value}"])

    assert f"argument {option}: '{value}' is not a number above 0" in capsys.readouterr().err


def test_the_comment_is_posted_with_whatever_is_there(
    tmp_path: Path, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing report and a missing stage are said in the comment, not hidden."""
    assert github.server is not None
    monkeypatch.setenv("GITHUB_TOKEN", "made-up")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/thimble")
    monkeypatch.setenv("GITHUB_API_URL", github.server.url)
    (tmp_path / "dev.json").write_text('{"steps": []}')

    code = main(
        [
            "comment",
            "--previews",
            str(tmp_path),
            "--stages",
            "dev",
            "prod",
            "--reports",
            str(tmp_path),
            "--pull-request",
            "7",
        ]
    )

    assert 0 == code
    body = github.comments[0]["body"]
    assert "The conversion failed or did not run" in body
    assert "**dev**: no changes" in body
    assert "This preview did not run to its end" in body


def test_the_comment_can_go_to_the_job_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork's pull request has no token that may write; its summary needs none."""
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    code = main(
        [
            "comment",
            "--previews",
            str(tmp_path),
            "--stages",
            "local",
            "--reports",
            str(tmp_path),
            "--summary",
        ]
    )

    assert 0 == code
    assert "**local**" in summary.read_text()


def test_the_gate_hands_on_the_digest(
    pulumi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job after the gate receives staging's digest and no other."""
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    (pulumi / "answer").write_text(json.dumps({"commit": COMMIT, "image_digest": DIGEST}))

    code = main(["gate", "--source", "staging", "--earlier", "dev", "--commit", COMMIT])

    assert 0 == code
    assert f"image_digest={DIGEST}\n" == output.read_text()


def test_the_gate_asks_github_how_the_deployment_ended(
    github: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is handed on where the smoke test has failed."""
    path, output = tmp_path / "staging.json", tmp_path / "output"
    path.write_text(json.dumps({"commit": COMMIT, "image_digest": DIGEST}))
    repository = github.repository()
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    monkeypatch.setenv("GITHUB_TOKEN", repository.token)
    monkeypatch.setenv("GITHUB_REPOSITORY", repository.name)
    monkeypatch.setenv("GITHUB_API_URL", repository.api)
    command = ["gate", "--source", "staging", "--source-outputs", str(path), "--commit", COMMIT]

    github.deploy(COMMIT, "staging", "in_progress", "failure")
    assert 1 == main([*command, "--environment", "staging"])
    assert not output.exists()
    github.deploy(COMMIT, "staging", "in_progress", "success")
    assert 0 == main([*command, "--environment", "staging"])
    assert f"image_digest={DIGEST}\n" == output.read_text()


def test_the_gate_reads_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outputs saved elsewhere are as good, and a refusal is one line."""
    path = tmp_path / "staging.json"
    path.write_text(json.dumps({"commit": "other", "image_digest": DIGEST}))

    code = main(["gate", "--source", "staging", "--source-outputs", str(path), "--commit", COMMIT])

    assert 1 == code
    error = capsys.readouterr().err
    assert error.startswith("release gate: staging runs commit other")
    assert 1 == error.count("\n")


def test_only_three_outputs_reach_other_jobs(
    pulumi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack's other outputs stay in the job."""
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    outputs = {"url": "https://a", "image_digest": DIGEST, "commit": COMMIT, "extra": "x"}
    (pulumi / "answer").write_text(json.dumps(outputs))

    assert 0 == main(["outputs", "--stack", "dev", "--github"])
    assert f"url=https://a\nimage_digest={DIGEST}\ncommit={COMMIT}\n" == output.read_text()


def test_an_output_cannot_smuggle_another(
    pulumi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line break in a value would start a new output."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    (pulumi / "answer").write_text(json.dumps({"url": "https://a\nimage_digest=evil"}))

    assert 2 == main(["outputs", "--stack", "dev", "--github"])


def test_a_smoke_test_of_the_wrong_digest_fails(
    pulumi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Serving something that answers well is not enough: it must be what was approved."""
    outputs = {"url": "http://127.0.0.1:1", "image_digest": "sha256:" + "b" * 64}
    (pulumi / "answer").write_text(json.dumps(outputs))
    picture = tmp_path / "7.png"
    picture.write_bytes(b"x")

    code = main(
        [
            "smoke",
            "--stack",
            "prod",
            "--digest",
            DIGEST,
            "--model",
            "digits",
            "--picture",
            str(picture),
            "--expect",
            "7",
            "--auth",
            "none",
        ]
    )

    assert 1 == code
    assert f"not {DIGEST}, which was approved" in capsys.readouterr().err


def test_a_smoke_test_of_nothing_names_the_command(
    pulumi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stack that was never deployed is told which command deploys it, and not to an emulator."""
    (pulumi / "answer").write_text("{}")
    question = ["--model", "digits", "--picture", str(tmp_path / "7.png"), "--expect", "7"]

    assert 1 == main(["smoke", "--stack", "prod", "--auth", "none", *question])
    assert "python -m release up --stack prod" in capsys.readouterr().err


def test_drift_on_a_terminal_exits_seven(pulumi: Path) -> None:
    """Without `--issue` the exit code tells, as the engine's own does."""
    (pulumi / "code").write_text("7")
    (pulumi / "answer").write_text("~ digits")

    assert 7 == main(["drift", "--stack", "dev"])


@pytest.mark.parametrize(
    ("needs", "code"),
    [
        ('{"check": {"result": "success"}, "test": {"result": "success"}}', 0),
        ('{"check": {"result": "success"}, "test": {"result": "failure"}}', 1),
        ('{"check": {"result": "skipped"}}', 1),
        ("{}", 1),
        ("", 2),
    ],
)
def test_one_job_stands_for_all(needs: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one required check is green only if every job was."""
    monkeypatch.setenv("NEEDS", needs)

    assert code == main(["needs"])
