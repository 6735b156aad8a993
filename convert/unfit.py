"""Refuses a .tflite file that could be loaded here, and would be of no use there."""

import numpy as np

from convert.errors import ModelError
from convert.signature import parse, text

_FLOATS = {0: "<f4", 1: "<f2", 10: "<f8"}  # LiteRT's TensorType -> numpy's name


def refuse(content: bytes) -> None:
    """Looks at operators and constants.

    Raises:
        ModelError: There are operators that LiteRT does not carry itself; all are named. Or a
            constant holds NaN; the first is named. (Infinity is left alone: masks are made of it.)
    """
    model = parse(content)
    codes = model.operatorCodes or []
    custom = sorted({text(code.customCode) for code in codes if code.customCode})
    if custom:
        raise ModelError(
            f"needs operators that LiteRT does not have: {', '.join(custom)}: "
            "rebuild the layer that makes them from plain operations"
        )
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            dtype, data = _FLOATS.get(tensor.type), model.buffers[tensor.buffer].data
            if dtype is None or data is None:
                continue
            if np.isnan(np.frombuffer(bytes(data), np.dtype(dtype))).any():
                raise ModelError(
                    f"weight {text(tensor.name)!r} has NaN in it: training diverged; "
                    "take an earlier checkpoint"
                )
