"""The arithmetic in this process: LiteRT on the CPU."""

from __future__ import annotations

import hashlib
import os
from threading import Lock

from handler.errors import LiteRtError, StartupError
from handler.litert import Model, Port
from handler.quantization import LIMITS, Quantizer, dequantize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handler.manifest import Manifest, Signature
    from handler.tensor import Tensor, TensorSpec


class LiteRtBackend:
    """Runs model.tflite; checks it against model.json once, at start-up.

    About half of all randomly corrupted .tflite files load, run and answer nonsense: hence the
    sha256.

    Args:
        manifest: What model.json says.
        directory: Folder that holds model.tflite.
        library: Path of libLiteRt.so.
        threads: How many threads a run may use.

    Raises:
        StartupError: The file is not there, is not the one model.json describes, or LiteRT refuses
            it.
    """

    def __init__(self, manifest: Manifest, directory: str, library: str, threads: int = 1) -> None:
        path = os.path.join(directory, "model.tflite")  # noqa: PTH118 - pathlib costs 4 ms
        _check_digest(path, manifest.sha256)
        try:
            self._model = Model(library, path, manifest.signatures, threads)
        except LiteRtError as error:
            raise StartupError(f"cannot load {path}: {error}") from error
        for name, signature in manifest.signatures.items():
            _check_ports("input", self._model.inputs(name), signature.inputs)
            _check_ports("output", self._model.outputs(name), signature.outputs)
        self._quantizers = {
            (name, spec.name): Quantizer(spec)
            for name, signature in manifest.signatures.items()
            for spec in signature.inputs
            if spec.quantization is not None
        }
        self._lock = Lock()

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Quantized outputs are answered as floats, but to a client that sent a quantized input as
        integers, as integers.

        Raises:
            BadRequestError: The model cannot run on this combination of shapes.
            LiteRtError: LiteRT failed.
        """
        own = dict(tensors)
        raw = False
        for spec in signature.inputs:
            if spec.quantization is not None:
                raw = raw or own[spec.name].dtype == spec.dtype
                quantizer = self._quantizers[signature.name, spec.name]
                own[spec.name] = quantizer.quantize(own[spec.name])
        with self._lock:
            results = self._model.run(signature.name, own)
        return {
            spec.name: results[spec.name] if raw else dequantize(results[spec.name], spec)
            for spec in signature.outputs
        }

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            self._model.close()


def _check_digest(path: str, expected: str) -> None:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 4 ms of cold start
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise StartupError(f"cannot read {path}: {error}; MODEL_DIR names its folder") from error
    if digest.hexdigest() != expected:
        raise StartupError(
            f"{path} has sha256 {digest.hexdigest()}, model.json expects {expected}: "
            "the two are not from one conversion, build the image again"
        )


def _check_ports(side: str, ports: Sequence[Port], specs: Sequence[TensorSpec]) -> None:
    """Hold model.json to the file; a free dimension must be free in both."""
    actual = {port.name: (port.dtype, port.shape) for port in ports}
    declared = {spec.name: (spec.dtype, spec.shape) for spec in specs}
    if actual != declared:
        raise StartupError(
            f"model.json's {side}s {declared} are not model.tflite's {actual}: run convert again"
        )
    for spec in specs:
        if spec.quantization is not None and spec.dtype not in LIMITS:
            raise StartupError(f"model.json: '{spec.name}' is quantized as {spec.dtype}")
