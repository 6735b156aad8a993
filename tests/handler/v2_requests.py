"""Requests of the Open Inference Protocol to the tiny model of three inputs."""

import json
import struct
from collections.abc import Mapping

from handler.messages import Request, Response
from handler.service import Service

INFER = "/v2/models/tiny/infer"
A = {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
B = {"name": "b", "shape": [1, 2], "datatype": "FP32", "data": [[3, 4]]}
IDS = {"name": "ids", "shape": [1], "datatype": "INT32", "data": [5]}
GOOD = {"inputs": [A, B, IDS]}
RAW_A = {**A, "parameters": {"binary_data_size": 8}}
RAW_A.pop("data")
TWO = struct.pack("<2f", 1, 2)


def send(
    service: Service, body: object, headers: Mapping[str, str] | None = None, path: str = INFER
) -> Response:
    """What the service answers to JSON, or to bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.answer(Request("POST", path, headers or {}, data))


def send_raw(service: Service, document: object, tail: bytes, length: str = "") -> Response:
    """What it answers to JSON with raw tensors behind it."""
    head = json.dumps(document).encode()
    headers = {"inference-header-content-length": length or str(len(head))}
    return send(service, head + tail, headers)
