"""Part A: five ways to write the handler, each in a container of Lambda's size."""

from __future__ import annotations

import base64
import json
import mmap
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import answers, containers, images
from bench.cost import usd_per_million
from bench.errors import BenchError, WrongAnswerError
from bench.stats import median, percentile
from local.home import say

if TYPE_CHECKING:
    from bench.containers import Program
    from bench.images import Kind
    from bench.inputs import Rows
    from bench.models import BenchModel

CLOCK = Path("bench/inside/clock.py")
LOOP = Path("bench/inside/loop.py")
ROUNDS, SLOW_ROUNDS, QUICK_ROUNDS = 24, 3, 2
WARM_ROUNDS = 5  # those after them are there for their start alone
WARM_CALLS, WARM_SECONDS, QUICK_SECONDS = 500, 1.0, 0.3
LOOP_SECONDS = 4.0
MEMORY_BYTES = 128 << 20
_ONES = b"\1" * (1 << 20)


def measure(models: list[BenchModel], *, quick: bool = False) -> dict[str, Any]:
    """Measure every kind with every model.

    Args:
        models: What they serve.
        quick: Two rounds, and nothing with TensorFlow: to see whether it works.

    Returns:
        `images`: megabytes by kind and model; `starts`: by model and kind; `loops`: by model.

    Raises:
        BenchError: Something is missing, or a candidate failed.
        DockerError: Docker refused.
    """
    kinds = [kind for kind in images.KINDS if not (quick and kind.slow)]
    built = {(kind.key, m.name): images.build(kind, m) for m in models for kind in kinds}
    digits = next(model for model in models if model.name == "digits")
    ours = next(kind for kind in kinds if kind.key == "ours")
    with_pillow = images.build(ours, digits, pillow=True)
    return {
        "images": {
            "base_mb": images.megabytes(images.base_image()),
            "ours_with_pillow_mb": images.megabytes(with_pillow),
            **{f"{key}_{name}_mb": images.megabytes(tag) for (key, name), tag in built.items()},
        },
        "starts": {model.name: _starts(model, kinds, built, quick=quick) for model in models},
        "loops": {
            model.name: _loop(model, built["ours", model.name], quick=quick) for model in models
        },
    }


def event(model: BenchModel, rows: Rows) -> dict[str, Any]:
    """What API Gateway hands to the function: JSON for digits, raw tensors for MobileNetV2."""
    path = f"/v1/models/{model.name}:predict"
    media = "application/octet-stream" if model.raw else "application/json"
    body = (
        base64.b64encode(rows.tobytes()).decode()
        if model.raw
        else json.dumps({"instances": rows.tolist()})
    )
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"accept": media, "content-type": media, "user-agent": "bench"},
        "requestContext": {
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1"},
            "requestId": "bench",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": model.raw,
    }


def _starts(
    model: BenchModel, kinds: list[Kind], built: dict[tuple[str, str], str], *, quick: bool
) -> dict[str, Any]:
    """Starts of all kinds in turns, each between two of the bare handler.

    The machine's speed may change by half within seconds; what a start takes beyond the bare one is
    its difference from the mean of its two neighbours, and of all those the median.
    """
    bare = next(kind for kind in kinds if kind.key == "bare")
    runs: dict[str, list[dict[str, Any]]] = {kind.key: [] for kind in kinds}
    rounds = QUICK_ROUNDS if quick else ROUNDS
    given = {"event.json": json.dumps(event(model, model.inputs[0])).encode()}
    for number in range(rounds):
        say(f"handlers, {model.name}: round {number + 1} of {rounds}")
        seconds = 0.0 if number >= WARM_ROUNDS else QUICK_SECONDS if quick else WARM_SECONDS
        order = [bare]
        for kind in kinds:
            if kind is not bare and not (kind.slow and number >= SLOW_ROUNDS):
                order += [kind, bare]
        found = _round([(kind, built[kind.key, model.name]) for kind in order], given, seconds)
        for kind, one in zip(order, found, strict=True):
            _check(kind, model, one)
            runs[kind.key].append(one)
        for before, one, after in zip(found[::2], found[1::2], found[2::2], strict=False):
            one["beyond_bare_ms"] = one["start_ms"] - (before["start_ms"] + after["start_ms"]) / 2
    return {key: _summary(found) for key, found in runs.items()}


