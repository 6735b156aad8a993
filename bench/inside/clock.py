"""The runtime interface emulator with a clock: run in a container as its first process.

HANDLER EVENT CALLS SECONDS: says that it is ready, does one thing for each line it is given, and
prints as JSON what it found. First a start, with the event at hand: `start_ms` (from the runtime
client's start to the first answer) and `start_cpu_ms` (its processor time until then). Then the
same event again and again: `warm_ms` (each call), `answers` (the different ones) and `peak_rss_kb`.
Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

from local.base.rie import Exchange, Handler, RuntimeApi

PORT = 9001
MIN_CALLS = 3


def main(handler: str, event_file: str, calls: int, seconds: float) -> None:
    """Measure one start and what follows."""
    event = Path(event_file).read_bytes()
    Handler.exchange = exchange = Exchange()
    api = ThreadingHTTPServer(("127.0.0.1", PORT), RuntimeApi)
    api.daemon_threads = True
    threading.Thread(target=api.serve_forever, daemon=True).start()
    environment = {
        "PYTHONPATH": "/var/runtime",
        **os.environ,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{PORT}",
        "_HANDLER": handler,
    }
    _next()
    with Path("/tmp/stderr").open("wb") as errors:  # noqa: S108 - a container of its own
        began = time.perf_counter_ns()
        runtime = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", handler],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        threading.Thread(target=_watch, args=(runtime, exchange), daemon=True).start()
        answers = [exchange.ask(event)]
        start = _since(began)
        _print({"start_ms": start, "start_cpu_ms": _cpu_ms(runtime.pid)})
        _next()
        warm: list[float] = []
        end = time.perf_counter() + seconds
        while len(warm) < MIN_CALLS or (len(warm) < calls and time.perf_counter() < end):
            began = time.perf_counter_ns()
            answer = exchange.ask(event)
            warm.append(_since(began))
            if answer not in answers:
                answers.append(answer)
    found = {
        "warm_ms": warm,
        "answers": [answer.decode(errors="replace") for answer in answers],
        "peak_rss_kb": _peak_rss_kb(runtime.pid),
        "stderr": Path("/tmp/stderr").read_text(errors="replace")[-2000:],  # noqa: S108
    }
    runtime.kill()
    _print(found)


def _next() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def _print(found: dict[str, object]) -> None:
    print(json.dumps(found), flush=True)


def _watch(runtime: subprocess.Popen[bytes], exchange: Exchange) -> None:
    runtime.wait()
    exchange.fail(b'{"errorMessage": "the runtime client ended"}')


def _since(began_ns: int) -> float:
    return (time.perf_counter_ns() - began_ns) / 1e6


def _cpu_ms(pid: int) -> float:
    """Processor time of all its threads; the first figure of each schedstat is nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(task.read_text(encoding="ascii").split()[0])
    return total / 1e6


def _peak_rss_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) if peaks else 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
