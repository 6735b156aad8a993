"""Whether a row's answer is the same whatever rows are beside it, for model.json.

The handler then runs many rows in groups, which bounds the memory that a request can take. A model
whose first dimension is no batch (samples of a sound, steps of a series) must not be cut so.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from convert import synthetic
from convert.data import Examples
from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.signature import FREE, Signature

Array = npt.NDArray[Any]

_ROWS = 5
_TOLERANCE = 1e-3


def describe(content: bytes, signature: Signature, examples: Examples | None) -> dict[str, Any]:
    """Renders model.json's `signature`, with `independent_rows`."""
    return signature.to_json() | {"independent_rows": holds(content, signature, examples)}


def holds(content: bytes, signature: Signature, examples: Examples | None) -> bool:
    """Runs a few rows together and one by one.

    Args:
        content: The .tflite file's bytes.
        signature: One of its signatures.
        examples: Rows that fit the signature; None where there are none.

    Returns:
        False as well where nothing can be said: the file fixes its first dimensions, or does not
        run on these rows, or there is one row only.
    """
    specs = (*signature.inputs, *signature.outputs)
    if not signature.inputs or any(spec.shape[:1] != (FREE,) for spec in specs):
        return False
    given = synthetic.inputs(signature, None) if examples is None else examples.inputs
    if given is None:
        return False
    rows = {spec.name: given[spec.name][:_ROWS] for spec in signature.inputs}
    count = min(map(len, rows.values()))
    try:
        model = LiteRtModel(content, signature)
        together = model.run(rows)
        apart = [
            model.run({name: array[place : place + 1] for name, array in rows.items()})
            for place in range(count)
        ]
    except ModelError:
        return False
    return count > 1 and all(
        _same(together[spec.name], [answers[spec.name] for answers in apart])
        for spec in signature.outputs
    )


def _same(together: Array, apart: list[Array]) -> bool:
    one = np.concatenate(apart).astype(float)
    if together.shape != one.shape or any(len(answer) != 1 for answer in apart):
        return False
    most = _TOLERANCE * float(np.abs(one).max(initial=0.0))
    return bool(np.allclose(together.astype(float), one, rtol=0.0, atol=most, equal_nan=True))
