"""Dynamic batching: rows of requests that come at the same time, through the model at once.

A backend around another one, called by as many threads as rows fit into a batch. Whoever finds no
batch to join opens one, and runs it when it is full, or its time is over and the model is free;
the others wait for their rows of the answer. A batch that fails is run again request by request, so
that each gets its own error and nobody another's.
"""

from __future__ import annotations

from threading import Event, Lock
from typing import TYPE_CHECKING

from handler.errors import BadRequestError, LiteRtError, StartupError
from handler.tensor import Tensor, zeros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Signature
    from handler.predictor import Backend

_TOLERANCE = 1e-3


class _Entry:
    """One request in a batch."""

    __slots__ = ("answers", "done", "error", "rows", "tensors")

    def __init__(self, tensors: Mapping[str, Tensor], rows: int) -> None:
        self.tensors = tensors
        self.rows = rows
        self.done = Event()
        self.answers: dict[str, Tensor] = {}
        self.error: Exception | None = None


class _Batch:
    """Requests that run together."""

    __slots__ = ("entries", "full", "rows")

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.rows = 0
        self.full = Event()


class Batcher:
    """Runs requests of several threads together.

    Args:
        backend: Where the arithmetic happens.
        size: Most rows in a batch.
        delay: Seconds that the first request of a batch waits for others.
    """

    def __init__(self, backend: Backend, size: int, delay: float) -> None:
        self._backend = backend
        self._size = size
        self._delay = delay
        self._lock = Lock()
        self._model = Lock()
        self._open: dict[object, _Batch] = {}

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Raises:
            BadRequestError: The model cannot run on this combination of shapes.
            LiteRtError: LiteRT failed.
        """
        counts = {tensor.shape[0] for tensor in tensors.values() if tensor.shape}
        rows = max(counts, default=self._size)
        if len(counts) > 1 or rows >= self._size or not is_free(signature):
            return self._backend.run(tensors, signature)
        entry = _Entry(tensors, rows)
        key = (
            signature.name,
            *((name, at.dtype, at.shape[1:]) for name, at in sorted(tensors.items())),
        )
        batch, first = self._join(key, entry)
        if first:
            batch.full.wait(self._delay)
            # While the model is busy, the batch that waits for it goes on filling.
            with self._model:
                self._close(key, batch)
                self._run(batch, signature)
        entry.done.wait()
        if entry.error is not None:
            raise entry.error
        return entry.answers

    def _join(self, key: object, entry: _Entry) -> tuple[_Batch, bool]:
        """Put a request into the open batch, or into a new one; and say which it was."""
        with self._lock:
            batch = self._open.get(key)
            if batch is not None and batch.rows + entry.rows > self._size:
                batch.full.set()
                batch = None
            first = batch is None
            if batch is None:
                batch = self._open[key] = _Batch()
            batch.entries.append(entry)
            batch.rows += entry.rows
            if batch.rows == self._size:
                del self._open[key]
                batch.full.set()
            return batch, first

    def _close(self, key: object, batch: _Batch) -> None:
        with self._lock:
            if self._open.get(key) is batch:
                del self._open[key]

    def _run(self, batch: _Batch, signature: Signature) -> None:
        entries = batch.entries
        try:
            if len(entries) > 1 and self._together(batch, signature):
                return
            for entry in entries:
                try:
                    entry.answers = self._backend.run(entry.tensors, signature)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is its request's
                    entry.error = error
        finally:
            for entry in entries:
                entry.done.set()

    def _together(self, batch: _Batch, signature: Signature) -> bool:
        """Run all of them at once; False when that failed, or gave other rows than went in."""
        try:
            answers = self._backend.run(join([at.tensors for at in batch.entries]), signature)
        except (BadRequestError, LiteRtError):
            return False
        if any(tensor.shape[:1] != (batch.rows,) for tensor in answers.values()):
            return False
        start = 0
        for entry in batch.entries:
            entry.answers = {
                name: cut(tensor, start, start + entry.rows) for name, tensor in answers.items()
            }
            start += entry.rows
        return True


def is_free(signature: Signature) -> bool:
    """Whether every input and output has a first dimension that the caller chooses."""
    specs = (*signature.inputs, *signature.outputs)
    return all(spec.shape[:1] == (-1,) for spec in specs)


def check(backend: Backend, signature: Signature) -> None:
    """Insist that batching leaves the model's numbers as they are.

    Raises:
        StartupError: The model fixes its batch, or a row's answer depends on the other rows.
    """
    if not is_free(signature):
        raise StartupError(
            "--max-batch-size is above 1, and the model fixes its first dimensions: convert it "
            "with a free batch, or leave the option out"
        )
    parts: list[dict[str, Tensor]] = [{}, {}]
    for spec in signature.inputs:
        zero = zeros(spec)
        parts[0][spec.name] = zero
        parts[1][spec.name] = Tensor.of(zero.dtype, zero.shape, [1] * zero.size)
    try:
        apart = [backend.run(part, signature) for part in parts]
        together = backend.run(join(parts), signature)
    except (BadRequestError, LiteRtError):
        # Dimensions of size 1, or these values, are nothing to this model: nothing can be said.
        return
    for name, tensor in together.items():
        for index, answers in enumerate(apart):
            rows = tensor.shape[:1] == (len(parts),)
            if not (rows and _equal(cut(tensor, index, index + 1), answers[name])):
                raise StartupError(
                    f"--max-batch-size is above 1, and output '{name}' of one row changes with the "
                    "rows beside it: leave the option out for this model"
                )


def join(parts: list[dict[str, Tensor]] | list[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Put rows below each other; dtypes and all dimensions but the first agree."""
    joined = {}
    for name, first in parts[0].items():
        tensors = [part[name] for part in parts]
        rows = sum(tensor.shape[0] for tensor in tensors)
        data = b"".join(tensor.data for tensor in tensors)
        joined[name] = Tensor(first.dtype, (rows, *first.shape[1:]), data)
    return joined


def cut(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Some rows, without copying them."""
    width = len(tensor.data) // tensor.shape[0]
    data = tensor.data[start * width : stop * width]
    return Tensor(tensor.dtype, (stop - start, *tensor.shape[1:]), data)


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    pairs = list(zip(one.tolist(), other.tolist(), strict=True))
    most = _TOLERANCE * max((abs(value) for pair in pairs for value in pair), default=0)
    # Equal covers infinities; NaN beside NaN is as it was.
    return all(
        a == b or abs(a - b) <= most or (a != a and b != b)  # noqa: PLR0124
        for a, b in pairs
    )
