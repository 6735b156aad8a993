"""The runtime interface emulator as a process, with a runtime that polls the runtime API."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.emulator import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RIE = Path(__file__).parents[3] / "local" / "base" / "rie.py"
PATH = "/2015-03-31/functions/function/invocations"
# What awslambdaric does, as far as the emulator can tell.
RUNTIME = """
import http.client, json, os, sys

connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def call(method, path, body=None):
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    response = connection.getresponse()
    return response.headers, response.read()


if sys.argv[1] == "broken.handler":
    call("POST", "init/error", json.dumps({"errorType": "Runtime.ImportModuleError"}))
    sys.exit(1)
while True:
    headers, event = call("GET", "invocation/next")
    request = headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(event)
    if event == "die":
        sys.exit(3)
    if event == "raise":
        call("POST", f"invocation/{request}/error", json.dumps({"errorType": "ValueError"}))
        continue
    answer = {
        "event": event,
        "handler": sys.argv[1:],
        "variable": os.environ["_HANDLER"],
        "arn": headers["Lambda-Runtime-Invoked-Function-Arn"],
        "deadline": int(headers["Lambda-Runtime-Deadline-Ms"]),
        "trace": headers["Lambda-Runtime-Trace-Id"],
        "request": request,
    }
    call("POST", f"invocation/{request}/response", json.dumps(answer))
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function behind the emulator."""

    port: int
    process: subprocess.Popen[bytes]

    def __call__(self, event: object) -> dict[str, Any]:
        """Invoke it."""
        deadline = time.monotonic() + 10
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("POST", PATH, json.dumps(event))
                response = connection.getresponse()
                assert response.status == 200
                return dict(json.loads(response.read()))
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            finally:
                connection.close()


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Callable[..., Function]]:
    """Start emulators, and end them with their runtimes after the test."""
    (tmp_path / "awslambdaric.py").write_text(RUNTIME)
    started: list[subprocess.Popen[bytes]] = []

    def start(handler: str = "app.handler", **environment: str) -> Function:
        port = free_port(18000 + os.getpid() % 4000)
        api_port = free_port(port + 1)
        env = {**os.environ, "PYTHONPATH": str(tmp_path), **environment}
        command = [sys.executable, str(RIE), handler, str(port), str(api_port)]
        started.append(subprocess.Popen(command, env=env, start_new_session=True))
        return Function(port, started[-1])

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait(10)


def test_event_in_answer_out(function: Callable[..., Function]) -> None:
    """The event arrives as sent, for the handler that the image names."""
    answer = function()({"x": [1, "ü"]})
    assert answer["event"] == {"x": [1, "ü"]}
    assert (answer["handler"], answer["variable"]) == (["app.handler"], "app.handler")


def test_what_the_runtime_needs_to_know(function: Callable[..., Function]) -> None:
    """Its function's ARN, a trace, and a deadline that follows the function's timeout."""
    call = function(AWS_LAMBDA_FUNCTION_NAME="f", AWS_LAMBDA_FUNCTION_TIMEOUT="20")
    answer = call(None)
    assert answer["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert answer["trace"].startswith("Root=1-")
    assert 10 < answer["deadline"] / 1000 - time.time() <= 20


def test_events_at_the_same_time_get_their_own_answers(function: Callable[..., Function]) -> None:
    """One environment handles one event after the other; nobody gets another's answer."""
    call = function()
    call("warm")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(32)))
    assert list(range(32)) == [answer["event"] for answer in answers]
    assert len({answer["request"] for answer in answers}) == 32


def test_an_error_of_the_function_is_an_answer(function: Callable[..., Function]) -> None:
    """And the next event is answered as if nothing had been."""
    call = function()
    assert call("raise") == {"errorType": "ValueError"}
    assert call(1)["event"] == 1


def test_a_runtime_that_dies_answers_an_error(function: Callable[..., Function]) -> None:
    """Whoever waits and whoever comes later gets an error at once instead of waiting for ever."""
    call = function()
    for event in ("die", 1, 2):
        assert call(event)["errorType"] == "Runtime.ExitError"


def test_a_runtime_that_cannot_start_says_why(function: Callable[..., Function]) -> None:
    """The error of its initialisation is every caller's answer."""
    call = function("broken.handler")
    assert call(1) == {"errorType": "Runtime.ImportModuleError"}
    assert call(2) == {"errorType": "Runtime.ImportModuleError"}


def test_it_ends_when_it_is_told_to(function: Callable[..., Function]) -> None:
    """SIGTERM is heard: a container's first process that does nothing about it goes on."""
    call = function()
    assert call(1)["event"] == 1
    call.process.terminate()
    assert call.process.wait(5) == 0


def test_the_images_ports() -> None:
    """Without arguments they are those of AWS's own emulator, which MiniStack relies on."""
    namespace: dict[str, Any] = {"__name__": "rie"}
    exec(compile(RIE.read_text(), str(RIE), "exec"), namespace)  # noqa: S102 - our own file
    assert namespace["main"].__defaults__ == (8080, 9001)
