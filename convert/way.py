"""When an answer is the original's: what an output means, by the card and by the model itself."""

import math
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.metric import Task
from convert.signature import Signature, find, parse, text

Array = npt.NDArray[Any]

CLOSE = 0.01
EVEN = 0.5
_SUM_TOLERANCE = 1e-3
# BuiltinOperator in LiteRT's schema. The others leave every number what it means.
_LOGISTIC = 14
_RESHAPE, _SQUEEZE, _EXPAND_DIMS, _CAST, _DEQUANTIZE, _QUANTIZE = 22, 43, 70, 53, 6, 114
_PASSING = (_RESHAPE, _SQUEEZE, _EXPAND_DIMS, _CAST, _DEQUANTIZE, _QUANTIZE)


class Way(StrEnum):
    """What makes an answer the original's."""

    CLASS = "class"
    """The same class: the best of several scores, or the side on which a lone score is."""
    LABELS = "labels"
    """The same labels: each of several scores is on the side on which the original's is."""
    NUMBER = "number"
    """Nearly the same number: within 1 % of the spread of the original's answers, by column."""
    EQUAL = "equal"
    """The same whole number or truth value."""


def settle(given: Array, task: Task | None, *, sigmoid: bool, sure: bool) -> Way:
    """Settles what an output's answers mean.

    Where it cannot be told they are numbers: that refuses a model rather than letting one pass.

    Args:
        given: The original's answers.
        task: What the card says; None: nothing.
        sigmoid: Whether a sigmoid makes them.
        sure: Whether the card says it of this output: by its name, or as the only one.
    """
    if given.dtype.kind != "f":
        return Way.EQUAL
    if given.size == 0 or (sure and task is Task.REGRESSION):
        return Way.NUMBER
    if _add_up_to_one(given):
        return Way.CLASS
    several, classes = count(given) > 1, task is Task.CLASSIFICATION
    probable = sigmoid or bool(given.min() >= 0 and given.max() <= 1)
    if sure and classes:
        return Way.LABELS if several and probable else Way.CLASS
    # Several sigmoids may be a box as well as labels, many a row the pixels of a picture.
    one_a_row = math.prod(given.shape[1:]) == 1
    yes_or_no = (classes and probable) or (task is None and sigmoid and one_a_row)
    return Way.CLASS if yes_or_no and not several else Way.NUMBER


def of_task(task: Task, given: Array) -> Way:
    """Says what answers mean that there are targets for: what those are."""
    if task is Task.CLASSIFICATION:
        return Way.CLASS
    return Way.NUMBER if given.dtype.kind == "f" else Way.EQUAL


def told(way: Way, given: Array, above: float) -> str:
    """Says in words when an answer is the original's.

    Args:
        way: As `settle` has it.
        given: The original's answers.
        above: Above which number a score is a yes.
    """
    scores = count(given)
    if way is Way.EQUAL or (way is Way.CLASS and given.dtype.kind != "f" and given.ndim == 1):
        return "it is equal"
    if way is Way.NUMBER:
        near = CLOSE * spread(given)
        if scores == 1:
            return f"it is within {near[0]:.3g}, 1 % of the original's spread"
        return (
            f"a number is within 1 % of its column's spread, {near.min():.3g} to {near.max():.3g} "
            f"in {scores} columns"
        )
    if way is Way.LABELS:
        return f"each of {scores} scores is on the same side of {above:g}"
    if scores > 1:
        return f"the same one of {scores} scores is the best"
    return f"the score is on the same side of {above:g}"


def count(given: Array) -> int:
    """How many scores an answer has; one number a row is a lone one."""
    return int(given.shape[-1]) if given.ndim > 1 else 1


def columns(given: Array) -> Array:
    """Answers as rows of columns: each on the last axis is a quantity of its own."""
    return given.reshape(-1, count(given))


def spread(given: Array) -> Array:
    """How far the original's answers lie apart, by column; of answers all alike, how large."""
    if given.size == 0:
        return np.ones(count(given))
    table = columns(given).astype(np.float64)
    apart, large = np.ptp(table, axis=0), np.abs(table).max(axis=0)
    return np.where(apart > 0, apart, np.where(large > 0, large, 1.0))


def sigmoids(content: bytes, served: Signature) -> frozenset[str]:
    """Names the outputs that a sigmoid makes, whatever shape or dtype they get after it.

    Args:
        content: A .tflite file.
        served: Its signature.
    """
    model = parse(content)
    entry = find(model, served.name)
    graph = model.subgraphs[entry.subgraphIndex or 0]
    makers = {index: one for one in graph.operators or [] for index in one.outputs}

    def is_sigmoid(index: int) -> bool:
        while index in makers:
            code = model.operatorCodes[makers[index].opcodeIndex]
            # Files from before 2020 have it in the older field alone.
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            if number not in _PASSING:
                return bool(number == _LOGISTIC)
            index = makers[index].inputs[0]
        return False

    return frozenset(text(port.name) for port in entry.outputs if is_sigmoid(port.tensorIndex))


def _add_up_to_one(given: Array) -> bool:
    """Whether they are scores of classes: numbers from 0 on that add up to 1."""
    if count(given) == 1:
        return False
    sums = given.sum(axis=-1, dtype=np.float64)
    return bool(given.min() >= 0 and np.allclose(sums, 1, atol=_SUM_TOLERANCE))
