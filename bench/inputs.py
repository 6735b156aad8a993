"""What every candidate is asked: the same few inputs, always."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Rows: TypeAlias = npt.NDArray[np.float32]

DIGITS = Path("models/digits/evaluation.npz")


def digits_inputs(count: int) -> list[Rows]:
    """Pictures of the example's evaluation data, (1, 8, 8, 1) each."""
    with np.load(DIGITS) as data:
        rows = data["x"][:count].astype(np.float32)
    return [row[np.newaxis] for row in rows]


def mobilenet_inputs(count: int) -> list[Rows]:
    """Coloured squares of 32 x 32 pixels, (1, 224, 224, 3) each, between -1 and 1.

    Not noise, which looks the same to a network that averages over the picture.
    """
    random = np.random.default_rng(3)
    squares = random.uniform(-1, 1, (count, 7, 7, 3)).astype(np.float32)
    pictures = squares.repeat(32, axis=1).repeat(32, axis=2)
    return [np.ascontiguousarray(picture[np.newaxis]) for picture in pictures]


INPUTS: dict[str, Callable[[int], list[Rows]]] = {
    "digits": digits_inputs,
    "mobilenet": mobilenet_inputs,
}
