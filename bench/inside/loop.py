"""handler(event) called directly, in a container: what the handler itself takes, without emulator.

EVENT SECONDS: says that it is ready, waits for a line, calls the handler in turns with the bare C
call, and prints as JSON `handler_ms`, `bare_ms` (each call) and `answer` (the last). Standard
library only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

# What Lambda's runtime client puts there.
sys.path.insert(0, os.environ.get("LAMBDA_TASK_ROOT", "/var/task"))

from bench.inside.bare_call import BareCall
from handler.app import handler

LIBRARY = os.environ.get("LITERT_LIBRARY", "/opt/litert/libLiteRt.so")
MODEL = "/opt/model/model.tflite"
TURN = 20
WARM_CALLS = 20


def main(event_file: str, seconds: float) -> None:
    """Measure in turns, so that whatever slows the machine slows both."""
    print("ready", flush=True)
    sys.stdin.readline()
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    results = os.dup(1)
    # The handler writes a line a request. Lambda reads them through a pipe; nobody would here.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    bare = BareCall(LIBRARY, MODEL)
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(WARM_CALLS):
        bare()
        answer = handler(event, None)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(TURN):
            began = time.perf_counter_ns()
            bare()
            floor.append((time.perf_counter_ns() - began) / 1e6)
        for _ in range(TURN):
            began = time.perf_counter_ns()
            answer = handler(event, None)
            ours.append((time.perf_counter_ns() - began) / 1e6)
    found = {"handler_ms": ours, "bare_ms": floor, "answer": json.dumps(answer)}
    with os.fdopen(results, "w") as out:
        print(json.dumps(found), file=out)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
