"""API Gateway's events <-> numpy, in the few lines that anybody would write."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt


def read(event: dict[str, Any], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The rows of an event: JSON's `instances`, or a raw tensor.

    Args:
        event: Payload format 2.0.
        shape: Of the rows, -1 for the batch.
    """
    if event["isBase64Encoded"]:
        return np.frombuffer(base64.b64decode(event["body"]), np.float32).reshape(shape)
    return np.asarray(json.loads(event["body"])["instances"], np.float32)


def write(event: dict[str, Any], predictions: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The answer, in the form of the question."""
    if event["isBase64Encoded"]:
        return {
            "statusCode": 200,
            "headers": {"content-type": "application/octet-stream"},
            "body": base64.b64encode(predictions.tobytes()).decode(),
            "isBase64Encoded": True,
        }
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"predictions": predictions.tolist()}),
        "isBase64Encoded": False,
    }
