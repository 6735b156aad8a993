"""Part B: four servers, loaded in turns and again, eight connections, all cores."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import answers, load, processes, yardstick
from bench.contenders import CONTENDERS
from bench.errors import BenchError, WrongAnswerError
from bench.stats import median
from local.home import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contenders import Contender
    from bench.models import BenchModel

REPETITIONS, QUICK_REPETITIONS = 3, 1
WARM_UP_SECONDS, TRIAL_SECONDS = 2, 2
READY_SECONDS = 90.0
# The machine's speed changes within seconds: each server's load is cut into parts, and all servers
# get one part after the other, ours beside each peer's. Those that wait are halted: their timers
# alone take up to 1 % of both cores. Of shorter parts, beginning and end are 1 %.
PARTS, PART_SECONDS = 8, 2
LEFT_SECONDS = 0.2  # in which a server notices that the clients of its part are gone
POLL_SECONDS = 0.005
OK = 200


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers right.

    Attributes:
        pid: The root of its process tree.
        url: Where the model is asked.
        media: Content type of the requests.
        requests: One body for each of the model's inputs.
        expected: The right answers, as this server writes them.
        ready_s: From its start to its first right answer.
    """

    pid: int
    url: str
    media: str
    requests: list[bytes]
    expected: list[bytes]
    ready_s: float

    def load(self, seconds: int) -> dict[str, Any]:
        """Ask it as fast as it answers: see `load.run`. Before and after that it is halted."""
        processes.go_on(self.pid)
        try:
            return load.run(self.url, self.media, self.requests, self.expected, seconds)
        finally:
            time.sleep(LEFT_SECONDS)
            processes.halt(self.pid)


def measure(models: list[BenchModel], *, quick: bool = False) -> dict[str, Any]:
    """Measure every server with every model.

    Args:
        models: What they serve.
        quick: One repetition, no trial of variants: to see whether it works.

    Returns:
        By model and server: its variant, each repetition and the medians.

    Raises:
        BenchError: Something is missing, or a server failed.
        WrongAnswerError: A server answered wrong.
    """
    load.ensure()
    return {model.name: _measure(model, quick=quick) for model in models}


def _measure(model: BenchModel, *, quick: bool) -> dict[str, Any]:
    tried = {c.key: _trials(c, model) if not quick else {} for c in CONTENDERS}
    chosen = {
        c.key: max(tried[c.key], key=lambda name: tried[c.key][name], default=c.variants[0])
        for c in CONTENDERS
    }
    runs: dict[str, list[dict[str, Any]]] = {c.key: [] for c in CONTENDERS}
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    for number in range(repetitions):
        say(f"servers, {model.name}: repetition {number + 1} of {repetitions}")
        for contender, found in _repetition(model, chosen).items():
            runs[contender.key].append(found)
            say(f"  {contender.title}: {found['per_second']:,.0f}/s, p99 {found['p99_ms']:.1f} ms")
            if "share_of_cores" in found:
                share, bare = found["share_of_cores"], found["bare_calls_share"]
                say(f"    {share:.1%} of the cores; two bare calls at once {bare:.1%}")
    return {
        "servers": {
            c.key: {
                "title": c.title,
                "version": c.version,
                "variant": chosen[c.key],
                "variants_tried": tried[c.key],
                "median": _medians(runs[c.key]),
                "each": runs[c.key],
            }
            for c in CONTENDERS
        },
    }


def _trials(contender: Contender, model: BenchModel) -> dict[str, float]:
    """Requests a second of each variant, where there is a choice."""
    if len(contender.variants) == 1:
        return {}
    say(f"servers, {model.name}: which setting of {contender.title} is the faster one?")
    return {variant: _try(contender, model, variant) for variant in contender.variants}


def _try(contender: Contender, model: BenchModel, variant: str) -> float:
    with _running(contender, model, variant) as server:
        server.load(WARM_UP_SECONDS)
        found = server.load(TRIAL_SECONDS)
    return float(found["requests"] / found["seconds"])


def _repetition(model: BenchModel, chosen: dict[str, str]) -> dict[Contender, dict[str, Any]]:
    """One start and one warm-up of each server, then loads in turns, then the end of all."""
    # Of a small model the bare call says little: what is around it is most of the work.
    compared = model.raw
    with ExitStack() as stack:
        servers = {c: stack.enter_context(_running(c, model, chosen[c.key])) for c in CONTENDERS}
        loads = {c: [server.load(WARM_UP_SECONDS)] for c, server in servers.items()}
        used = dict.fromkeys(CONTENDERS, 0.0)
        looks: dict[Contender, list[tuple[float, float]]] = {c: [] for c in CONTENDERS}
        look = yardstick.alone_ms(model) if compared else 0.0
        at_once: list[float] = []
        ours, *peers = CONTENDERS
        for _ in range(PARTS):
            for contender in (c for peer in peers for c in (ours, peer)):
                server = servers[contender]
                before = processes.cpu_seconds(server.pid)
                loads[contender].append(server.load(PART_SECONDS))
                used[contender] += processes.cpu_seconds(server.pid) - before
                if compared:
                    looks[contender].append((look, look := yardstick.alone_ms(model)))
            if compared:
                at_once.append(look / yardstick.together_ms(model))
        memory = {c: processes.memory_mb(server.pid) for c, server in servers.items()}
    return {
        c: _found(c, model, loads[c], looks[c], at_once)
        | {"cpu_ms_per_request": used[c] * 1000 / sum(part["requests"] for part in loads[c][1:])}
        | {"pss_mb": memory[c][0], "rss_mb": memory[c][1], "ready_s": server.ready_s}
        for c, server in servers.items()
    }


