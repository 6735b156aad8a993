"""The model and nothing around it: LiteRtRunCompiledModel through ctypes, buffers made beforehand.

Everything else that is measured is a multiple of this. Of its own, so that a change in the handler
does not move the yardstick. Also a program, run as a file: LIBRARY MODEL SECONDS CORE... prints the
calls' times in milliseconds as JSON, one list a core. Standard library only: it runs inside the
function's image too.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from ctypes import byref, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p

_ACCELERATORS_OPTION = 24
_INTEGER = 2
_CPU = 1
_RANK_BITS = 0x7F
_WARM_CALLS = 5


class _EnvironmentOption(ctypes.Structure):
    _fields_ = (("tag", c_int), ("padding", c_int), ("type", c_int), ("value", c_int64))


class _Layout(ctypes.Structure):
    _fields_ = (("rank", c_uint32), ("dimensions", c_int32 * 8), ("strides", c_uint32 * 8))


class _TensorType(ctypes.Structure):
    _fields_ = (("element", c_int32), ("layout", _Layout))


class BareCall:
    """One model with one input and one output, for one row, on the library's one thread.

    Args:
        library: Path of libLiteRt.so.
        path: Path of the .tflite file.
    """

    def __init__(self, library: str, path: str) -> None:
        self._library = ctypes.CDLL(library)
        option = _EnvironmentOption(_ACCELERATORS_OPTION, 0, _INTEGER, _CPU)
        environment = self._make("CreateEnvironment", c_int(1), byref(option))
        model = self._make("CreateModelFromFile", environment, c_char_p(path.encode()))
        options = self._make("CreateOptions")
        self._call("SetOptionsHardwareAccelerators", options, c_int(_CPU))
        self._compiled = self._make("CreateCompiledModel", environment, model, options)
        signature = self._make("GetModelSignature", model, c_size_t(0))
        given, answer = self._type(signature, "Input"), self._type(signature, "Output")
        shape = self._one_row(given)
        self._call(
            "CompiledModelResizeInputTensor",
            *(self._compiled, c_size_t(0), c_size_t(0), shape, c_size_t(len(shape))),
        )
        # Plans memory for the new shape, which the buffers' requirements depend on.
        layout = _Layout()
        self._call(
            "GetCompiledModelOutputTensorLayouts",
            *(self._compiled, c_size_t(0), c_size_t(1), byref(layout), c_bool(True)),  # noqa: FBT003
        )
        answer.layout = layout
        self._in = self._buffer(environment, "Input", given)
        self._out = self._buffer(environment, "Output", answer)

    def __call__(self) -> None:
        """Run the model once, on whatever the input holds."""
        self._call(
            "RunCompiledModel",
            *(self._compiled, c_size_t(0), c_size_t(1), byref(self._in)),
            *(c_size_t(1), byref(self._out)),
        )

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, f"LiteRt{name}")(*arguments)
        if status:
            raise SystemExit(f"LiteRt{name} ended with status {status}")

    def _make(self, name: str, *arguments: object) -> c_void_p:
        handle = c_void_p()
        self._call(name, *arguments, byref(handle))
        return handle

    def _type(self, signature: c_void_p, side: str) -> _TensorType:
        tensor = self._make(f"GetSignature{side}TensorByIndex", signature, c_size_t(0))
        kind = _TensorType()
        self._call("GetRankedTensorType", tensor, byref(kind))
        return kind

    def _buffer(self, environment: c_void_p, side: str, kind: _TensorType) -> c_void_p:
        requirements = self._make(
            f"GetCompiledModel{side}BufferRequirements",
            *(self._compiled, c_size_t(0), c_size_t(0)),
        )
        return self._make(
            "CreateManagedTensorBufferFromRequirements", environment, byref(kind), requirements
        )

    @staticmethod
    def _one_row(kind: _TensorType) -> ctypes.Array[c_int]:
        rank = kind.layout.rank & _RANK_BITS
        for axis in range(rank):
            if kind.layout.dimensions[axis] < 0:
                kind.layout.dimensions[axis] = 1
        shape: ctypes.Array[c_int] = (c_int * rank)(*kind.layout.dimensions[:rank])
        return shape


def measure(call: BareCall, seconds: float) -> list[float]:
    """Times of calls made one after the other, in milliseconds."""
    for _ in range(_WARM_CALLS):
        call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - began) / 1e6)
    return times


def main(library: str, path: str, seconds: str, *cores: str) -> None:
    """Print the times on each core, one after the other."""
    call = BareCall(library, path)
    times = []
    for core in cores:
        os.sched_setaffinity(0, {int(core)})
        times.append(measure(call, float(seconds)))
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
