"""A runtime interface emulator: what AWS's own base images carry, for an image made without them.

It starts the function's runtime (awslambdaric), hands it one event at a time through the Lambda
runtime API on 127.0.0.1:9001, and takes events on port 8080 like the emulator in AWS's images:
POST /2015-03-31/functions/function/invocations. Standard library only, Python 3.11 and later.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INVOCATION = "/2018-06-01/runtime/invocation/"
GONE = ("Runtime.ExitError", "the runtime ended before it answered; see the container's log")


class Exchange:
    """Events waiting for the runtime, and the answers that callers wait for."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: dict[str, queue.Queue[bytes]] = {}
        self.failure: bytes | None = None

    def ask(self, event: bytes) -> bytes:
        """Give one event to the runtime and wait for its answer."""
        request_id = str(uuid.uuid4())
        waiting = self.answers[request_id] = queue.Queue[bytes]()
        # Looked at only now: a runtime that fails from here on finds this caller in `answers`.
        if self.failure is None:
            self.events.put((request_id, event))
        answer = self.failure or waiting.get()
        del self.answers[request_id]
        return answer

    def answer(self, request_id: str, body: bytes) -> None:
        """Hand an answer to the caller who waits for it."""
        if request_id in self.answers:
            self.answers[request_id].put(body)

    def fail(self, body: bytes) -> None:
        """Answer every caller, now and later: the runtime will not."""
        self.failure = self.failure or body
        for waiting in list(self.answers.values()):
            waiting.put(self.failure)


class Handler(BaseHTTPRequestHandler):
    """What both ports share."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: held back for the first one's receipt, the second costs 40 ms.
    disable_nagle_algorithm = True
    exchange: Exchange

    def log_message(self, *_: object) -> None:
        """Say nothing: the container's log belongs to the function."""

    def body(self) -> bytes:
        """The request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send one answer; the native runtime client crashes when these headers are missing."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class RuntimeApi(Handler):
    """The side that the runtime talks to."""

    def do_GET(self) -> None:
        """Hand out the next event."""
        request_id, event = self.exchange.events.get()
        name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "function")
        timeout = float(os.environ.get("AWS_LAMBDA_FUNCTION_TIMEOUT") or 300)
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": os.environ.get("_LAMBDA_FUNCTION_ARN")
            or f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
        }
        self.reply(200, event, headers)

    def do_POST(self) -> None:
        """Take an answer, an error, or the news that the runtime cannot start."""
        body = self.body()
        if self.path == "/2018-06-01/runtime/init/error":
            self.exchange.fail(body)
        elif self.path.startswith(INVOCATION):
            self.exchange.answer(self.path[len(INVOCATION) :].partition("/")[0], body)
        self.reply(202, b"{}")


class Invocations(Handler):
    """The side that invokes."""

    def do_POST(self) -> None:
        """Run the function on one event."""
        self.reply(200, self.exchange.ask(self.body()))


def main(handler: str, port: int = 8080, api_port: int = 9001) -> None:
    """Take events on `port` and give them to the runtime on `api_port`, for as long as it takes."""
    Handler.exchange = exchange = Exchange()
    api = ThreadingHTTPServer(("127.0.0.1", api_port), RuntimeApi)
    invocations = ThreadingHTTPServer(("0.0.0.0", port), Invocations)  # noqa: S104 - a container
    for server in (api, invocations):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{api_port}"
    environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": address, "_HANDLER": handler}
    runtime = subprocess.Popen([sys.executable, "-m", "awslambdaric", handler], env=environment)
    runtime.wait()
    exchange.fail(json.dumps({"errorType": GONE[0], "errorMessage": GONE[1]}).encode())
    # Stay up to say so: a container that vanishes leaves its caller with a broken connection.
    threading.Event().wait()


if __name__ == "__main__":
    # A container's first process does not die of SIGTERM by itself: whoever stops it would wait.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    main(sys.argv[1], *map(int, sys.argv[2:4]))
