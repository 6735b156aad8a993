"""Scores <-> their labels, for the routes that speak of classes instead of numbers."""

from __future__ import annotations

from handler.tensor import Tensor, to_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Manifest

_MATRIX = 2


def fit(shape: tuple[int, ...], manifest: Manifest) -> bool:
    """Whether an output of this shape is a row of scores for each that came in, one a label.

    One score may have two labels: it is the probability of the second.
    """
    if len(shape) != _MATRIX:
        return False
    labels = manifest.labels
    return labels is None or shape[1] in (len(labels), -1) or (shape[1], len(labels)) == (1, 2)


def pair(tensors: Mapping[str, Tensor], manifest: Manifest) -> list[list[tuple[str, float]]] | None:
    """Each row's labels with their scores, in the model's order.

    Args:
        tensors: The model's answer.
        manifest: Gives the labels; without any, they are the numbers from 0 on.

    Returns:
        None where that is not one output of such rows, or a lone score of two labels is no
        probability.
    """
    tensor, *others = tensors.values()
    shape = tensor.shape
    if others or not fit(shape, manifest):
        return None
    labels = manifest.labels or list(map(str, range(shape[1])))
    if len(labels) != shape[1]:
        chances = tensor.tolist()
        if not all(0 <= chance <= 1 for chance in chances):
            return None
        both = [number for chance in chances for number in (1 - chance, chance)]
        tensor = Tensor.of(tensor.dtype, (shape[0], 2), both)
    values, width = to_values(tensor), len(labels)
    rows = (values[i : i + width] for i in range(0, len(values), width))
    return [list(zip(labels, row, strict=True)) for row in rows]


def misfit(tensors: Mapping[str, Tensor], manifest: Manifest) -> str:
    """What to say where `pair` found no scores: the model, as the sentence's subject, does what."""
    given = " and ".join(str(list(tensor.shape)) for tensor in tensors.values())
    labels = "" if manifest.labels is None else f" for {len(manifest.labels)} labels"
    return f"gives {given}{labels}, not a row of scores or one probability; use :predict"
