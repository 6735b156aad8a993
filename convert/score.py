"""How good answers are: the task's metric, agreement with the original, errors. Arithmetic only."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.data import Examples
from convert.errors import CardError, DataError, ModelError
from convert.metric import Kind, Metric, Task
from convert.way import CLOSE, EVEN, Way, columns, spread

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputScore:
    """How near one output is to the original's.

    Attributes:
        name: The output's.
        agreement: Share of answers that are the original's; see `agreement`.
        max_abs_error: The largest difference.
        max_relative_error: That, as a share of the original's largest magnitude.
    """

    name: str
    agreement: float
    max_abs_error: float
    max_relative_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstClass:
    """The class that lost most: a model may keep its accuracy and give up one class.

    Attributes:
        number: Which class.
        drop: How much smaller the share of its rows that are answered right became.
        rows: How many rows of it there are.
    """

    number: int
    drop: float
    rows: int


def task_of(examples: Examples) -> Task:
    """Tells the task from the targets: whole numbers are classes."""
    targets = examples.targets
    whole = targets is not None and targets.dtype.kind in "iub"
    return Task.CLASSIFICATION if whole else Task.REGRESSION


def are_logits(given: Array) -> bool:
    """Whether scores of classes are beyond what a probability can be."""
    return bool(given.min(initial=0.0) < 0 or given.max(initial=0.0) > 1)


def threshold(original: Array, targets: Array | None = None) -> float:
    """Says above which number a lone score is the second class: 0 where the original has logits.

    Of the original's answers alone: what a candidate answers must not decide what it means.

    Args:
        original: The original's answers.
        targets: The right classes, where there are some. What was trained to answer 0 and 1 goes
            beyond them too, and is no logit: then the original is right more often above a half.
    """
    if not are_logits(original):
        return EVEN
    if targets is None:
        return 0.0
    logit, even = (float((_classes(original, it) == targets).mean()) for it in (0.0, EVEN))
    return EVEN if even > logit else 0.0


def class_count(given: Array) -> int:
    """How many classes answers tell apart: one for each score, two where there is a lone score."""
    return max(int(_scores(given).shape[-1]), 2)


def are_classes(targets: Array, given: Array) -> bool:
    """Whether targets are class numbers of the answers: one for each row of scores, none beyond."""
    if targets.dtype.kind not in "iub" or not _fits(targets, _scores(given).shape[:-1]):
        return False
    return bool(targets.min() >= 0 and targets.max() < class_count(given))


def check_metric(metric: Metric, name: str, given: Array) -> None:
    """Refuses a metric that no answer fails: no budget could be broken by it.

    Args:
        metric: What answers are to be judged by.
        name: The judged output's.
        given: The original's answers.

    Raises:
        CardError: It is `topK`, and there are not more than K classes, or no scores to rank.
    """
    if metric.kind is not Kind.TOP:
        return
    count = class_count(given)
    if _scores(given).shape[-1] == 1:
        raise CardError(
            f"metric: {metric}: output {name!r} has a lone score for {count} classes, and the best "
            f"{metric.k} cannot be told by it: expected accuracy, f1 or mean_iou"
        )
    if metric.k >= count:
        raise CardError(
            f"metric: {metric}: output {name!r} has {count} classes, and the right one is always "
            f"among the best {metric.k}: expected accuracy, or a topK with K below {count}"
        )


def check_targets(examples: Examples, task: Task, given: Array) -> Array:
    """Returns the targets in the form that the answers have.

    Args:
        examples: The evaluation data.
        task: What the answers mean.
        given: The original's answers.

    Returns:
        Class numbers, int64, one for each row of scores; or float64 of the answers' shape.

    Raises:
        DataError: The targets have another shape, or name classes that the model does not have; or
            the answers are no scores.
    """
    if task is Task.REGRESSION:
        targets = _in_rows(examples, given.shape)
        if not _fits(targets, given.shape):
            # Class numbers in float are taken for quantities.
            whole = _fits(targets, _scores(given).shape[:-1]) and (targets == targets.round()).all()
            hint = " (for class numbers: y.astype(int))" if whole else ""
            raise DataError(
                f"{examples.path}: `y` has shape {targets.shape}: expected {given.shape}, as the "
                f"model answers; only axes of length 1 may be more or fewer{hint}"
            )
        return targets.reshape(given.shape).astype(np.float64)
    if _are_numbers_of_classes(given):
        raise DataError(
            f"{examples.path}: `y` has class numbers, and the model answers {given.dtype} of shape "
            f"{given.shape}: expected scores, float numbers, to judge by {Task.CLASSIFICATION}; "
            "judge others by a `metric:` of your own"
        )
    wanted = _scores(given).shape[:-1]
    targets = _in_rows(examples, wanted)
    if targets.dtype.kind not in "iub" or not _fits(targets, wanted):
        raise DataError(
            f"{examples.path}: `y` is {targets.dtype} of shape {targets.shape}: expected class "
            f"numbers of shape {wanted} (in float: y.astype(int); one-hot: y.argmax(axis=-1); "
            "several labels a row: a `metric:` of your own)"
        )
    count = class_count(given)
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= count:
        raise DataError(
            f"{examples.path}: `y` has classes from {low} to {high}: "
            f"the model knows 0 to {count - 1} (for whole quantities: `metric: mse`)"
        )
    return targets.reshape(wanted).astype(np.int64)


def measure(metric: Metric, given: Array, targets: Array, above: float = EVEN) -> float:
    """Computes one of the built-in metrics.

    Args:
        metric: Which.
        given: The answers.
        targets: As `check_targets` makes them.
        above: The original's `threshold`.
    """
    if metric.kind is Kind.MSE:
        return float(((given.astype(np.float64) - targets) ** 2).mean())
    if metric.kind is Kind.MAE:
        return float(np.abs(given.astype(np.float64) - targets).mean())
    if metric.kind is Kind.TOP:
        return _top(metric.k, given, targets)
    if metric.kind is Kind.ACCURACY:
        return float((_classes(given, above) == targets).mean())
    hits, said, are = _counts(_classes(given, above), targets)
    if metric.kind is Kind.F1:
        return float((2 * hits / (said + are)).mean())
    return float((hits / (said + are - hits)).mean())


def drop(metric: Metric, original: float, candidate: float, targets: Array) -> float:
    """Says how much worse a candidate is than the original; negative when it is better.

    The plain difference, but for mse and mae: there the rise as a share of `constant_guess` (for
    mse that is what R squared loses), so that 0.01 means the same whatever the unit.
    """
    worse = original - candidate if metric.higher_is_better else candidate - original
    return worse / _unit(metric, targets)


def limit(metric: Metric, original: float, max_drop: float, targets: Array) -> float:
    """Says which value of the metric is a drop of just `max_drop`."""
    room = max_drop * _unit(metric, targets)
    return original - room if metric.higher_is_better else original + room


def constant_guess(metric: Metric, targets: Array) -> float | None:
    """Says what the best constant guess, one number for each column, errs by; None: no error.

    That is the mean by mse, the median by mae. One number for all columns would be far off wherever
    they are of different sizes, and any rise a small share of that.
    """
    table = columns(targets)
    if metric.kind is Kind.MSE:
        return float(table.var(axis=0).mean())
    if metric.kind is Kind.MAE:
        return float(np.abs(table - np.median(table, axis=0)).mean())
    return None


def _unit(metric: Metric, targets: Array) -> float:
    """How much of the metric is a drop of 1."""
    # Targets that are all alike leave nothing to compare with; then it is the plain rise.
    return constant_guess(metric, targets) or 1.0


def worst_class(original: Array, candidate: Array, targets: Array) -> WorstClass:
    """Finds the class whose share of right answers fell most; of equal falls the first class."""
    above = threshold(original, targets)
    before, after = _classes(original, above) == targets, _classes(candidate, above) == targets
    lost = [
        (float(before[rows].mean() - after[rows].mean()), int(number), int(rows.sum()))
        for number in np.unique(targets)
        for rows in [targets == number]
    ]
    fall, number, rows = max(lost, key=lambda one: one[0])
    return WorstClass(number=number, drop=fall, rows=rows)


def compare(
    name: str, way: Way, original: Array, candidate: Array, above: float | None = None
) -> OutputScore:
    """Holds one output against the original's.

    Args:
        name: The output's.
        way: What agreeing means.
        original: The original's answers.
        candidate: The candidate's.
        above: The original's `threshold`, where it is known from targets.

    Raises:
        ModelError: The candidate's have another shape, as where boxes are found; numpy would spread
            one over many.
    """
    if original.shape != candidate.shape:
        raise ModelError(
            f"answers {name!r} in shape {candidate.shape}, which cannot be held against the "
            f"original's {original.shape}"
        )
    before, after = original.astype(np.float64), candidate.astype(np.float64)
    error = float(np.abs(before - after).max(initial=0.0))
    return OutputScore(
        name=name,
        agreement=agreement(way, original, candidate, above),
        max_abs_error=error,
        max_relative_error=error / (float(np.abs(before).max(initial=0.0)) or 1.0),
    )


def agreement(way: Way, original: Array, candidate: Array, above: float | None = None) -> float:
    """Computes the share of answers that are the original's; where there are none, none differs."""
    if original.size == 0:
        return 1.0
    if way is Way.EQUAL:
        return float((original == candidate).mean())
    if way is Way.NUMBER:
        away = np.abs(columns(original) - columns(candidate))
        return float((away <= CLOSE * spread(original)).mean())
    above = threshold(original) if above is None else above
    if way is Way.LABELS:
        return float(((original > above) == (candidate > above)).all(axis=-1).mean())
    return float((_classes(original, above) == _classes(candidate, above)).mean())


