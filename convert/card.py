"""model.yaml, the card: what its author knows about a model that the model file does not say."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from convert.errors import CardError

FILE_NAME = "model.yaml"
NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
DEFAULT_MAX_DROP = 0.01

_Value = TypeVar("_Value")


class Task(StrEnum):
    """What the model's scores mean."""

    CLASSIFICATION = "classification"
    """The last axis holds one score a class (or one probability, for two classes)."""
    REGRESSION = "regression"
    """The output is the quantity itself."""


class Metric(StrEnum):
    """How good a model is on the evaluation data."""

    ACCURACY = "accuracy"
    """Share of answers that are right; classification only. More is better."""
    MSE = "mse"
    """Mean squared error; regression only. Less is better."""
    MAE = "mae"
    """Mean absolute error; regression only. Less is better."""


METRICS = {
    Task.CLASSIFICATION: (Metric.ACCURACY,),
    Task.REGRESSION: (Metric.MSE, Metric.MAE),
}


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
        calibration: Example inputs, or None.
        evaluation: Held-out inputs with targets, or None.
        task: What the scores mean, or None to tell from the targets.
        metric: How candidates are judged, or None for the task's first.
        max_drop: The budget, or None for the default.
        picture: How a picture becomes the input, or None when inputs are not pictures.
        labels: One for each class, or None.
    """

    name: str
    model: Path
    calibration: Path | None
    evaluation: Path | None
    task: Task | None
    metric: Metric | None
    max_drop: float | None
    picture: Picture | None
    labels: tuple[str, ...] | None


def read(path: Path) -> Card:
    """Reads a card.

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
        raise CardError(f"{path}: expected keys such as `name` and `model`, got {_shown(parsed)}")
    fields = _Fields(parsed)
    card = _card(fields, path.parent)
    if fields.faults or card is None:
        raise CardError(f"{path}: {'; '.join(fields.faults)}")
    return card


class _Fields:
    """Takes values out of a mapping by key, and collects what is wrong with them."""

    def __init__(self, values: Mapping[Any, Any], prefix: str = "") -> None:
        self._left = dict(values)
        self._prefix = prefix
        self._known: list[str] = []
        self.faults: list[str] = []

    def take(self, key: str, expected: str, parse: Callable[[Any], _Value | None]) -> _Value | None:
        """Returns the parsed value; None when it is absent, null, or faulty."""
        self._known.append(key)
        value = self._left.pop(key, None)
        if value is None:
            return None
        parsed = parse(value)
        if parsed is None:
            self.faults.append(f"{self._prefix}{key}: expected {expected}, got {_shown(value)}")
        return parsed

    def require(self, key: str, expected: str) -> None:
        """Notes the key's absence; call it before `take`."""
        if self._left.get(key) is None:
            self.faults.append(f"{self._prefix}{key}: missing, expected {expected}")

    def finish(self) -> None:
        """Notes the keys that nobody took."""
        known = ", ".join(self._known)
        self.faults.extend(
            f"{self._prefix}{key}: unknown key (known here: {known})" for key in self._left
        )


def _card(fields: _Fields, folder: Path) -> Card | None:
    name_rule = f"1 to 64 letters, digits, `_` or `-` ({NAME_PATTERN.pattern})"
    fields.require("name", name_rule)
    name = fields.take("name", name_rule, _name)
    model_rule = "the path of a .keras, .h5 or .tflite file, or of a SavedModel folder"
    fields.require("model", model_rule)
    model = fields.take("model", model_rule, _text)
    calibration = fields.take("calibration", "the path of an .npz file", _text)
    evaluation = fields.take("evaluation", "the path of an .npz file", _text)
    task = fields.take("task", " or ".join(Task), _member(Task))
    metric = fields.take("metric", ", ".join(Metric), _member(Metric))
    budget = fields.take("budget", "a mapping such as {max_accuracy_drop: 0.01}", _mapping)
    max_drop = _budget(fields, budget)
    picture = _picture(
        fields, fields.take("picture", "a mapping of width, height, color, range", _mapping)
    )
    labels = fields.take("labels", 'a list of texts such as ["cat", "dog"] (quote numbers)', _texts)
    if task is not None and metric is not None and metric not in METRICS[task]:
        fit = " or ".join(METRICS[task])
        fields.faults.append(f"metric: {metric} does not fit task {task}, expected {fit}")
    fields.finish()
    if name is None or model is None:
        return None
    return Card(
        name=name,
        model=folder / model,
        calibration=None if calibration is None else folder / calibration,
        evaluation=None if evaluation is None else folder / evaluation,
        task=task,
        metric=metric,
        max_drop=max_drop,
        picture=picture,
        labels=labels,
    )


def _budget(fields: _Fields, budget: Mapping[Any, Any] | None) -> float | None:
    if budget is None:
        return None
    inner = _Fields(budget, "budget.")
    rule = "a number from 0 to 1"
    inner.require("max_accuracy_drop", rule)
    max_drop = inner.take("max_accuracy_drop", rule, _share)
    inner.finish()
    fields.faults.extend(inner.faults)
    return max_drop


def _picture(fields: _Fields, picture: Mapping[Any, Any] | None) -> Picture | None:
    if picture is None:
        return None
    inner = _Fields(picture, "picture.")
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


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004  a line stays readable


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and NAME_PATTERN.fullmatch(value) else None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not value:
        return None
    texts = tuple(text for text in value if isinstance(text, str))
    return texts if len(texts) == len(value) else None


def _mapping(value: object) -> Mapping[Any, Any] | None:
    return value if isinstance(value, dict) else None


def _number(value: object) -> float | None:
    # YAML's true is Python's 1: a bool here is a slip, not a number.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def _share(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _side(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 <= value <= 4096 else None  # noqa: PLR2004  stated in the rule


def _range(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004  stated in the rule
        return None
    low, high = _number(value[0]), _number(value[1])
    return None if low is None or high is None or low == high else (low, high)


_Choice = TypeVar("_Choice", bound=StrEnum)


def _member(choices: type[_Choice]) -> Callable[[Any], _Choice | None]:
    return lambda value: choices(value) if value in list(choices) else None