def _round(
    order: list[tuple[Kind, str]], given: dict[str, bytes], seconds: float
) -> list[dict[str, Any]]:
    """A start of each kind and image, each in a container of its own; then what they do warm."""
    with ExitStack() as stack:
        # All wait for their first line before any is started: a container that is made meanwhile
        # would disturb, and starts within a second of each other find one machine.
        programs = [
            stack.enter_context(
                containers.opened(
                    *(image, CLOCK, given),
                    *(kind.handler, "{}/event.json", str(WARM_CALLS), str(seconds)),
                )
            )
            for kind, image in order
        ]
        starts = [_start(program) for program in programs]
        return [start | program.go_on() for start, program in zip(starts, programs, strict=True)]


def _start(program: Program) -> dict[str, Any]:
    """A start that finds free memory of the machine's own.

    A virtual machine may have given its free memory back to the host, and then waits long for each
    page of it that is written to: MobileNetV2 took three times as long to start on such a one, or
    did not, as chance would have it. So as much as a start may want is written to here, and freed.
    """
    # Private, for the same large pages to come back that the starts ask for.
    with mmap.mmap(-1, MEMORY_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        with suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
        for start in range(0, MEMORY_BYTES, len(_ONES)):
            memory[start : start + len(_ONES)] = _ONES
    return program.go_on()


def _check(kind: Kind, model: BenchModel, found: dict[str, Any]) -> None:
    for text in found["answers"]:
        answer = json.loads(text)
        if answer.get("statusCode") != 200:  # noqa: PLR2004
            said = found["stderr"].strip().splitlines()
            raise BenchError(f"{kind.key}, {model.name}: {text[:300]} {said[-1] if said else ''}")
        if kind.model_file is None and kind.key != "ours":
            continue
        answers.check(kind.title, read_event_answer(answer), model.expected[0])


def read_event_answer(answer: dict[str, Any]) -> Rows:
    """The numbers in what a handler gave back.

    Raises:
        WrongAnswerError: There are none.
    """
    body = answer["body"].encode()
    if answer.get("isBase64Encoded"):
        body = base64.b64decode(body)
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return answers.read(body, headers.get("content-type", ""))


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    starts = [run["start_ms"] for run in runs]
    warm = [time for run in runs[:WARM_ROUNDS] for time in run["warm_ms"]]
    return {
        "start_ms": median(starts),
        "beyond_bare_ms": median([run.get("beyond_bare_ms", 0.0) for run in runs]),
        "start_cpu_ms": median([run["start_cpu_ms"] for run in runs]),
        "start_ms_each": [round(start, 2) for start in starts],
        "warm_p50_ms": median(warm),
        "warm_p99_ms": percentile(warm, 99),
        "warm_calls": len(warm),
        "peak_rss_mb": max(run["peak_rss_kb"] for run in runs) * 1024 / 1e6,
        "usd_per_million": usd_per_million(warm, starts),
    }


def _loop(model: BenchModel, image: str, *, quick: bool) -> dict[str, Any]:
    """The handler alone, in turns with the bare C call."""
    say(f"handlers, {model.name}: handler(event) and the bare C call in turns")
    given = json.dumps(event(model, model.inputs[0])).encode()
    seconds = QUICK_SECONDS if quick else LOOP_SECONDS
    files = {"event.json": given}
    with containers.opened(image, LOOP, files, "{}/event.json", str(seconds)) as program:
        found = program.go_on()
    answer = json.loads(found["answer"])
    if answer.get("statusCode") != 200:  # noqa: PLR2004
        raise WrongAnswerError(f"handler(event) answered {answer}")
    answers.check("handler(event)", read_event_answer(answer), model.expected[0])
    handler, bare = median(found["handler_ms"]), median(found["bare_ms"])
    return {
        "handler_p50_ms": handler,
        "handler_p99_ms": percentile(found["handler_ms"], 99),
        "bare_call_p50_ms": bare,
        "calls": len(found["handler_ms"]),
        "times_bare_call": handler / bare,
    }
