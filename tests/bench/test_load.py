"""Loads of a server: the program that asks, and what several say together."""

import os
from pathlib import Path

import pytest

from bench.load import run, together


def test_parts_of_a_load_add_up() -> None:
    """Counts and times are sums; one bad moment is seen in the longest time alone."""
    each = [
        {"requests": n, "seconds": 1.0, "p50_ms": ms, "p99_ms": 2 * ms, "max_ms": 3 * ms}
        for n, ms in ((100, 1.0), (90, 1.5), (20, 8.0))
    ]

    expected = {"requests": 210, "seconds": 3.0, "p50_ms": 1.5, "p99_ms": 3.0, "max_ms": 24.0}
    assert expected == together(each)


def test_a_load_ends_with_what_goes_on_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is interrupted neither waits for the end of the load nor leaves it behind."""
    program = tmp_path / "wrk"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    started = []

    def interrupt(pid: int) -> None:
        started.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("http://127.0.0.1:1", "text/plain", [b"1"], [b"2"], 60, interrupt)

    assert not Path(f"/proc/{started[0]}").exists()
