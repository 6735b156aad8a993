"""The arithmetic in this process: LiteRT on the CPU."""

from __future__ import annotations

import math
import os
from threading import Lock
from time import perf_counter

from handler import batches, golden
from handler.errors import LiteRtError, StartupError
from handler.litert import Model, Port
from handler.litert_library import Library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handler.manifest import Manifest, Signature
    from handler.model_file import ModelFile
    from handler.quantization import Translator
    from handler.tensor import Tensor, TensorSpec

_MEGABYTES_PER_CPU = 1769  # AWS: a function with 1,769 MB has the equivalent of one vCPU
LARGE_BYTES = 4 << 20
"""From here on it matters where a model's weights are."""


class LiteRtBackend:
    """Runs model.tflite; holds it to model.json once, at start-up: see model_file and golden.

    Args:
        manifest: What model.json says.
        file: model.tflite.
        library: Path of libLiteRt.so.
        threads: How many threads a run may use.

    Raises:
        StartupError: The file is not there, is not the one model.json describes, LiteRT refuses
            it, or it answers otherwise than it did when it was converted.
    """

    def __init__(self, manifest: Manifest, file: ModelFile, library: str, threads: int = 1) -> None:
        try:
            loaded = Library(library)
            # Before LiteRT sees it: a damaged file may end the process unexplained.
            file.check(manifest.sha256)
            if len(file.memory) > LARGE_BYTES:
                from handler import heap  # a small model fits into what is there

                # The weights once more, in LiteRT's own order, and what lies between layers.
                heap.use_large_pages(2 * len(file.memory))
            self._model = Model(loaded, file.memory, manifest.signatures, threads)
        except LiteRtError as error:
            raise StartupError(f"cannot load model.tflite: {error}") from error
        for name, signature in manifest.signatures.items():
            _check_ports("input", self._model.inputs(name), signature.inputs)
            _check_ports("output", self._model.outputs(name), signature.outputs)
        # Integers inside, floats outside: few files are so, and the others need not know how.
        self._translators = {
            name: _translator(signature)
            for name, signature in manifest.signatures.items()
            if any(spec.quantization for spec in (*signature.inputs, *signature.outputs))
        }
        self._lock = Lock()
        self._portions: dict[str, batches.Portion] = {}
        begin = perf_counter()
        golden.check(self, manifest)
        # One row, laid out for the first time and with everything cold: more than it takes later.
        paces = {manifest.signature: perf_counter() - begin} if manifest.golden else {}
        for name, signature in manifest.signatures.items():
            if signature.independent:
                self._portions[name] = batches.Portion(paces.get(name, math.inf))

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Quantized outputs are answered as floats, but to a client that sent a quantized input as
        integers, as integers.

        Raises:
            BadRequestError: The model cannot run on this combination of shapes.
            LiteRtError: LiteRT failed.
        """
        translator = self._translators.get(signature.name)
        if translator is not None:
            return translator.run(tensors, lambda own: self._run(own, signature))
        return self._run(tensors, signature)

    def _run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        portion = self._portions.get(signature.name)
        if portion is not None and batches.rows(tensors) > portion.rows and batches.agree(tensors):
            return self._run_groups(tensors, signature, portion)
        with self._lock:
            results = self._model.run(signature.name, tensors)
        return {spec.name: results[spec.name] for spec in signature.outputs}

    def _run_groups(
        self, tensors: Mapping[str, Tensor], signature: Signature, portion: batches.Portion
    ) -> dict[str, Tensor]:
        answers = []
        for group in batches.portions(tensors, portion):
            begin = perf_counter()
            answers.append(self._run(group, signature))
            portion.note(batches.rows(group), perf_counter() - begin)
        return batches.join(answers, batches.rows(tensors))

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            self._model.close()


def thread_count(settings: Mapping[str, str]) -> int:
    """How many threads a run may use.

    MODEL_THREADS where it is set; on Lambda as many as the memory setting buys whole processors,
    for a thread that shares one is waited for by the others; elsewhere 1, since a server has a
    process for each core.

    Raises:
        StartupError: MODEL_THREADS is not a number above zero.
    """
    text = settings.get("MODEL_THREADS", "")
    if text:
        if not text.isdecimal() or int(text) == 0:
            raise StartupError(f"MODEL_THREADS is '{text}', expected a number of threads such as 2")
        return int(text)
    memory = settings.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")
    bought = int(memory) // _MEGABYTES_PER_CPU if memory.isdecimal() else 0
    return max(1, min(bought, len(os.sched_getaffinity(0))))


def _check_ports(side: str, ports: Sequence[Port], specs: Sequence[TensorSpec]) -> None:
    """Hold model.json to the file; a free dimension must be free in both."""
    actual = {port.name: (port.dtype, port.shape) for port in ports}
    declared = {spec.name: (spec.dtype, spec.shape) for spec in specs}
    if actual != declared:
        raise StartupError(
            f"model.json's {side}s {declared} are not model.tflite's {actual}: run convert again"
        )


def _translator(signature: Signature) -> Translator:
    from handler.quantization import Translator

    return Translator(signature)
