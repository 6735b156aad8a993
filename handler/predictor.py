"""One model's predictions: checks what goes in and what comes out. Knows no HTTP and no JSON."""

from __future__ import annotations

import math
from time import monotonic

from handler import batches
from handler.errors import BadRequestError, DeadlineError, LiteRtError
from handler.tensor import ITEM_SIZES, misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from handler.manifest import Manifest, Signature
    from handler.tensor import Tensor, TensorSpec

    class Backend(Protocol):
        """Where the arithmetic happens."""

        def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
            """Answer with every output of the signature, for checked inputs."""


_MARGIN = 0.05
"""Seconds that writing the answer, and Lambda's own work, may take after the last run."""

_TRIAL = 1 / 8
"""The part of what is left of a request's time that finding out what its rows take may take."""


class Predictor:
    """Checks tensors against a signature, and has a backend do the work.

    Args:
        manifest: Names, shapes and dtypes.
        backend: Where the arithmetic happens.

    Attributes:
        front: What is asked in the backend's place, where requests are put together: it asks `run`.
    """

    __slots__ = ("_paces", "backend", "front", "manifest")

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self.backend = backend
        self.front: Backend | None = None
        # By signature, seconds a row at the best so far (slower may be chance, faster is not), and
        # how many rows the largest run had.
        self._paces: dict[str, tuple[float, int]] = {}

    def signature(self, name: str = "") -> Signature:
        """The signature of that name; the model's default one for "".

        Raises:
            BadRequestError: There is none; those that exist are named.
        """
        found = self.manifest.signatures.get(name or self.manifest.signature)
        if found is None:
            names = ", ".join(self.manifest.signatures)
            raise BadRequestError(f"unknown signature '{name:.64}'; expected {names}")
        return found

    def predict(
        self, tensors: Mapping[str, Tensor], signature: str = "", deadline: float | None = None
    ) -> dict[str, Tensor]:
        """Run the model: once, or as often as its fixed batch makes necessary.

        Args:
            tensors: One tensor per input name, in the dtype clients speak (float32 for quantized
                inputs). A quantized input may also come in the model's own integer dtype; then
                quantized outputs are answered in theirs, too.
            signature: Which one; "" for the default.
            deadline: When the answer has to be out, by `time.monotonic`; None for no limit.

        Returns:
            One tensor per output name, in the signature's order.

        Raises:
            BadRequestError: There is no such signature; a tensor is missing, unknown, empty, of
                another dtype or shape, or not finite; or the model's answer is not finite.
            DeadlineError: Even at its best the model would not be done in time.
        """
        called = self.signature(signature)
        _check_names(called, tensors)
        for spec in called.inputs:
            _check_input(spec, tensors[spec.name])
        if called.batch:
            parts = batches.split(tensors, called)
            answers = batches.join(
                [self._run(part, called, deadline) for part in parts],
                batches.rows(tensors),
            )
        else:
            answers = self._run(tensors, called, deadline)
        for name, tensor in answers.items():
            # JSON has no NaN, and null would pass for a number somewhere. It is the client's to
            # mend: the same model answers other inputs, so alarms on 5xx stay for our own faults.
            position = tensor.first_non_finite()
            if position is not None:
                raise BadRequestError(
                    f"the model's output '{name}' is not finite for this input "
                    f"({tensor.values[position]} at flat position {position}): "
                    "it lies outside what the model can answer"
                )
        return answers

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Have the backend run what has been checked, and note how long its rows take.

        Raises:
            BadRequestError: The model cannot run on this combination of shapes.
            LiteRtError: LiteRT failed.
        """
        rows = batches.rows(tensors)
        start = monotonic()
        answers = self.backend.run(tensors, signature)
        pace = (monotonic() - start) / rows
        best, most = self._paces.get(signature.name, (pace, rows))
        self._paces[signature.name] = min(best, pace), max(most, rows)
        return answers

    def _run(
        self, tensors: Mapping[str, Tensor], signature: Signature, deadline: float | None
    ) -> dict[str, Tensor]:
        if deadline is not None:
            self._check_time(tensors, signature, deadline)
        return (self.front or self).run(tensors, signature)

    def _check_time(
        self, tensors: Mapping[str, Tensor], signature: Signature, deadline: float
    ) -> None:
        """Insist that the answer can be there in time.

        Many rows at once may take a hundredth each of what one takes alone. Before runs of few rows
        speak for a refusal, as many as fit into a part of the time are run, to see.
        """
        rows = batches.rows(tensors)
        while True:
            left = deadline - monotonic() - _MARGIN
            pace, most = self._paces.get(signature.name, (0.0, 0))
            if left >= 0 and rows * pace <= left:
                return
            trial = int(left * _TRIAL / pace) if left > 0 else 0
            if signature.batch or trial <= 2 * most:
                break
            try:
                self.run(batches.first(tensors, trial), signature)
            except (BadRequestError, LiteRtError):
                return  # fewer rows are no input to this model: nothing can be said
        raise DeadlineError(
            f"{max(left + _MARGIN, 0):.2f} s are left, which is not enough for {rows} rows: "
            "send fewer at once, or set more time (function.timeout; the server's --deadline)"
        )


def _check_names(signature: Signature, tensors: Mapping[str, Tensor]) -> None:
    expected = [spec.name for spec in signature.inputs]
    for name in expected:
        if name not in tensors:
            raise BadRequestError(f"missing input '{name}'; expected {', '.join(expected)}")
    if len(tensors) != len(expected):
        extra = next(name for name in tensors if name not in expected)
        raise BadRequestError(f"unknown input '{extra:.64}'; expected {', '.join(expected)}")


def _check_input(spec: TensorSpec, tensor: Tensor) -> None:
    shape = tensor.shape
    if tensor.dtype not in (spec.client_dtype, spec.dtype):
        raise misfit(spec, f"got {tensor.dtype}")
    if not spec.accepts(shape):
        empty = "an empty batch, shape" if 0 in shape[:1] else "shape"
        raise misfit(spec, f"got {empty} {list(shape)}")
    need = tensor.size * ITEM_SIZES[tensor.dtype]
    if len(tensor.data) != need:
        raise misfit(spec, f"got {len(tensor.data)} bytes, shape {list(shape)} needs {need}")
    if tensor.dtype == "bool" and max(tensor.data) > 1:
        raise misfit(spec, "a byte is neither 0 (false) nor 1 (true)")
    position = tensor.first_non_finite()
    if position is not None:
        nan = math.isnan(tensor.values[position])
        what = "NaN" if nan else f"outside the range of {tensor.dtype}"
        raise misfit(spec, f"the number at flat position {position} is {what}")
