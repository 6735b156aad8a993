"""Asks a model: for its answers to all rows of some data, or again and again for its time."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import DataError, ModelError
from convert.litert import batch_of
from convert.signature import FREE, Signature

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Model = Callable[[Arrays], Arrays]

_CHUNK = 32
_WARM_UP = 3
_TIMED_AT_LEAST = 7
_TIMED_AT_MOST = 50
_TIMED_S = 1.0


def answers(model: Model, inputs: Mapping[str, Array], signature: Signature, path: Path) -> Arrays:
    """Asks a model for every row.

    Args:
        model: Whom.
        inputs: Rows that fit the signature.
        signature: The model's.
        path: Where the rows come from, for messages.

    Returns:
        Every output, by name.

    Raises:
        DataError: The model is fixed to a batch that does not divide the rows.
        ModelError: It cannot run on them, or one row has another shape of answer than others.
    """
    batch, rows = batch_of(signature), len(next(iter(inputs.values())))
    step = _CHUNK if batch == FREE else batch
    if batch != FREE and rows % batch:
        raise DataError(
            f"{path}: {rows} rows: the model takes exactly {batch} at a time, "
            f"so expected a multiple of {batch}"
        )
    parts = [
        model({name: array[start : start + step] for name, array in inputs.items()})
        for start in range(0, rows, step)
    ]
    return {
        spec.name: _joined(spec.name, [np.atleast_1d(part[spec.name]) for part in parts])
        for spec in signature.outputs
    }


def _joined(name: str, parts: list[Array]) -> Array:
    for part in parts:
        if part.shape[1:] != parts[0].shape[1:]:
            raise ModelError(
                f"the output {name!r} has shape {parts[0].shape} for some rows and {part.shape} "
                "for others: a row's answer must not depend on how many rows there are"
            )
    return np.concatenate(parts)


def one_call(signature: Signature, inputs: Mapping[str, Array] | None) -> Arrays | None:
    """Makes the smallest call: the first row of the data, zeros where there is none.

    None where there is no data and the rows have free dimensions: which sizes make sense is for the
    user's data to say.
    """
    if inputs is not None:
        batch = batch_of(signature)
        step = 1 if batch == FREE else batch
        return {name: array[:step] for name, array in inputs.items()}
    if any(FREE in spec.shape[1:] for spec in signature.inputs):
        return None
    return {
        spec.name: np.zeros([max(size, 1) for size in spec.shape], spec.client_dtype)
        for spec in signature.inputs
    }


def latency_ms(model: Model, call: Arrays | None) -> float | None:
    """Times a call for about a second; returns the median in milliseconds, None without a call."""
    if call is None:
        return None
    for _ in range(_WARM_UP):
        model(call)
    taken: list[float] = []
    while len(taken) < _TIMED_AT_LEAST or (len(taken) < _TIMED_AT_MOST and sum(taken) < _TIMED_S):
        start = time.perf_counter()
        model(call)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000
