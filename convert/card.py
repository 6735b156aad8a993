"""model.yaml, the card: what its author knows about a model that the model file does not say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path
from typing import Any

import yaml

from convert import budget, metric
from convert import fields as field
from convert.budget import UNLIMITED, Budget, Prefer
from convert.errors import CardError
from convert.fields import Fields
from convert.metric import Kind, Metric, Task

FILE_NAME = "model.yaml"
_SUFFIXES = (".yaml", ".yml")
_TASK_RULE = f"{' or '.join(Task)}, or a mapping of outputs to these"
NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """How a picture becomes the input: pixel 0 -> range[0], pixel 255 -> range[1].

    Attributes:
        width: Pixels.
        height: Pixels.
        color: `gray` (1 channel) or `rgb` (3 channels).
        range: The two ends of the scale.
    """

    width: int
    height: int
    color: str
    range: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Renders model.json's `picture`."""
        return {
            "width": self.width,
            "height": self.height,
            "color": self.color,
            "range": list(self.range),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card without faults; paths are joined to the card's folder, and not yet looked at.

    Attributes:
        name: The {model} in URLs.
        model: The model file or folder.
        signature: Which of the model's signatures is served, or None for its default.
        calibration: Example inputs (.npz, .csv or a folder of pictures), or None.
        evaluation: Held-out inputs with targets, or None.
        training: Inputs with targets to fine-tune a pruned model on, or None.
        task: What the scores mean, or None to tell from the targets.
        tasks: The same for outputs by name, where the card tells them apart.
        metric: How candidates are judged, or None for the task's first.
        budget: What a candidate may cost and lose.
        prefer: Which candidate inside the budget is taken, or None for the smallest compressed.
        picture: How a picture becomes the input, or None when inputs are not pictures.
        labels: One for each class, or None.
    """

    name: str
    model: Path
    signature: str | None = None
    calibration: Path | None = None
    evaluation: Path | None = None
    training: Path | None = None
    task: Task | None = None
    metric: Metric | None = None
    budget: Budget = UNLIMITED
    prefer: Prefer | None = None
    picture: Picture | None = None
    labels: tuple[str, ...] | None = None
    tasks: Mapping[str, Task] = attribute(default_factory=dict)

    def task_of(self, output: str) -> Task | None:
        """What an output's scores mean, so far as the card says."""
        return self.tasks.get(output, self.task)


def find(model: Path) -> Path | None:
    """Returns the card meant by a path: itself, or the one in the folder; None where it is none."""
    if model.suffix in _SUFFIXES:
        return model
    return model / FILE_NAME if (model / FILE_NAME).is_file() else None


def read(path: Path, fetched: Mapping[str, Path]) -> Card:
    """Reads a card.

    Args:
        path: The card.
        fetched: Where the S3 addresses in it lie on this machine.

    Raises:
        CardError: It is missing, not YAML, or has faults; all of them are named.
    """
    try:
        parsed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: not YAML: {error}") from error
    if not isinstance(parsed, dict):
        raise CardError(
            f"{path}: expected keys such as `name` and `model`, got {field.shown(parsed)}"
        )
    fields = Fields(parsed)
    card = _card(fields, path.parent, fetched)
    if fields.faults or card is None:
        raise CardError(f"{path}: {'; '.join(fields.faults)}")
    return card


def _card(fields: Fields, folder: Path, fetched: Mapping[str, Path]) -> Card | None:
    name_rule = f"1 to 64 letters, digits, `_` or `-` ({NAME_PATTERN.pattern})"
    fields.require("name", name_rule)
    name = fields.take("name", name_rule, _name)
    model_rule = "a .keras, .h5 or .tflite file or a SavedModel folder: a path or s3://BUCKET/KEY"
    fields.require("model", model_rule)
    model = fields.take("model", model_rule, field.text)
    signature = fields.take("signature", "the name of one of the model's signatures", field.text)
    calibration = fields.take(
        "calibration", "the path of an .npz or .csv file or of a folder of pictures", field.text
    )
    evaluation = fields.take("evaluation", "the path of an .npz or .csv file", field.text)
    training = fields.take("training", "the path of an .npz or .csv file", field.text)
    meant = fields.take("task", _TASK_RULE, _tasks)
    task = meant if isinstance(meant, Task) else None
    scored = fields.take("metric", metric.RULE, lambda value: metric.parse(value, folder))
    limits = _budget(fields, scored)
    prefer = fields.take("prefer", " or ".join(Prefer), field.member(Prefer))
    picture = _picture(
        fields, fields.take("picture", "a mapping of width, height, color, range", field.mapping)
    )
    labels = fields.take(
        "labels", 'a list of texts such as ["cat", "dog"] (quote numbers)', field.texts
    )
    if task is not None and scored is not None and scored.task not in (None, task):
        fields.faults.append(f"metric: {scored} does not fit task {task}, which {fitting(task)}")
    fields.finish()
    if name is None or model is None:
        return None

    def at(place: str) -> Path:
        return located(place, fetched, folder)

    return Card(
        name=name,
        model=at(model),
        signature=signature,
        calibration=None if calibration is None else at(calibration),
        evaluation=None if evaluation is None else at(evaluation),
        training=None if training is None else at(training),
        task=task,
        tasks=meant if isinstance(meant, dict) else {},
        metric=scored,
        budget=limits,
        prefer=prefer,
        picture=picture,
        labels=labels,
    )


def located(place: str, fetched: Mapping[str, Path], folder: Path) -> Path:
    """Returns where a path or an S3 address lies; a relative path is one from the folder."""
    return fetched[place] if place in fetched else folder / place


def fitting(task: Task) -> str:
    """Says which metrics fit a task."""
    if task is Task.REGRESSION:
        return "is judged by mse, mae or a function of your own"
    return "is judged by accuracy, topK, f1, mean_iou or a function of your own"


def _budget(fields: Fields, scored: Metric | None) -> Budget:
    rule = "a mapping such as {max_accuracy_drop: 0.01}"
    values = fields.take("budget", rule, field.mapping)
    if values is None:
        return UNLIMITED
    of_function = scored is not None and scored.kind is Kind.FUNCTION
    limits, faults = budget.parse(values, of_function=of_function)
    fields.faults.extend(faults)
    return limits


def _picture(fields: Fields, picture: Mapping[Any, Any] | None) -> Picture | None:
    if picture is None:
        return None
    inner = Fields(picture, "picture.")
    rules = {
        "width": "a whole number of pixels from 1 to 4096",
        "height": "a whole number of pixels from 1 to 4096",
        "color": "gray or rgb",
        "range": "two different numbers such as [0.0, 1.0]",
    }
    for key, rule in rules.items():
        inner.require(key, rule)
    width = inner.take("width", rules["width"], _side)
    height = inner.take("height", rules["height"], _side)
    color = inner.take("color", rules["color"], lambda it: it if it in ("gray", "rgb") else None)
    scale = inner.take("range", rules["range"], _range)
    inner.finish()
    fields.faults.extend(inner.faults)
    if width is None or height is None or color is None or scale is None:
        return None
    return Picture(width=width, height=height, color=color, range=scale)


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and NAME_PATTERN.fullmatch(value) else None


def _tasks(value: object) -> Task | dict[str, Task] | None:
    parse = field.member(Task)
    if not isinstance(value, dict):
        return parse(value)
    found = {name: parse(one) for name, one in value.items() if isinstance(name, str)}
    known = {name: task for name, task in found.items() if task is not None}
    return known if known and len(known) == len(value) else None


def _side(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 <= value <= 4096 else None  # noqa: PLR2004  stated in the rule


def _range(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004  stated in the rule
        return None
    low, high = field.number(value[0]), field.number(value[1])
    return None if low is None or high is None or low == high else (low, high)
