"""How good a model is: the task's metric, agreement with the original, latency."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.data import Examples
from convert.errors import DataError
from convert.litert import batch_of
from convert.metric import Kind, Metric, Task
from convert.signature import FREE, Signature

Array = npt.NDArray[Any]
Model = Callable[[dict[str, Array]], dict[str, Array]]

_CHUNK = 32
_WARM_UP = 5
_TIMED = 50
_CLOSE = 0.01
_EVEN = 0.5


def answers(model: Model, examples: Examples, signature: Signature) -> Array:
    """Asks a model for every row.

    Raises:
        DataError: The model has several outputs, or is fixed to a batch that does not divide the
            rows.
    """
    if len(signature.outputs) != 1:
        names = ", ".join(spec.name for spec in signature.outputs)
        raise DataError(
            f"{examples.path}: the model has several outputs ({names}) and `y` belongs to one: "
            "name a --recipe and leave the evaluation out"
        )
    batch = batch_of(signature)
    step = _CHUNK if batch == FREE else batch
    if batch != FREE and examples.rows % batch:
        raise DataError(
            f"{examples.path}: {examples.rows} rows: the model takes exactly {batch} at a time, "
            f"so expected a multiple of {batch}"
        )
    name = signature.outputs[0].name
    parts = [
        model({key: array[start : start + step] for key, array in examples.inputs.items()})[name]
        for start in range(0, examples.rows, step)
    ]
    return np.concatenate(parts)


def task_of(examples: Examples) -> Task:
    """Tells the task from the targets: whole numbers are classes."""
    targets = examples.targets
    whole = targets is not None and targets.dtype.kind in "iub"
    return Task.CLASSIFICATION if whole else Task.REGRESSION


def check_targets(examples: Examples, task: Task, given: Array) -> Array:
    """Returns the targets in the form that the answers have.

    Args:
        examples: The evaluation data.
        task: What the answers mean.
        given: The original's answers.

    Returns:
        Class numbers, int64, of the answers' shape without the last axis; or float64 of the
        answers' shape.

    Raises:
        DataError: The targets have another shape, or name classes that the model does not have.
    """
    targets = np.asarray(examples.targets)
    if task is Task.REGRESSION:
        if targets.size != given.size:
            raise DataError(
                f"{examples.path}: `y` has shape {targets.shape}: the model answers {given.shape}"
            )
        return targets.reshape(given.shape).astype(np.float64)
    wanted = _classes(given).shape
    if targets.dtype.kind not in "iub" or targets.size != int(np.prod(wanted)):
        raise DataError(
            f"{examples.path}: `y` is {targets.dtype} of shape {targets.shape}: expected class "
            f"numbers of shape {wanted} (for one-hot targets: y.argmax(axis=-1))"
        )
    count = 2 if given.shape[-1] == 1 else given.shape[-1]
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= count:
        raise DataError(
            f"{examples.path}: `y` has classes from {low} to {high}: "
            f"the model knows 0 to {count - 1}"
        )
    return targets.reshape(wanted).astype(np.int64)


def measure(metric: Metric, given: Array, targets: Array) -> float:
    """Computes the metric of answers against targets, both as `check_targets` has them."""
    if metric.kind is Kind.MSE:
        return float(((given.astype(np.float64) - targets) ** 2).mean())
    if metric.kind is Kind.MAE:
        return float(np.abs(given.astype(np.float64) - targets).mean())
    if metric.kind is Kind.TOP:
        return _top(metric.k, given, targets)
    if metric.kind is Kind.ACCURACY:
        return float((_classes(given) == targets).mean())
    hits, said, are = _counts(_classes(given), targets)
    if metric.kind is Kind.F1:
        return float((2 * hits / (said + are)).mean())
    return float((hits / (said + are - hits)).mean())


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


def drop(metric: Metric, original: float, candidate: float, targets: Array) -> float:
    """Says how much worse a candidate is than the original; negative when it is better.

    The plain difference, but for mse and mae: there the rise as a share of the error that the best
    constant guess makes (for mse that is what R squared loses), so that 0.01 means the same
    whatever the unit.
    """
    if metric.kind not in (Kind.MSE, Kind.MAE):
        return original - candidate if metric.higher_is_better else candidate - original
    if metric.kind is Kind.MSE:
        guess = float(targets.var())
    else:
        guess = float(np.abs(targets - np.median(targets)).mean())
    # Targets that are all alike leave nothing to compare with; then it is the plain rise.
    return (candidate - original) / (guess or 1.0)


def agreement(task: Task, original: Array, candidate: Array) -> float:
    """Computes the share of answers that are the original's.

    Classification: the same class. Regression: within 1 % of the spread of the original's answers.
    """
    if task is Task.CLASSIFICATION:
        return float((_classes(original) == _classes(candidate)).mean())
    spread = float(original.max() - original.min()) or float(np.abs(original).max()) or 1.0
    return float((np.abs(original - candidate) <= _CLOSE * spread).mean())


def latency_ms(model: Model, one_call: dict[str, Array] | None) -> float | None:
    """Times a call again and again; returns the median in milliseconds, None without a call."""
    if one_call is None:
        return None
    for _ in range(_WARM_UP):
        model(one_call)
    taken = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        model(one_call)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def one_call(signature: Signature, examples: Examples | None) -> dict[str, Array] | None:
    """Makes the smallest call: the first row of the examples, zeros where there are none.

    None where there are no examples and the rows have free dimensions: which sizes make sense is
    for the user's data to say.
    """
    if examples is not None:
        batch = batch_of(signature)
        step = 1 if batch == FREE else batch
        return {name: array[:step] for name, array in examples.inputs.items()}
    if any(FREE in spec.shape[1:] for spec in signature.inputs):
        return None
    return {
        spec.name: np.zeros([max(size, 1) for size in spec.shape], spec.client_dtype)
        for spec in signature.inputs
    }


def _classes(given: Array) -> Array:
    one_probability = given.shape[-1] == 1  # of the second of two classes
    classes: Array = given[..., 0] > _EVEN if one_probability else given.argmax(axis=-1)
    return classes