def _found(
    contender: Contender,
    model: BenchModel,
    loads: list[dict[str, Any]],
    looks: list[tuple[float, float]],
    at_once: list[float],
) -> dict[str, Any]:
    """What a warm-up and the loads after it say.

    With the bare call before and after each load, and what two such calls at once reach meanwhile.
    """
    warm, *parts = loads
    found = load.together(parts)
    if not found["requests"]:
        raise BenchError(f"{contender.title}, {model.name}: no answer to {len(parts)} loads")
    share: dict[str, Any] = {}
    if looks:
        counts = [(part["requests"], part["seconds"]) for part in parts]
        share["share_of_cores"] = yardstick.share_of_cores(counts, looks)
        share["bare_calls_share"] = median(at_once)
        share["alone_ms"] = median([ms for pair in looks for ms in pair])
    return {
        "per_second": found["requests"] / found["seconds"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "max_ms": found["max_ms"],
        "requests": found["requests"],
        "wrong": found["wrong"] + warm["wrong"],
        "failed": found["failed"] + warm["failed"],
        "load_cpu_ms_per_request": found["cpu_seconds"] * 1000 / found["requests"],
        **share,
    }


@contextmanager
def _running(contender: Contender, model: BenchModel, variant: str) -> Iterator[Running]:
    encoded = [contender.encode(model, rows) for rows in model.inputs]
    requests, media = [body for body, _ in encoded], encoded[0][1]
    path, port = contender.path(model), _free_port()
    with tempfile.TemporaryDirectory(prefix="thimble-bench-") as folder:
        started = contender.start(model, port, variant, Path(folder))
        log = Path(folder, "bench.log")
        with log.open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                started.command,
                cwd=started.folder,
                env={**os.environ, **started.environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait(contender, model, process, port, log)
            expected = [_right(contender, model, port, media, 0, requests[0])]
            ready = time.perf_counter() - began
            expected += [
                _right(contender, model, port, media, number, requests[number])
                for number in range(1, len(requests))
            ]
            _check_together(contender, port, path, media, requests, expected)
            yield Running(
                pid=process.pid,
                url=f"http://127.0.0.1:{port}{path}",
                media=media,
                requests=requests,
                expected=expected,
                ready_s=ready,
            )
        finally:
            processes.stop(process.pid)
            process.wait()


def _wait(
    contender: Contender,
    model: BenchModel,
    process: subprocess.Popen[bytes],
    port: int,
    log: Path,
) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if _ask(port, "GET", contender.health.format(model.name))[0] == OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(POLL_SECONDS)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise BenchError(
        f"{contender.title} was not ready after {READY_SECONDS:.0f} s or ended: "
        f"{lines[-1] if lines else 'it printed nothing'}"
    )


def _right(
    contender: Contender, model: BenchModel, port: int, media: str, number: int, body: bytes
) -> bytes:
    """A server's answer to one input, after a look at the numbers in it."""
    status, kind, answer = _ask(port, "POST", contender.path(model), body, media)
    if status != OK:
        raise WrongAnswerError(f"{contender.title}, {model.name}: {status} {answer[:300]!r}")
    answers.check(contender.title, answers.read(answer, kind), model.expected[number])
    return answer


def _check_together(
    contender: Contender,
    port: int,
    path: str,
    media: str,
    requests: list[bytes],
    expected: list[bytes],
) -> None:
    """All inputs from eight connections at once: each must get its own answer."""

    def ask_all(seed: int) -> int:
        order = list(range(len(requests)))
        random.Random(seed).shuffle(order)  # noqa: S311 - no secret
        return sum(_ask(port, "POST", path, requests[n], media)[2] != expected[n] for n in order)

    with ThreadPoolExecutor(load.CONNECTIONS) as pool:
        wrong = sum(pool.map(ask_all, range(load.CONNECTIONS)))
    if wrong:
        raise WrongAnswerError(
            f"{contender.title} mixed up {wrong} of {load.CONNECTIONS * len(requests)} answers "
            f"to {load.CONNECTIONS} connections"
        )


def _ask(
    port: int, method: str, path: str, body: bytes | None = None, media: str = ""
) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"content-type": media, "accept": media} if media else {}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers.get("content-type", ""), response.read()
    finally:
        connection.close()


def _medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {key: median([run[key] for run in runs]) for key in runs[0]}


def _free_port() -> int:
    """A port that is free, as are the two above it."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except (OSError, OverflowError):
                continue
            return port
