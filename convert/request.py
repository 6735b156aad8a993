"""What is asked for: a card's values, with the command line's over them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from convert import card, data, metric, recipe, screen
from convert.budget import DEFAULT_MAX_DROP, UNLIMITED, Budget, Prefer
from convert.card import Card, Picture
from convert.data import Examples
from convert.errors import CardError, ModelError, OptionError
from convert.metric import DEFAULTS, Kind, Metric, Task
from convert.recipe import Plan
from convert.signature import FREE, Signature

_CHANNELS = {"gray": 1, "rgb": 3}
# Shares of a scale: noise may go so far beyond it, and no data are so dull.
_BEYOND, _NARROW = 0.25, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line's say; None leaves a thing to the card.

    Attributes:
        recipe: A recipe's name, or `auto`.
        signature: See `convert.card.Card`, as all below.
        calibration: A file or folder.
        evaluation: A file.
        training: A file.
        metric: As a card would have it; a function's module is looked for beside the card, or in
            the working directory where there is no card.
        lower_is_better: Whether less of a metric of the user's own is better.
        budget: Limits; each wins over the card's, and leaves the others standing.
        prefer: Size or latency.
    """

    recipe: str = recipe.AUTO
    signature: str | None = None
    calibration: Path | None = None
    evaluation: Path | None = None
    training: Path | None = None
    metric: str | None = None
    lower_is_better: bool = False
    budget: Budget = UNLIMITED
    prefer: Prefer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A conversion, checked as far as that goes without TensorFlow.

    Attributes:
        card: What is known about the model, the command line's say included; made up from the
            file's name where there is no card.
        wanted: A recipe's name, or `auto`.
        plan: The recipes to try.
        calibration: Example inputs, or None.
        evaluation: Held-out inputs and targets, or None.
        training: Inputs and targets to fine-tune on, or None.
        budget: The limits, the default one included where it applies.
        prefer: Which candidate inside the budget is taken.
    """

    card: Card
    wanted: str
    plan: Plan
    calibration: Examples | None
    evaluation: Examples | None
    training: Examples | None
    budget: Budget
    prefer: Prefer


def build(model: Path, options: Options, fetched: Mapping[str, Path] | None = None) -> Request:
    """Puts a request together and reads all files but the model itself.

    Args:
        model: A model, a card, or the folder that holds a card.
        options: What the command line says.
        fetched: Where S3 addresses in the card lie on this machine.

    Raises:
        InputError: Anything is missing or wrong; see `convert.errors`.
    """
    about = _merged(_card_for(model, fetched or {}), options, model)
    kind = screen.kind_of(about.model)
    plan = recipe.plan(
        options.recipe,
        calibrated=about.calibration is not None,
        trained=about.training is not None,
        prunable=kind in (screen.Kind.KERAS, screen.Kind.H5),
    )
    limits = _limits(about, wanted=options.recipe)
    if about.metric is not None and about.metric.function is not None:
        metric.check_function(about.metric.function)
    return Request(
        card=about,
        wanted=options.recipe,
        plan=plan,
        calibration=_read(about.calibration, with_targets=False, picture=about.picture),
        evaluation=_read(about.evaluation, with_targets=True),
        training=_read(about.training, with_targets=True),
        budget=limits,
        prefer=about.prefer or Prefer.SIZE,
    )


def _read(
    path: Path | None, *, with_targets: bool, picture: Picture | None = None
) -> Examples | None:
    if path is None:
        return None
    return data.read(path, with_targets=with_targets, picture=picture)


def judged_by(about: Card, output: str, found: Task) -> tuple[Task, Metric]:
    """Settles task and metric: the card's, else what the metric or the targets look like.

    Args:
        about: The card.
        output: Whose targets there are.
        found: What they look like.

    Raises:
        CardError: The card's metric does not fit.
    """
    scored = about.metric
    task = about.task_of(output) or (scored.task if scored else None) or found
    scored = scored or DEFAULTS[task]
    if scored.task not in (None, task):
        raise CardError(f"metric: {scored} does not fit task {task}, which {card.fitting(task)}")
    return task, scored


def check_presentation(about: Card, signature: Signature) -> None:
    """Holds the card's tasks, labels and picture against the model.

    Raises:
        CardError: A task is of no output, there are more or fewer labels than scores, or pictures
            have another size.
    """
    outputs = [spec.name for spec in signature.outputs]
    for name in about.tasks:
        if name not in outputs:
            raise CardError(
                f"task: the model has no output {name!r}: expected some of {', '.join(outputs)}"
            )
    if about.labels is not None and len(signature.outputs) == 1:
        shape = signature.outputs[0].shape
        scores = shape[-1] if shape else FREE
        if scores != FREE and len(about.labels) != max(scores, 2):
            has = f"{scores} scores: expected one label for each"
            if scores == 1:
                has = "one score, the probability of the second of two labels: expected both"
            raise CardError(
                f"labels: {len(about.labels)} given, but {signature.outputs[0].name!r} has {has}"
            )
    if about.picture is not None:
        _check_picture(about.picture, signature)


def _check_picture(picture: Picture, signature: Signature) -> None:
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise CardError(f"picture: the model has several inputs ({names}): expected one")
    taken = signature.inputs[0]
    made = [picture.height, picture.width, _CHANNELS[picture.color]]
    fits = any(
        len(taken.shape) == len(form) + 1
        and all(size in (FREE, at) for size, at in zip(taken.shape[1:], form, strict=True))
        for form in ([made, made[:2]] if picture.color == "gray" else [made])
    )
    if not fits:
        raise CardError(
            f"picture: {picture.width} x {picture.height} {picture.color} makes rows of shape "
            f"{made}, but {taken.name!r} takes {list(taken.shape[1:])}"
        )


def check_scale(about: Card, path: Path, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
    """Holds the numbers of some data against those that pictures become.

    Args:
        about: The card.
        path: Where the data come from, for messages.
        inputs: The model's one input, where the card has a picture.

    Raises:
        CardError: They are of another scale, so that the API would hand the model other numbers
            than those that it is judged by.
    """
    if about.picture is None:
        return
    low, high = sorted(about.picture.range)
    [rows] = inputs.values()
    least, most = float(rows.min()), float(rows.max())
    width = high - low
    beyond = max(low - least, most - high) > _BEYOND * width
    if beyond or 0 < most - least < _NARROW * width:
        raise CardError(
            f"picture.range: [{low:g}, {high:g}] is what pixels become, and {path} has "
            f"{least:g} to {most:g}: expected one scale, the one that the model was trained on"
        )


def _card_for(model: Path, fetched: Mapping[str, Path]) -> Card:
    found = card.find(model)
    if found is not None:
        return card.read(found, fetched)
    if model.is_dir() and not (model / "saved_model.pb").exists():
        raise ModelError(
            f"{model}: a folder with neither {card.FILE_NAME} nor saved_model.pb in it"
        )
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", model.resolve().stem)[:64].strip("-")
    return Card(name=name or "model", model=model)


def _merged(about: Card, options: Options, model: Path) -> Card:
    """Puts the command line's say over the card's."""
    scored = about.metric
    if options.metric is not None:
        found = card.find(model)
        scored = metric.parse(options.metric, found.parent if found else Path())
        if scored is None:
            raise OptionError(f"--metric {options.metric}: expected {metric.RULE}")
        if options.lower_is_better:
            if scored.kind is not Kind.FUNCTION:
                raise OptionError(
                    f"--lower-is-better is for a function of your own: {scored} knows its direction"
                )
            scored = replace(scored, higher_is_better=False)
    elif options.lower_is_better:
        raise OptionError("--lower-is-better goes with --metric module:function")
    return replace(
        about,
        signature=options.signature or about.signature,
        calibration=options.calibration or about.calibration,
        evaluation=options.evaluation or about.evaluation,
        training=options.training or about.training,
        metric=scored,
        budget=options.budget.over(about.budget),
        prefer=options.prefer or about.prefer,
    )


def _limits(about: Card, *, wanted: str) -> Budget:
    """Settles the budget, and refuses one that nothing could be held against."""
    limits, drop = about.budget, about.budget.max_accuracy_drop
    own = about.metric is not None and about.metric.kind is Kind.FUNCTION
    if drop is not None and drop > 1 and not own:
        raise OptionError(
            f"max_accuracy_drop {drop:g}: expected a number from 0 to 1; more is for a metric of "
            "your own"
        )
    if about.evaluation is not None:
        # Whoever says how right the answers must be says it in full.
        default = UNLIMITED if limits.of_quality else Budget(max_accuracy_drop=DEFAULT_MAX_DROP)
        return limits.over(default)
    if drop is not None:
        raise OptionError(
            f"a budget of {drop:g} cannot be kept without evaluation data: give "
            "--evaluation FILE.npz, or min_agreement (--min-agreement 0.99) in its place, "
            "which needs none"
        )
    if wanted == recipe.AUTO and not limits.of_quality:
        raise OptionError(
            "recipe auto needs something to judge by: give held-out data (--evaluation FILE.npz, "
            "`evaluation:` in model.yaml), or how often the answers must be the original's "
            "(--min-agreement 0.99, on calibration or synthetic inputs), or name a recipe with "
            "--recipe"
        )
    return limits
