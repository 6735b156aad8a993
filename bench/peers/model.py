"""What the three servers share: the model, run as LiteRT's own Python guide shows it."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter


class Model:
    """The .tflite file that BENCH_MODEL names, on one thread: the servers bring the processes."""

    def __init__(self) -> None:
        interpreter = Interpreter(os.environ["BENCH_MODEL"], num_threads=1)
        self._run = interpreter.get_signature_runner()
        (self._input,) = self._run.get_input_details()
        (self._output,) = self._run.get_output_details()
        shape = self._run.get_input_details()[self._input]["shape"]
        self._shape = (-1, *(int(size) for size in shape[1:]))

    def predict(self, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Answer a batch, in whatever shape it comes."""
        rows = np.asarray(values, np.float32).reshape(self._shape)
        answer: npt.NDArray[np.float32] = self._run(**{self._input: rows})[self._output]
        return answer

    def predict_raw(self, body: bytes) -> bytes:
        """Answer a raw tensor by a raw tensor."""
        return self.predict(np.frombuffer(body, np.float32)).tobytes()
