"""Valid requests of every protocol: what the fuzzer starts from, and goes back to."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

_BYTES = "application/octet-stream"
_FORM = "multipart/form-data; boundary=here"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


def corpus(model: str) -> list[Call]:
    """The requests for one of the models in models.py."""
    base, open_base = f"/v1/models/{model}", f"/v2/models/{model}"
    reads = ["/ping", "/openapi.json", base, f"{base}/versions/1", f"{base}/metadata"]
    reads += ["/v2", "/v2/health/live", "/v2/health/ready", open_base, f"{open_base}/ready"]
    bodies = {
        "several": _several,
        "quantized": _quantized,
        "picture": _picture,
        "number": _number,
        "table": _table,
    }
    sent = bodies[model](base, open_base)
    packed = [
        Call(
            one.method,
            one.path,
            gzip.compress(one.body, mtime=0),
            {**one.headers, "content-encoding": "gzip", "accept-encoding": "gzip"},
            one.query,
        )
        for one in sent
    ]
    return [*(Call("GET", path) for path in reads), *sent, *packed]


def _several(base: str, open_base: str) -> list[Call]:
    """Three inputs, three outputs, every dimension free."""
    row = {"a": [1.0, 2.0], "b": [3.0, 4.0], "ids": 5}
    rows = {"signature_name": "serving_default", "instances": [row, row]}
    columns = {"inputs": {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]], "ids": [5]}}
    a = {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    b = {"name": "b", "shape": [1, 2], "datatype": "FP32", "data": [[3, 4]]}
    ids = {"name": "ids", "shape": [1], "datatype": "INT32", "data": [5]}
    asked = {"id": "one", "inputs": [a, b, ids], "outputs": [{"name": "twice"}]}
    raw = [
        {**{k: v for k, v in tensor.items() if k != "data"}, "parameters": {"binary_data_size": s}}
        for tensor, s in ((a, 8), (b, 8), (ids, 4))
    ]
    tail = struct.pack("<4fi", 1, 2, 3, 4, 5)
    return [
        _json(f"{base}:predict", rows),
        _json(f"{base}/versions/1:predict", columns),
        _json(f"{open_base}/infer", asked),
        _binary(f"{open_base}/infer", {"inputs": raw}, tail),
        _binary(
            f"{open_base}/versions/1/infer",
            {"inputs": raw, "parameters": {"binary_data_output": True}},
            tail,
        ),
    ]


def _quantized(base: str, open_base: str) -> list[Call]:
    """int8 inside, float32 outside."""
    floats = struct.pack("<4f", 0, 1, -1, 2)
    x: dict[str, Any] = {"name": "x", "shape": [1, 4], "datatype": "FP32"}
    return [
        _json(f"{base}:predict", {"instances": [[0, 1, -1, 2], [0.5, 0.25, 3, -3]]}),
        _json(f"{base}:classify", {"examples": [{"x": [0, 1, -1, 2]}], "context": {}}),
        *_tensors(f"{base}:predict", floats, (1, 4)),
        _binary(
            f"{open_base}/infer",
            {"inputs": [{**x, "parameters": {"binary_data_size": len(floats)}}]},
            floats,
        ),
        _json(f"{open_base}/infer", {"inputs": [{**x, "datatype": "INT8", "data": [1, 2, 3, 4]}]}),
        Call("POST", f"{open_base}/infer", floats, {"inference-header-content-length": "0"}),
    ]


def _number(base: str, open_base: str) -> list[Call]:
    """One number in, one out, two at a time."""
    x = {"name": "x", "shape": [3, 1], "datatype": "FP32", "data": [1, 2, 3]}
    return [
        _json(f"{base}:regress", {"examples": [{"x": 1.0}, {"x": 2.0}, {"x": 3}]}),
        _json(f"{base}:predict", {"instances": [[1.0], [2.0], [3.0]]}),
        _json(f"{open_base}/infer", {"inputs": [x]}),
    ]


def _table(base: str, open_base: str) -> list[Call]:
    """Whole numbers from 0 to 3, where any fits the signature."""
    ids = {"name": "ids", "shape": [2], "datatype": "INT32", "data": [0, 3]}
    return [
        _json(f"{base}:predict", {"instances": [0, 1, 3]}),
        _json(f"{base}:predict", {"inputs": [2]}),
        _json(f"{open_base}/infer", {"inputs": [ids]}),
        Call("POST", f"{base}:predict", struct.pack("<i", 1), {"content-type": _BYTES}),
    ]


def _picture(base: str, open_base: str) -> list[Call]:
    """A picture in, labels out."""
    files = {kind: _draw(kind) for kind in ("PNG", "JPEG", "WEBP")}
    text = base64.b64encode(files["PNG"])
    form = (
        b'--here\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + files["PNG"] + b"\r\n--here--\r\n"
    )
    pixels = struct.pack("<64f", *(number / 64 for number in range(64)))
    nested = [[[[(8 * y + x) / 64] for x in range(8)] for y in range(8)]]
    tensor = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32", "data": nested}
    b64 = {"b64": text.decode()}
    return [
        *(
            Call("POST", f"{base}:image", data, {"content-type": f"image/{kind.lower()}"})
            for kind, data in files.items()
        ),
        Call("POST", f"{base}:image", text, {"content-type": "text/plain"}),
        Call("POST", f"{base}:image", form, {"content-type": _FORM}, "k=3"),
        _json(f"{base}:image", {"image": text.decode()}),
        _json(f"{base}:predict", {"instances": nested}),
        _json(f"{base}:predict", {"instances": [b64, b64]}),
        *_tensors(f"{base}:predict", pixels, (1, 8, 8, 1)),
        _json(f"{open_base}/infer", {"inputs": [tensor]}),
    ]


def _json(path: str, document: object) -> Call:
    return Call("POST", path, json.dumps(document).encode(), {"content-type": "application/json"})


def _binary(path: str, document: object, tail: bytes) -> Call:
    head = json.dumps(document).encode()
    headers = {"inference-header-content-length": str(len(head))}
    return Call("POST", path, head + tail, {"content-type": _BYTES, **headers})


def _tensors(path: str, data: bytes, shape: tuple[int, ...]) -> list[Call]:
    """One float32 tensor as bare bytes, and as a .npy file; the answer in kind."""
    dims = ", ".join(map(str, shape))
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims}), }}".ljust(117) + "\n"
    file = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data
    return [
        Call("POST", path, data, {"content-type": kind, "accept": kind}, query)
        for kind, data, query in (
            (_BYTES, data, "shape=" + dims.replace(" ", "")),
            ("application/x-npy", file, ""),
        )
    ]


def _draw(kind: str) -> bytes:
    file = io.BytesIO()
    Image.frombytes("L", (8, 8), bytes(range(0, 256, 4))).save(file, kind)
    return file.getvalue()
