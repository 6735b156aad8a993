"""Two requests that wait for the model anyway, in one run.

XNNPACK then reads each layer's weights once for both, which takes MobileNetV2 5 to 7 % less time a
row; and the second request's way through Python is one that the caches still hold. The first is
answered later than it would be alone, by the second's run; nobody waits for others to come.

A backend around LiteRT's, which looks at the next request when it is asked to run the current one,
and keeps that one's answer until its turn: everything is checked, counted and refused there as
ever. In the records of the two, `infer_ms` is all the first one's.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING

from handler.errors import BadRequestError, LiteRtError
from handler.server.batcher import cut, is_free, join
from handler.server.bodies import Body
from handler.tensor import FLOATS, Tensor, zeros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Signature
    from handler.messages import Request
    from handler.predictor import Backend
    from handler.server.turns import Turns
    from handler.tensor import TensorSpec

_TRIALS = 2
_MOST = 1.05  # of the time that both take alone: Python's part, which is not in it, gets shorter


class Pairs:
    """Runs a row with the one that is next in its turn.

    Args:
        backend: Where the arithmetic happens: rows one by one, or two, to the same bits.
        turns: Whose turn it is, and who is next.
    """

    def __init__(self, backend: Backend, turns: Turns) -> None:
        self._backend = backend
        self._turns = turns
        self._rows: Body | None = None  # where two lie behind each other
        self._next: tuple[Request, dict[str, Tensor]] | None = None

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Raises:
            BadRequestError: The model cannot run on this combination of shapes.
            LiteRtError: LiteRT failed.
        """
        ready, self._next = self._next, None
        current = self._turns.current
        if current is None or not _is_body(tensors, current):
            return self._backend.run(tensors, signature)
        if ready is not None and ready[0] is current:
            return ready[1]
        other = self._turns.beside()
        if other is not None:
            answers = self._together(tensors, other, signature)
            if answers is not None:
                self._next = other, _row(answers, 1)
                return _row(answers, 0)
        return self._backend.run(tensors, signature)

    def _together(
        self, tensors: Mapping[str, Tensor], other: Request, signature: Signature
    ) -> dict[str, Tensor] | None:
        """Run both; None where that failed, maybe for the other's numbers, or gave other rows."""
        ((name, tensor),) = tensors.items()
        size = len(tensor.data)
        rows = self._rows
        if rows is None or len(rows) != 2 * size:
            rows = self._rows = Body(2 * size)
        with memoryview(rows) as view:
            view[:size] = tensor.data
            view[size:] = other.body
        pair = Tensor(tensor.dtype, (2, *tensor.shape[1:]), rows)
        try:
            answers = self._backend.run({name: pair}, signature)
        except (BadRequestError, LiteRtError):
            return None
        return answers if _are_two(answers) else None


def pay(backend: Backend, signature: Signature) -> bool:
    """Whether two rows at once have the bits that each has alone, and take no longer.

    Args:
        backend: Where the arithmetic happens.
        signature: The one that raw tensors are for.
    """
    if not is_free(signature) or len(signature.inputs) != 1:
        return False
    (spec,) = signature.inputs
    if spec.quantization or spec.dtype == "bool":
        return False  # the second row is not checked before it runs, and not every byte is a value
    parts = [{spec.name: _sample(spec, step)} for step in (1, 2)]
    rows = join(parts)
    together, apart = math.inf, math.inf
    try:
        both = backend.run(rows, signature)  # laid out for two
        for _ in range(_TRIALS):
            begin = perf_counter()
            both = backend.run(rows, signature)
            middle = perf_counter()
            single = [backend.run(part, signature) for part in parts]
            together = min(together, middle - begin)
            apart = min(apart, perf_counter() - middle)
    except (BadRequestError, LiteRtError):
        return False  # a size of 1, or these values, are nothing to this model
    return (
        together <= _MOST * apart
        and _are_two(both)
        and all(
            _row(both, number)[name].data == answer.data
            for number, answers in enumerate(single)
            for name, answer in answers.items()
        )
    )


def _is_body(tensors: Mapping[str, Tensor], request: Request) -> bool:
    """Whether the model is asked for one row, which is a request's body as it came."""
    if len(tensors) != 1:
        return False
    (tensor,) = tensors.values()
    return (
        tensor.data.obj is request.body
        and len(tensor.data) == len(request.body)
        and tensor.shape[:1] == (1,)
    )


def _are_two(answers: Mapping[str, Tensor]) -> bool:
    return all(tensor.shape[:1] == (2,) for tensor in answers.values())


def _row(answers: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    return {name: cut(tensor, number, number + 1) for name, tensor in answers.items()}


def _sample(spec: TensorSpec, step: int) -> Tensor:
    """A row of floats from -step to step, hardly two neighbours alike; of integers, 0 or 1.

    Of another range each: a model that scales its numbers by the largest in the batch is found out.
    """
    row = zeros(spec)
    if row.dtype not in FLOATS:
        return Tensor.of(row.dtype, row.shape, [step % 2] * row.size)
    few = [step * (step * i % 251 / 125 - 1) for i in range(251)]
    repeated = bytes(Tensor.of(row.dtype, (len(few),), few).data) * (row.size // len(few) + 1)
    return Tensor(row.dtype, row.shape, repeated[: len(row.data)])