def _top(k: int, given: Array, targets: Array) -> float:
    """Share of rows whose right class is among the K best; of equal scores the earlier wins."""
    best = np.argsort(-given, axis=-1, kind="stable")[..., :k]
    return float((best == targets[..., np.newaxis]).any(axis=-1).mean())


def _counts(classes: Array, targets: Array) -> tuple[Array, Array, Array]:
    """Counts each class that was said or is right: both at once, said, right."""
    present = np.union1d(classes, targets)
    said = np.array([(classes == one).sum() for one in present])
    are = np.array([(targets == one).sum() for one in present])
    hits = np.array([((classes == one) & (targets == one)).sum() for one in present])
    return hits, said, are


def _classes(given: Array, above: float) -> Array:
    if _are_numbers_of_classes(given):
        return given
    scores = _scores(given)
    lone = scores.shape[-1] == 1  # of the second of two classes
    classes: Array = scores[..., 0] > above if lone else scores.argmax(axis=-1)
    return classes


def _scores(given: Array) -> Array:
    """Answers with the classes on the last axis: one number a row is a lone score."""
    return given[:, np.newaxis] if given.ndim == 1 else given


def _in_rows(examples: Examples, shape: tuple[int, ...]) -> Array:
    """The targets; those of a table, whose lines have no other shape, in that of the answers."""
    targets = np.asarray(examples.targets)
    as_lines = (shape[0], math.prod(shape[1:]))
    return targets.reshape(shape) if not examples.typed and targets.shape == as_lines else targets


def _fits(targets: Array, shape: tuple[int, ...]) -> bool:
    """Whether they have the shape but for axes of length 1. As many in another order are others."""
    return [size for size in targets.shape if size != 1] == [size for size in shape if size != 1]


def _are_numbers_of_classes(given: Array) -> bool:
    """Whether a row is one whole number: the class itself, where scores would be floats."""
    return given.ndim == 1 and given.dtype.kind != "f"
