"""The image's entrypoint, under a real shell."""

import os
import subprocess
from pathlib import Path

ENTRYPOINT = Path(__file__).parents[2] / "handler" / "entrypoint.sh"


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it where python3 only says how it was called."""
    fake = folder / "python3"
    fake.write_text('#!/bin/sh\necho "$PWD: $*"\n', encoding="utf-8")
    fake.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "LAMBDA_TASK_ROOT": str(folder)}
    return subprocess.run(
        ["sh", str(ENTRYPOINT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def test_serve_starts_the_server_in_the_task_root(tmp_path: Path) -> None:
    """`docker run IMAGE serve`, as SageMaker starts it, runs the server where the code is."""
    assert f"{tmp_path}: -m handler.serve --port 8080\n" == _run(tmp_path, "serve").stdout


def test_serve_takes_the_servers_options(tmp_path: Path) -> None:
    """`docker run IMAGE serve --workers 1` is not silently something else."""
    done = _run(tmp_path, "serve", "--workers", "1")

    assert f"{tmp_path}: -m handler.serve --port 8080 --workers 1\n" == done.stdout


def test_a_misspelt_command_is_told(tmp_path: Path) -> None:
    """Lambda's own complaint about a handler of that name would be a riddle."""
    done = _run(tmp_path, "serv")

    assert (2, "") == (done.returncode, done.stdout)
    assert "cannot run 'serv': expected serve, or a handler such as handler.app.handler\n" == (
        done.stderr
    )


def test_anything_else_is_lambdas() -> None:
    """Without `serve` the base image's own entrypoint takes over, with the handler's name."""
    last = ENTRYPOINT.read_text(encoding="utf-8").splitlines()[-1]

    assert 'exec /lambda-entrypoint.sh "$@"' == last
