"""Inputs made up where the user gave none: good for comparing two models, and for nothing else."""

import numpy as np

from convert.answers import Arrays
from convert.card import Picture
from convert.signature import FREE, Signature

ROWS = 64
_SEED = 66


def inputs(signature: Signature, picture: Picture | None) -> Arrays | None:
    """Makes rows that a model can take; always the same ones.

    Floats are normal numbers, or evenly spread over the picture's range. Bytes are spread over all
    their values. Wider integers are 0 or 1, since they may be numbers of tokens or classes and a
    file does not say how many there are.

    Returns:
        Every input by name; None where a row has a free dimension, for which sizes make sense is
        not ours to guess.
    """
    if any(FREE in spec.shape[1:] or not spec.shape for spec in signature.inputs):
        return None
    random = np.random.default_rng(_SEED)
    batch = max(spec.shape[0] for spec in signature.inputs)
    # A fixed batch is filled as often as it takes.
    rows = ROWS if batch == FREE else batch * -(-ROWS // batch)
    made: Arrays = {}
    for spec in signature.inputs:
        shape, kind = (rows, *spec.shape[1:]), np.dtype(spec.client_dtype)
        if kind.kind == "f" and picture is not None:
            low, high = sorted(picture.range)
            made[spec.name] = random.uniform(low, high, shape).astype(kind)
        elif kind.kind == "f":
            made[spec.name] = random.standard_normal(shape).astype(kind)
        elif kind.itemsize == 1 and kind.kind != "b":
            bounds = np.iinfo(kind)
            made[spec.name] = random.integers(bounds.min, bounds.max, shape, kind, endpoint=True)
        else:
            made[spec.name] = random.integers(0, 2, shape).astype(kind)
    return made
