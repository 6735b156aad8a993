"""How good a model is, by name: what a card or the command line may call for."""

import ast
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from convert.errors import DataError

RULE = (
    "accuracy, top5 (any topK), f1, mean_iou, mse, mae, or a function of your own as "
    "module:function or {function: module:function, better: higher or lower}"
)

DROP = (
    "how much worse than the original by the metric; for mse and mae the rise, as a share of the "
    "error of the best constant guess"
)


class Task(StrEnum):
    """What the model's scores mean."""

    CLASSIFICATION = "classification"
    """The last axis holds one score a class; a lone one, or one number a row, tells two classes."""
    REGRESSION = "regression"
    """The output is the quantity itself."""


class Kind(StrEnum):
    """The arithmetic behind a metric."""

    ACCURACY = "accuracy"
    """Share of answers that are right; classification only. More is better."""
    TOP = "top"
    """Share of answers whose right class is among the K best; classification. More is better."""
    F1 = "f1"
    """Mean over classes of the harmonic mean of precision and recall; classification. More."""
    MEAN_IOU = "mean_iou"
    """Mean over classes of overlap over union, per position; classification. More is better."""
    MSE = "mse"
    """Mean squared error; regression only. Less is better."""
    MAE = "mae"
    """Mean absolute error; regression only. Less is better."""
    FUNCTION = "function"
    """The user's own, of answers and targets as the file has them; any task."""


_ERRORS = (Kind.MSE, Kind.MAE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the user's own: `score(answers, targets) -> float`.

    Attributes:
        file: The Python file; not yet looked at.
        name: The function's.
    """

    file: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        kind: The arithmetic.
        name: As the user wrote it, and as reports show it.
        k: How many of the best classes count; of `top` only.
        function: Of `function` only.
        higher_is_better: Whether more is better.
    """

    kind: Kind
    name: str
    k: int = 1
    function: Function | None = None
    higher_is_better: bool = True

    @property
    def task(self) -> Task | None:
        """The task that it fits; None: any."""
        if self.kind is Kind.FUNCTION:
            return None
        return Task.REGRESSION if self.kind in _ERRORS else Task.CLASSIFICATION

    def __str__(self) -> str:
        return self.name


ACCURACY = Metric(kind=Kind.ACCURACY, name="accuracy")
F1 = Metric(kind=Kind.F1, name="f1")
MEAN_IOU = Metric(kind=Kind.MEAN_IOU, name="mean_iou")
MSE = Metric(kind=Kind.MSE, name="mse", higher_is_better=False)
MAE = Metric(kind=Kind.MAE, name="mae", higher_is_better=False)
DEFAULTS = {Task.CLASSIFICATION: ACCURACY, Task.REGRESSION: MSE}
_PLAIN = {str(metric): metric for metric in (ACCURACY, F1, MEAN_IOU, MSE, MAE)}


def top(k: int) -> Metric:
    """Makes the metric `topK`."""
    return Metric(kind=Kind.TOP, name=f"top{k}", k=k)


def parse(value: object, folder: Path) -> Metric | None:
    """Takes what `RULE` says; None for anything else.

    Args:
        value: From a card or the command line.
        folder: Where a function's module is looked for.
    """
    if isinstance(value, dict):
        better, text = value.get("better", "higher"), value.get("function")
        if better not in ("higher", "lower") or set(value) - {"function", "better"}:
            return None
        return _of_function(text, folder, higher=better == "higher")
    if not isinstance(value, str):
        return None
    best = re.fullmatch(r"top([1-9]\d{0,3})", value)
    if best:
        return top(int(best[1]))
    return _PLAIN.get(value) or _of_function(value, folder, higher=True)


def check_function(function: Function) -> None:
    """Looks whether the function is there, without running anything of its file.

    Raises:
        DataError: The file is missing or is no Python, or lacks the function.
    """
    file, name = function.file, function.name
    try:
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        raise DataError(
            f"metric: {file}: {error.strerror}: expected a Python file with a function {name}"
            "(answers, targets)"
        ) from error
    except (SyntaxError, ValueError) as error:
        raise DataError(f"metric: {file}: not Python: {error}") from error
    found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if name not in found:
        raise DataError(
            f"metric: {file}: no function {name!r} in it: it has {', '.join(found) or 'none'}"
        )


def _of_function(value: object, folder: Path, *, higher: bool) -> Metric | None:
    found = re.fullmatch(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", str(value))
    if found is None:
        return None
    module, name = found.groups()
    return Metric(
        kind=Kind.FUNCTION,
        name=str(value),
        function=Function(file=folder / f"{module.replace('.', '/')}.py", name=name),
        higher_is_better=higher,
    )
