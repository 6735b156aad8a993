"""What came back, in whatever form, and whether it is what the model says."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import WrongAnswerError

if TYPE_CHECKING:
    from bench.inputs import Rows

TOLERANCE = 1e-3
"""Largest difference of a probability. TensorFlow's and LiteRT's arithmetic differ by a tenth of
it; the answers to different inputs by a hundred times as much."""


def read(body: bytes, media: str) -> Rows:
    """The numbers in an answer: raw float32, TF Serving's, V2's, or a bare list.

    Raises:
        WrongAnswerError: It is none of these.
    """
    if media.startswith("application/octet-stream"):
        return np.frombuffer(body, np.float32)
    try:
        return _numbers(json.loads(body))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise WrongAnswerError(f"no numbers in the answer {body[:200]!r}") from error


def check(who: str, got: Rows, expected: Rows) -> None:
    """Compare an answer to what the model says.

    Args:
        who: Named in the error.
        got: Of any shape.
        expected: What the stock interpreter answers to the same input.

    Raises:
        WrongAnswerError: They differ by more than TOLERANCE, or in size.
    """
    if got.size != expected.size:
        raise WrongAnswerError(f"{who} answered {got.size} numbers, expected {expected.size}")
    worst = float(np.abs(got.reshape(-1) - expected.reshape(-1)).max())
    if not worst <= TOLERANCE:
        raise WrongAnswerError(
            f"{who} answered wrong: off by {worst:.3g} somewhere, expected at most {TOLERANCE}"
        )


def _numbers(document: Any) -> Rows:  # noqa: ANN401 - a JSON document is anything
    if isinstance(document, dict) and isinstance(document.get("outputs"), list):
        output = document["outputs"][0]
        if output["datatype"] == "BYTES":
            return np.frombuffer(base64.b64decode(output["data"][0]), np.float32)
        document = output["data"]
    elif isinstance(document, dict):
        document = document["predictions"]
    return np.asarray(document, np.float32)
