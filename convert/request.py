"""What is asked for: a card's values, with the command line's over them."""

import re
from dataclasses import dataclass
from pathlib import Path

from convert import card, data, recipe, screen
from convert.card import METRICS, Card, Metric, Picture, Task
from convert.data import Examples
from convert.errors import CardError, ModelError, OptionError
from convert.recipe import Plan
from convert.signature import FREE, Signature

_CARD_SUFFIXES = (".yaml", ".yml")
_CHANNELS = {"gray": 1, "rgb": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A conversion, checked as far as that goes without TensorFlow.

    Attributes:
        card: What is known about the model; made up from the file's name where there is no card.
        plan: The recipes to try.
        calibration: Example inputs, or None.
        evaluation: Held-out inputs and targets, or None.
        max_drop: The budget.
    """

    card: Card
    plan: Plan
    calibration: Examples | None
    evaluation: Examples | None
    max_drop: float


def build(
    model: Path,
    *,
    wanted: str,
    calibration: Path | None,
    evaluation: Path | None,
    max_drop: float | None,
) -> Request:
    """Puts a request together and reads all files but the model itself.

    Args:
        model: A model, a card, or the folder that holds a card.
        wanted: A recipe's name, or `auto`.
        calibration: Overrides the card's.
        evaluation: Overrides the card's.
        max_drop: Overrides the card's; from 0 to 1.

    Raises:
        InputError: Anything is missing or wrong; see `convert.errors`.
    """
    about = _card_for(model)
    calibration = calibration or about.calibration
    evaluation = evaluation or about.evaluation
    if max_drop is None:
        max_drop = about.max_drop
    plan = recipe.plan(wanted, calibrated=calibration is not None)
    if evaluation is None and wanted == recipe.AUTO:
        raise OptionError(
            "recipe auto needs evaluation data to judge by: give --evaluation FILE.npz, "
            "`evaluation:` in model.yaml, or name a recipe with --recipe"
        )
    if evaluation is None and max_drop is not None:
        raise OptionError(
            f"a budget of {max_drop:g} cannot be kept without evaluation data: give "
            "--evaluation FILE.npz, or leave the budget out"
        )
    screen.kind_of(about.model)
    return Request(
        card=about,
        plan=plan,
        calibration=None if calibration is None else data.read(calibration, with_targets=False),
        evaluation=None if evaluation is None else data.read(evaluation, with_targets=True),
        max_drop=card.DEFAULT_MAX_DROP if max_drop is None else max_drop,
    )


def judged_by(about: Card, found: Task) -> tuple[Task, Metric]:
    """Settles task and metric: the card's, else what the targets look like.

    Raises:
        CardError: The card's metric does not fit.
    """
    task = about.task or found
    metric = about.metric or METRICS[task][0]
    if metric not in METRICS[task]:
        fit = " or ".join(METRICS[task])
        raise CardError(f"metric: {metric} does not fit task {task}, expected {fit}")
    return task, metric


def check_presentation(about: Card, signature: Signature) -> None:
    """Holds the card's labels and picture against the model.

    Raises:
        CardError: There are more or fewer labels than scores, or pictures have another size.
    """
    if about.labels is not None and len(signature.outputs) == 1:
        shape = signature.outputs[0].shape
        scores = shape[-1] if shape else FREE
        # One score is a probability, and belongs to two labels.
        if scores != FREE and len(about.labels) != max(scores, 2):
            raise CardError(
                f"labels: {len(about.labels)} given, but {signature.outputs[0].name!r} has "
                f"{scores} scores: expected one label for each"
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


def _card_for(model: Path) -> Card:
    if model.is_dir() and not (model / "saved_model.pb").exists():
        if not (model / card.FILE_NAME).exists():
            raise ModelError(
                f"{model}: a folder with neither {card.FILE_NAME} nor saved_model.pb in it"
            )
        return card.read(model / card.FILE_NAME)
    if model.suffix in _CARD_SUFFIXES:
        return card.read(model)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", model.resolve().stem)[:64].strip("-")
    return Card(
        name=name or "model",
        model=model,
        calibration=None,
        evaluation=None,
        task=None,
        metric=None,
        max_drop=None,
        picture=None,
        labels=None,
    )
