"""Part A: five ways to write the handler, each in a container of Lambda's size."""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import answers, containers, images
from bench.cost import usd_per_million
from bench.errors import BenchError, WrongAnswerError
from bench.stats import median, percentile
from local.home import say

if TYPE_CHECKING:
    from bench.images import Kind
    from bench.inputs import Rows
    from bench.models import BenchModel

CLOCK = Path("bench/inside/clock.py")
LOOP = Path("bench/inside/loop.py")
ROUNDS, SLOW_ROUNDS, QUICK_ROUNDS = 12, 3, 2
TURNS = 5  # starts in each of a round's containers, of what starts quickly
WARM_ROUNDS = 5  # those after them are there for their start alone
WARM_CALLS, WARM_SECONDS, QUICK_SECONDS = 500, 1.0, 0.3
LOOP_SECONDS = 4.0
KB_PER_MB = 1000


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
    bare, others = "bare", [kind for kind in kinds if kind.key != "bare"]
    starts: dict[str, list[dict[str, float]]] = {kind.key: [] for kind in kinds}
    warm: dict[str, list[dict[str, Any]]] = {kind.key: [] for kind in kinds}
    rounds = QUICK_ROUNDS if quick else ROUNDS
    given = {"event.json": json.dumps(event(model, model.inputs[0])).encode()}
    for number in range(rounds):
        say(f"handlers, {model.name}: round {number + 1} of {rounds}")
        seconds = 0.0 if number >= WARM_ROUNDS else QUICK_SECONDS if quick else WARM_SECONDS
        here = [kind for kind in kinds if not (kind.slow and number >= SLOW_ROUNDS)]
        with ExitStack() as stack:
            # All are there before any is started: a container that is made meanwhile would disturb.
            programs = {
                kind.key: stack.enter_context(
                    containers.opened(
                        *(built[kind.key, model.name], CLOCK, given),
                        *(kind.handler, "{}/event.json", str(WARM_CALLS), str(seconds)),
                    )
                )
                for kind in here
            }
            for turn in range(TURNS):
                before = programs[bare].ask("start")
                for kind in others:
                    if kind not in here or (kind.slow and turn):
                        continue
                    found = programs[kind.key].ask("start")
                    after = programs[bare].ask("start")
                    floor = (before["start_ms"] + after["start_ms"]) / 2
                    starts[kind.key].append(found | {"beyond_bare_ms": found["start_ms"] - floor})
                    starts[bare].append(after | {"beyond_bare_ms": 0.0})
                    before = after
            for kind in here:
                answered = programs[kind.key].ask("warm")
                _check(kind, model, answered)
                warm[kind.key].append(answered)
    return {kind.key: _summary(starts[kind.key], warm[kind.key]) for kind in kinds}


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


def _summary(starts: list[dict[str, float]], warm: list[dict[str, Any]]) -> dict[str, Any]:
    def each(name: str) -> list[float]:
        return [start[name] for start in starts]

    calls = [time for found in warm[:WARM_ROUNDS] for time in found["warm_ms"]]
    return {
        "start_ms": median(each("start_ms")),
        "beyond_bare_ms": median(each("beyond_bare_ms")),
        "start_cpu_ms": median(each("start_cpu_ms")),
        "start_ms_each": [round(start, 2) for start in each("start_ms")],
        "warm_p50_ms": median(calls),
        "warm_p99_ms": percentile(calls, 99),
        "warm_calls": len(calls),
        "peak_rss_mb": max(found["peak_rss_kb"] for found in warm) * 1024 / 1e6,
        "usd_per_million": usd_per_million(calls, each("start_ms")),
    }


def _loop(model: BenchModel, image: str, *, quick: bool) -> dict[str, Any]:
    """The handler alone, in turns with the bare C call."""
    say(f"handlers, {model.name}: handler(event) and the bare C call in turns")
    given = json.dumps(event(model, model.inputs[0])).encode()
    seconds = QUICK_SECONDS if quick else LOOP_SECONDS
    files = {"event.json": given}
    with containers.opened(image, LOOP, files, "{}/event.json", str(seconds)) as program:
        found = program.ask()
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
