"""The runtime interface emulator with a clock: run in a container as its first process.

HANDLER EVENT CALLS SECONDS: says that it is ready, does what each line it is given says, and prints
as JSON what it found. `start`: a new runtime client is started and given the event; `start_ms`
(until its answer) and `start_cpu_ms` (its processor time until then). `warm`: the same event again
and again; `warm_ms` (each call), `answers` (the different ones, that of the start included) and
`peak_rss_kb`. Standard library only.
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
from typing import Any

from local.base.rie import Exchange, Handler, RuntimeApi

PORT = 9001
STDERR = Path("/tmp/stderr")  # in a container of its own
MIN_CALLS = 3


class Client:
    """A runtime client that has been started, and has answered once.

    Args:
        handler: What it runs.
        event: What it is asked, again and again.
    """

    def __init__(self, handler: str, event: bytes) -> None:
        self._event = event
        # Of its own: whoever served the client before still waits in the other.
        Handler.exchange = self._exchange = Exchange()
        environment = {
            "PYTHONPATH": "/var/runtime",
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{PORT}",
            "_HANDLER": handler,
        }
        with STDERR.open("wb") as errors:
            began = time.perf_counter_ns()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", handler],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        threading.Thread(target=_watch, args=(self._process, self._exchange), daemon=True).start()
        self._first = self._exchange.ask(event)
        self.start = {"start_ms": _since(began), "start_cpu_ms": _cpu_ms(self._process.pid)}

    def warm(self, calls: int, seconds: float) -> dict[str, Any]:
        """Ask again, at least `MIN_CALLS` times."""
        times: list[float] = []
        answers = [self._first]
        end = time.perf_counter() + seconds
        while len(times) < MIN_CALLS or (len(times) < calls and time.perf_counter() < end):
            began = time.perf_counter_ns()
            answer = self._exchange.ask(self._event)
            times.append(_since(began))
            if answer not in answers:
                answers.append(answer)
        return {
            "warm_ms": times,
            "answers": [answer.decode(errors="replace") for answer in answers],
            "peak_rss_kb": _peak_rss_kb(self._process.pid),
            "stderr": STDERR.read_text(errors="replace")[-2000:],
        }

    def end(self) -> None:
        """End the client."""
        self._process.kill()
        self._process.wait()


def main(handler: str, event_file: str, calls: int, seconds: float) -> None:
    """Do what is asked, until nothing more is."""
    event = Path(event_file).read_bytes()
    api = ThreadingHTTPServer(("127.0.0.1", PORT), RuntimeApi)
    api.daemon_threads = True
    threading.Thread(target=api.serve_forever, daemon=True).start()
    client: Client | None = None
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "start":
            if client is not None:
                client.end()
            client = Client(handler, event)
            found = client.start
        elif client is not None:
            found = client.warm(calls, seconds)
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
