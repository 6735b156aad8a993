"""Any number of rows through a model that runs some of them at once.

Where the model fixes its batch, rows go through in groups of that. The last group is filled up with
copies of its last row, whose answers are dropped: a row's answer does not depend on its neighbours
in a model that was trained on shuffled batches, and a real row cannot make the numbers misbehave as
zeros could.

Where the batch is free, a run needs memory for every one of its rows: a hundred pictures through
MobileNetV2 at once take 1 GB, and keep it. There a group is what a run of some milliseconds takes;
such groups are as fast, or faster, for the caches hold more of them.
"""

from __future__ import annotations

from handler.errors import BadRequestError, LiteRtError
from handler.tensor import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from handler.manifest import Signature


_SECONDS = 0.02
_MORE = 1.25  # another size is laid out anew, which takes as long as some rows
_CHEAPER = 0.75


def rows(tensors: Mapping[str, Tensor]) -> int:
    """The batch: the first tensor's leading dimension; 1 for a scalar, or for no tensors."""
    for tensor in tensors.values():
        if tensor.shape:
            return tensor.shape[0]
    return 1


def first(tensors: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The first rows of each tensor, or all where there are fewer, without copying them."""
    parts = {}
    for name, tensor in tensors.items():
        some = min((count, *tensor.shape[:1]))
        parts[name] = _group(tensor, 0, some, some) if tensor.shape else tensor
    return parts


def agree(tensors: Mapping[str, Tensor]) -> bool:
    """Whether all inputs have the same number of rows."""
    return len({tensor.shape[:1] for tensor in tensors.values()}) == 1


def split(tensors: Mapping[str, Tensor], signature: Signature) -> Iterator[Mapping[str, Tensor]]:
    """Give groups of exactly `signature.batch` rows, without copying them.

    Args:
        tensors: Checked inputs, at least one.
        signature: One that fixes its batch.

    Raises:
        BadRequestError: The inputs differ in their number of rows.
    """
    if not agree(tensors):
        sizes = ", ".join(f"'{name}' {tensor.shape[0]}" for name, tensor in tensors.items())
        raise BadRequestError(f"the inputs differ in their number of rows: {sizes}")
    count = rows(tensors)
    if count == signature.batch:
        yield tensors
        return
    for start in range(0, count, signature.batch):
        yield {
            name: _group(tensor, start, min(start + signature.batch, count), signature.batch)
            for name, tensor in tensors.items()
        }


class Portion:
    """How many rows of a free batch go through at once: found out as they go.

    Args:
        pace: Seconds that a row takes alone.

    Attributes:
        rows: As many as a run of `_SECONDS` takes, which has no time to fill much memory; or more,
            for as long as that makes each of them much cheaper. At least two.
    """

    __slots__ = ("_pace", "rows")

    def __init__(self, pace: float) -> None:
        self.rows = max(2, int(_SECONDS / pace))
        self._pace = pace

    def note(self, rows: int, seconds: float) -> None:
        """Learn from a run."""
        if rows < self.rows:
            return  # the last of a request
        pace = seconds / rows
        in_time = int(_SECONDS / pace)
        if in_time > _MORE * rows:
            self.rows = in_time
        elif pace < _CHEAPER * self._pace:
            self.rows = 2 * rows
        else:
            return
        self._pace = pace


def portions(tensors: Mapping[str, Tensor], portion: Portion) -> Iterator[Mapping[str, Tensor]]:
    """Give group after group, each of as many rows as the portion says by then, without copying.

    Args:
        tensors: Inputs of the same number of rows.
        portion: May be changed between two groups.
    """
    count, start = rows(tensors), 0
    while start < count:
        stop = min(start + portion.rows, count)
        yield {name: _group(tensor, start, stop, stop - start) for name, tensor in tensors.items()}
        start = stop


def join(answers: Sequence[Mapping[str, Tensor]], count: int) -> dict[str, Tensor]:
    """Put the groups' answers together, and drop those of rows that only filled the last one up.

    Raises:
        LiteRtError: An output does not have a row for each that went in.
    """
    joined = {}
    for name, first in answers[0].items():
        if len(answers) == 1 and first.shape[:1] == (count,):
            joined[name] = first
            continue
        tensors = [answer[name] for answer in answers]
        if sum(tensor.shape[0] for tensor in tensors) < count:
            raise LiteRtError(f"output '{name}' has fewer rows than went in")
        width = len(first.data) // first.shape[0]
        data = b"".join(tensor.data for tensor in tensors)
        joined[name] = Tensor(first.dtype, (count, *first.shape[1:]), data[: count * width])
    return joined


def _group(tensor: Tensor, start: int, stop: int, size: int) -> Tensor:
    width = len(tensor.data) // tensor.shape[0]
    data = tensor.data[start * width : stop * width]
    shape = (size, *tensor.shape[1:])
    if stop - start == size:
        return Tensor(tensor.dtype, shape, data)
    last = tensor.data[(stop - 1) * width : stop * width]
    return Tensor(tensor.dtype, shape, b"".join((data, *[last] * (size - stop + start))))
