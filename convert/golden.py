"""A question and its answer, for model.json: the handler asks it at every start.

The question is a row of the user's data where there is any, and otherwise seeded numbers (zeros for
integers, since every table of ids has an entry 0). Large inputs are a piece repeated.

The answer has to hold on other processors too. Two sets of kernels are asked, XNNPACK's and
LiteRT's own, which differ by more than two processors do; the tolerance is several times their
difference, and numbers that differ too much are left out. So are integers: the winner of a close
race may be another elsewhere.
"""

import base64
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.data import Examples
from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.signature import FREE, Signature, TensorSpec

Array = npt.NDArray[Any]

_PIECE = 4096
_VALUES = 256
_DIGITS = 3
# Rounding itself is wrong by half a per cent of the greatest value at most.
_TOLERANCES = (0.02, 0.05, 0.1)
_TIMES = 3
_FREE_SIZE = 16


def make(content: bytes, signature: Signature, examples: Examples | None) -> dict[str, Any] | None:
    """Makes model.json's `golden`, which `handler/golden.py` describes.

    Args:
        content: The .tflite file's bytes.
        signature: Its signature.
        examples: Rows that fit the signature; None where there are none.

    Returns:
        None where the model cannot be run on made-up data, because its sizes are free and nobody
        said which make sense.
    """
    pieces = {spec.name: _piece(spec, examples) for spec in signature.inputs}
    inputs = {
        spec.name: np.resize(pieces[spec.name], _shape(spec, examples)) for spec in signature.inputs
    }
    try:
        answers = LiteRtModel(content, signature).run(inputs)
        others = LiteRtModel(content, signature, delegates=False).run(inputs)
    except ModelError:
        return None
    tolerance = _TOLERANCES[0]
    outputs = {}
    for spec in signature.outputs:
        needed = _tolerance(answers[spec.name], others[spec.name])
        outputs[spec.name] = {"shape": list(answers[spec.name].shape)}
        if needed is not None:
            tolerance = max(tolerance, needed)
            outputs[spec.name]["values"] = _rounded(answers[spec.name])
    return {
        "inputs": {
            name: {
                "shape": list(array.shape),
                "base64": base64.b64encode(pieces[name].tobytes()).decode(),
            }
            for name, array in inputs.items()
        },
        "outputs": outputs,
        "tolerance": tolerance,
    }


def _shape(spec: TensorSpec, examples: Examples | None) -> tuple[int, ...]:
    if examples is not None and spec.shape:
        sizes: tuple[int, ...] = examples.inputs[spec.name].shape[1:]
        return (max(spec.shape[0], 1), *sizes)
    # One row; other free sizes are guessed.
    return tuple(
        (_FREE_SIZE if place else 1) if size == FREE else size
        for place, size in enumerate(spec.shape)
    )


def _piece(spec: TensorSpec, examples: Examples | None) -> Array:
    """At most 4 KiB of the first row: the stretch whose values differ most, not a blank margin."""
    dtype = np.dtype(spec.client_dtype).newbyteorder("<")
    most = _PIECE // dtype.itemsize
    if examples is None:
        size = min(most, math.prod(_shape(spec, None)))
        if dtype.kind == "f":
            return np.random.default_rng(66).random(size).astype(dtype)
        return np.zeros(size, dtype)
    row: Array = examples.inputs[spec.name][0].astype(dtype).ravel()
    starts = range(0, max(row.size - most, 0) + 1, most)
    best = max(starts, key=lambda start: float(np.ptp(row[start : start + most].astype(float))))
    piece: Array = row[best : best + most]
    return piece


def _tolerance(answer: Array, other: Array) -> float | None:
    """How much of the greatest value a number may be off; None where numbers say nothing."""
    values = answer.flat[:_VALUES].astype(float)
    if answer.dtype.kind != "f" or answer.shape != other.shape or not np.isfinite(answer).all():
        return None
    greatest = float(np.abs(values).max(initial=0.0))
    if greatest == 0.0:
        return None
    difference = float(np.abs(values - other.flat[:_VALUES].astype(float)).max()) / greatest
    return next((step for step in _TOLERANCES if _TIMES * difference <= step), None)


def _rounded(answer: Array) -> list[float]:
    """Decimals that the greatest value's three significant digits have, for all values.

    Another processor's last bits shall not change the file: the smallest values differ the most.
    """
    values = answer.flat[:_VALUES].astype(float)
    decimals = _DIGITS - 1 - math.floor(math.log10(float(np.abs(values).max())))
    # Adding 0 makes 0.0 of -0.0.
    return [round(value, decimals) + 0.0 for value in values.tolist()]
