"""The work in its order: load, make candidates, score, choose; files as bytes come out."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from convert import answers, bases, data, golden, independence, judge, plot, request, score, trial
from convert.card import Card
from convert.choose import choose
from convert.data import Examples
from convert.errors import DataError, ModelError
from convert.judge import Basis, Judge
from convert.load import Source, load
from convert.metric import Kind
from convert.output import PICTURE
from convert.quiet import quiet
from convert.recipe import AUTO, Recipe
from convert.report import Report
from convert.request import Request
from convert.trial import Trial
from convert.worker import Bench
from convert.workers import Workers

SCHEMA = 1
Say = Callable[[str], None]


def convert(asked: Request, scratch: Path, say: Say) -> dict[str, bytes]:
    """Does what was asked.

    Args:
        asked: The request.
        scratch: A folder to work in.
        say: Gets one line of progress at a time.

    Returns:
        model.tflite, model.json, report.json, report.md and, where anything was compared,
        report.png, by name. The first two are the same bytes for the same request (but where
        latency decides); the reports hold latencies.

    Raises:
        InputError: The model or the data turn out to be wrong.
        BudgetError: No candidate is inside the budget.
    """
    about = asked.card
    source, tried, calibration, judging = _ready(asked, scratch, say)
    with quiet():
        call = answers.one_call(source.signature, judging.inputs if judging else None)
        original_latency = answers.latency_ms(source.original, call)
    folder = scratch / "candidates"
    folder.mkdir()
    bench = Bench(
        signature=source.signature,
        calibration=calibration,
        as_given=source.given is not None,
        judge=judging,
    )
    models, pruned = bases.make(asked, source, scratch, say)
    named = trial.set_up(folder, bench, models)
    with Workers(folder) as workers:
        original_metric = _original_metric(judging, workers)
        candidates = Trial(
            workers=workers,
            bases=named,
            judge=judging,
            original_metric=original_metric,
            budget=asked.budget,
            say=say,
        ).run(tried, rescue=asked.wanted == AUTO and source.given is None)
    if len(candidates) == 1 and candidates[0].error is not None:
        raise ModelError(f"{about.model}: {candidates[0].error}")
    report = Report(
        name=about.name,
        metric=judging.metric if judging else None,
        output=judging.output if judging else None,
        budget=asked.budget,
        prefer=asked.prefer,
        basis=judging.basis if judging else None,
        rows=judging.rows if judging else 0,
        ways=judging.ways if judging else {},
        agreeing=judging.agreeing() if judging else {},
        labels=_labels(about, judging),
        original_size=source.size,
        original_gzip_size=_gzip_size(about.model),
        original_metric=original_metric,
        metric_limit=_metric_limit(asked, judging, original_metric),
        constant_guess=_constant_guess(judging),
        original_latency_ms=original_latency,
        candidates=candidates,
        pruned=pruned,
        not_tried=asked.plan.not_tried if source.given is None else (),
    )
    chosen = choose(candidates, asked.budget, asked.prefer, report.to_markdown(None)).recipe
    content = (folder / f"{chosen}.tflite").read_bytes()
    say(f"chosen: {chosen}")
    with quiet():
        described = _describe(asked, source, chosen, content, _real(judging))
    picture = report.to_picture(chosen)
    files = {
        "model.tflite": content,
        "model.json": _as_json(described),
        "report.json": _as_json(report.to_json(chosen)),
        "report.md": report.to_markdown(chosen).encode(),
    }
    return files if picture is None else files | {PICTURE: plot.draw(picture)}


def check(asked: Request, scratch: Path, say: Say) -> None:
    """Looks at all that is given, as `convert` does before it makes the first candidate.

    Args:
        asked: The request.
        scratch: A folder to work in.
        say: Gets one line of progress at a time.

    Raises:
        InputError: The model or the data turn out to be wrong.
    """
    _ready(asked, scratch, say)


def _ready(
    asked: Request, scratch: Path, say: Say
) -> tuple[Source, tuple[Recipe, ...], Examples | None, Judge | None]:
    """Loads the model, and holds the data and the card against it."""
    about = asked.card
    say(f"loading {about.model}")
    with quiet():
        source = load(about.model, scratch, about.signature)
    request.check_presentation(about, source.signature)
    tried = _tried(asked, source)
    calibration = asked.calibration and data.fit(asked.calibration, source.signature)
    if calibration is not None:
        request.check_scale(about, calibration.path, calibration.inputs)
    bases.check_training(asked, source)
    with quiet():
        judging = judge.prepare(asked, source)
    if judging is not None and judging.basis is Basis.EVALUATION:
        request.check_scale(about, judging.path, judging.inputs)
    return source, tried, calibration, judging


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


def _real(judging: Judge | None) -> Examples | None:
    """Rows that somebody gave."""
    if judging is None or judging.basis is Basis.SYNTHETIC:
        return None
    return Examples(path=judging.path, inputs=judging.inputs, targets=None)


def _original_metric(judging: Judge | None, workers: Workers) -> float | None:
    if judging is None or judging.metric is None:
        return None
    if judging.metric.kind is not Kind.FUNCTION:
        return judging.measure(judging.given)
    [answer] = workers.run([{"do": "original"}])
    if "error" in answer:
        raise DataError(answer["error"])
    value: float = answer["metric"]
    return value


def _labels(about: Card, judging: Judge | None) -> Sequence[str] | None:
    """The card's labels, if there is one for each judged class: they may be another output's."""
    if about.labels is None or judging is None or judging.output is None:
        return None
    fitting = len(about.labels) == score.class_count(judging.given[judging.output])
    return about.labels if fitting else None


def _metric_limit(asked: Request, judging: Judge | None, original: float | None) -> float | None:
    allowed = asked.budget.max_accuracy_drop
    if judging is None or judging.metric is None or judging.targets is None:
        return None
    if original is None or allowed is None:
        return None
    return score.limit(judging.metric, original, allowed, judging.targets)


def _constant_guess(judging: Judge | None) -> float | None:
    if judging is None or judging.metric is None or judging.targets is None:
        return None
    return score.constant_guess(judging.metric, judging.targets)


def _gzip_size(path: Path) -> int:
    files = [path] if path.is_file() else sorted(it for it in path.rglob("*") if it.is_file())
    return sum(len(gzip.compress(file.read_bytes(), mtime=0)) for file in files)


def _describe(
    asked: Request,
    source: Source,
    chosen: Recipe,
    content: bytes,
    examples: Examples | None,
) -> dict[str, Any]:
    about = asked.card
    return {
        "schema": SCHEMA,
        "name": about.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "recipe": chosen,
        "signature": independence.describe(content, source.signature, examples),
        "other_signatures": [
            independence.describe(content, other, None) for other in source.others
        ],
        "labels": None if about.labels is None else list(about.labels),
        "picture": None if about.picture is None else about.picture.to_json(),
        "golden": golden.make(content, source.signature, examples),
        "provenance": {
            "source_sha256": source.sha256,
            "tensorflow": metadata.version("tensorflow"),
            "litert_quantizer": metadata.version("litert-quantizer"),
        },
    }


def _as_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
