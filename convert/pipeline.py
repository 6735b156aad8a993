"""The work in its order: load, quantize, score, choose; files as bytes come out."""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from convert import data, golden, quantize, request, score
from convert.choose import Candidate, choose
from convert.data import Examples
from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.load import Source, load
from convert.metric import Metric, Task
from convert.quiet import quiet
from convert.recipe import Recipe
from convert.report import Report, progress
from convert.request import Request

SCHEMA = 1
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """The evaluation data, and what the original made of it."""

    examples: Examples
    task: Task
    metric: Metric
    max_drop: float
    given: score.Array
    targets: score.Array
    value: float


def convert(asked: Request, scratch: Path, say: Say) -> dict[str, bytes]:
    """Does what was asked.

    Args:
        asked: The request.
        scratch: A folder to work in.
        say: Gets one line of progress at a time.

    Returns:
        model.tflite, model.json, report.json and report.md, by name. The first two are the same
        bytes for the same request; the reports hold latencies.

    Raises:
        InputError: The model or the data turn out to be wrong.
        BudgetError: No candidate is inside the budget.
    """
    about = asked.card
    say(f"loading {about.model}")
    with quiet():
        source = load(about.model, scratch, about.signature)
    request.check_presentation(about, source.signature)
    calibration = asked.calibration and data.fit(asked.calibration, source.signature)
    with quiet():
        judge = _judge(asked, source)
        call = score.one_call(source.signature, judge.examples if judge else calibration)
        original_latency = score.latency_ms(source.original, call)
    metric = judge.metric if judge else None
    candidates = []
    tried = _tried(asked, source)
    for number, recipe in enumerate(tried, 1):
        with quiet():
            candidate = _candidate(source, recipe, calibration, judge, call)
        say(f"[{number}/{len(tried)}] {progress(candidate, metric)}")
        candidates.append(candidate)
    if len(candidates) == 1 and candidates[0].error is not None:
        raise ModelError(f"{about.model}: {candidates[0].error}")
    report = Report(
        name=about.name,
        metric=metric,
        max_drop=asked.budget.max_accuracy_drop if judge else None,
        rows=judge.examples.rows if judge else 0,
        original_size=source.size,
        original_metric=judge.value if judge else None,
        original_latency_ms=original_latency,
        candidates=candidates,
        not_tried=asked.plan.not_tried if source.given is None else (),
    )
    chosen, content = choose(
        candidates, asked.budget.max_accuracy_drop or 0.0, report.to_markdown(None)
    )
    say(f"chosen: {chosen}")
    with quiet():
        question = golden.make(content, source.signature, judge.examples if judge else calibration)
    return {
        "model.tflite": content,
        "model.json": _as_json(_describe(asked, source, chosen, content, question)),
        "report.json": _as_json(report.to_json(chosen)),
        "report.md": report.to_markdown(chosen).encode(),
    }


def _tried(asked: Request, source: Source) -> tuple[Recipe, ...]:
    """Settles the recipes: a file that was quantized before is taken as it is, or not at all."""
    if source.given is None:
        return asked.plan.tried
    if len(asked.plan.tried) == 1 and asked.plan.tried[0] != source.given:
        raise ModelError(
            f"{asked.card.model}: already quantized (it looks like {source.given}), and "
            f"{asked.plan.tried[0]} was asked for: numbers once rounded cannot be given back; "
            "convert the float32 model, or leave --recipe out to judge this file as it is"
        )
    return (source.given,)


def _judge(asked: Request, source: Source) -> _Judge | None:
    if asked.evaluation is None:
        return None
    examples = data.fit(asked.evaluation, source.signature)
    task, metric = request.judged_by(asked.card, score.task_of(examples))
    given = score.answers(source.original, examples, source.signature)
    if not np.isfinite(given).all():
        raise ModelError(f"{asked.card.model}: answers NaN or infinite on the evaluation data")
    targets = score.check_targets(examples, task, given)
    return _Judge(
        examples=examples,
        task=task,
        metric=metric,
        max_drop=asked.budget.max_accuracy_drop or 0.0,
        given=given,
        targets=targets,
        value=score.measure(metric, given, targets),
    )


def _candidate(
    source: Source,
    recipe: Recipe,
    calibration: Examples | None,
    judge: _Judge | None,
    call: dict[str, score.Array] | None,
) -> Candidate:
    try:
        content = source.float_model
        if source.given is None:
            content = quantize.quantize(content, source.signature, recipe, calibration)
        model = LiteRtModel(content, source.signature)
        latency = score.latency_ms(model.run, call)
        given = score.answers(model.run, judge.examples, source.signature) if judge else None
    except ModelError as error:
        return Candidate(recipe=recipe, error=str(error))
    compressed = len(gzip.compress(content, mtime=0))
    if judge is None or given is None:
        return Candidate(recipe=recipe, content=content, gzip_size=compressed, latency_ms=latency)
    if not np.isfinite(given).all():
        return Candidate(recipe=recipe, error="answers NaN or infinite on the evaluation data")
    value = score.measure(judge.metric, given, judge.targets)
    lost = score.drop(judge.metric, judge.value, value, judge.targets)
    return Candidate(
        recipe=recipe,
        content=content,
        gzip_size=compressed,
        metric=value,
        drop=lost,
        agreement=score.agreement(judge.task, judge.given, given),
        latency_ms=latency,
        # One part in 10^9 forgives what subtracting two shares loses, never a row.
        inside_budget=lost <= judge.max_drop + 1e-9,
    )


def _describe(
    asked: Request,
    source: Source,
    chosen: Recipe,
    content: bytes,
    question: dict[str, Any] | None,
) -> dict[str, Any]:
    about = asked.card
    return {
        "schema": SCHEMA,
        "name": about.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "recipe": chosen,
        "signature": source.signature.to_json(),
        "other_signatures": [other.to_json() for other in source.others],
        "labels": None if about.labels is None else list(about.labels),
        "picture": None if about.picture is None else about.picture.to_json(),
        "golden": question,
        "provenance": {
            "source_sha256": source.sha256,
            "tensorflow": metadata.version("tensorflow"),
            "litert_quantizer": metadata.version("litert-quantizer"),
        },
    }


def _as_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
