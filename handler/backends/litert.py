"""The arithmetic in this process: LiteRT on the CPU."""

from __future__ import annotations

import hashlib
import os
from array import array
from threading import Lock

from handler.errors import LiteRtError, StartupError
from handler.litert import Model, Port
from handler.tensor import TYPECODES, Tensor, TensorSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from handler.manifest import Manifest

_REMEMBERED = 65_536
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


class LiteRtBackend:
    """Runs model.tflite; checks it against model.json once, at start-up.

    About half of all randomly corrupted .tflite files load, run and answer nonsense: hence the
    sha256.

    Args:
        manifest: What model.json says.
        directory: Folder that holds model.tflite.
        library: Path of libLiteRt.so.

    Raises:
        StartupError: The file is not there, is not the one model.json describes, or LiteRT refuses
            it.
    """

    def __init__(self, manifest: Manifest, directory: str, library: str) -> None:
        path = os.path.join(directory, "model.tflite")  # noqa: PTH118 - pathlib costs 4 ms
        _check_digest(path, manifest.sha256)
        try:
            self._model = Model(library, path, manifest.signature)
        except LiteRtError as error:
            raise StartupError(f"cannot load {path}: {error}") from error
        self._inputs = manifest.inputs
        self._outputs = manifest.outputs
        _check_ports("input", self._model.inputs, manifest.inputs)
        _check_ports("output", self._model.outputs, manifest.outputs)
        self._quantizers = {
            spec.name: _Quantizer(spec.quantization, _LIMITS[spec.dtype])
            for spec in manifest.inputs
            if spec.quantization is not None
        }
        self._lock = Lock()

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Raises:
            BadRequestError: The model cannot run on this combination of shapes.
            LiteRtError: LiteRT failed.
        """
        values = {}
        for spec in self._inputs:
            tensor = tensors[spec.name]
            numbers = tensor.values
            if spec.quantization is not None:
                numbers = self._quantizers[spec.name].quantize(numbers, TYPECODES[spec.dtype])
            values[spec.name] = (tensor.shape, numbers)
        with self._lock:
            results = self._model.run(values)
        answers = {}
        for spec in self._outputs:
            shape, numbers = results[spec.name]
            answers[spec.name] = Tensor(spec.client_dtype, shape, _dequantize(numbers, spec))
        return answers


class _Quantizer(dict[float, int]):
    """Float -> integer, remembered: a picture has 256 different values in 150,000 pixels."""

    def __init__(self, scheme: tuple[float, int], limits: tuple[int, int]) -> None:
        super().__init__()
        self._scale, self._zero_point = scheme
        self._low, self._high = limits

    def __missing__(self, value: float) -> int:
        exact = value / self._scale + self._zero_point
        # A value far outside the calibrated range saturates, as in LiteRT itself.
        number = round(min(max(exact, self._low), self._high))
        self[value] = number
        return number

    def quantize(self, values: array[Any], typecode: str) -> array[Any]:
        """All of them, as an array of that typecode."""
        if len(self) > _REMEMBERED:
            self.clear()
        return array(typecode, map(self.__getitem__, values))


def _dequantize(values: array[Any], spec: TensorSpec) -> array[Any]:
    if spec.quantization is None:
        return values
    scale, zero_point = spec.quantization
    return array("f", [(value - zero_point) * scale for value in values])


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
        if spec.quantization is not None and spec.dtype not in _LIMITS:
            raise StartupError(f"model.json: '{spec.name}' is quantized as {spec.dtype}")
