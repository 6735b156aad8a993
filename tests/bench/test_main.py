"""The command itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
# The command as it is, measuring something that takes for ever.
MEASURING = """
import subprocess, sys
from bench import __main__ as bench, models, processes

def measure(prepared, *, quick):
    started = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        print(started.pid, flush=True)
        started.wait()
    finally:
        processes.stop(started.pid)

models.NAMES = ()
bench.PARTS["servers"] = measure
sys.exit(bench.main(["servers"]))
"""


def test_sigterm_ends_what_was_started() -> None:
    """Whoever stops the command is not left with servers that go on running."""
    with subprocess.Popen(
        [sys.executable, "-c", MEASURING], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        started = int(command.stdout.readline())
        os.kill(started, 0)

        command.terminate()

        assert 128 + signal.SIGTERM == command.wait(20)
        assert not Path(f"/proc/{started}").exists()
