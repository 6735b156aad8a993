"""The image's entrypoint, under a real shell."""

import os
import subprocess
from pathlib import Path

ENTRYPOINT = Path(__file__).parents[2] / "handler" / "entrypoint.sh"


def test_serve_starts_the_server_in_the_task_root(tmp_path: Path) -> None:
    """`docker run IMAGE serve`, as SageMaker starts it, runs the server where the code is."""
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\necho "$PWD: $*"\n', encoding="utf-8")
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LAMBDA_TASK_ROOT": str(tmp_path)}

    done = subprocess.run(
        ["sh", str(ENTRYPOINT), "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )

    assert f"{tmp_path}: -m handler.serve --port 8080\n" == done.stdout


def test_anything_else_is_lambdas() -> None:
    """Without `serve` the base image's own entrypoint takes over, with the handler's name."""
    last = ENTRYPOINT.read_text(encoding="utf-8").splitlines()[-1]

    assert 'exec /lambda-entrypoint.sh "$@"' == last
