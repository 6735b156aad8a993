"""Requests made wrong: in their JSON, in their bytes, in their headers and their path."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.corpus import Call

# Where parsers break: limits of number formats, empty things, deep things, things of another kind.
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        127,
        128,
        255,
        2**31,
        2**31 - 1,
        2**32,
        2**63,
        2**64,
        -(2**63),
    ),
    *(
        1e308,
        -1e308,
        1e-320,
        3.5e38,
        0.1,
        -0.0,
        10**400,
        "",
        "x",
        "NaN",
        "\x00",
        "\ud800",
        "é" * 99,
    ),
    *([], {}, [[]], [[1], [1, 2]], [1, "a"], {"b64": "AAAA"}, {"b64": 1}, [None], "FP64", "BYTES"),
    *("instances", "binary_data_size", "data", [1] * 999),
)
_TEXTS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1E+9999999999", b"0" * 99),
    *(
        b"9" * 5000,
        b"[" * 5000,
        b'{"a":' * 5000,
        b"\xff\xfe",
        b"\x00",
        b"\xed\xa0\x80",
        b"\r\n\r\n",
    ),
    *(b'"\\ud800"', b'{"instances":1,"instances":2}', b"\xef\xbb\xbf", b"//", b"'", b"\\"),
)
_HEADERS: dict[str, tuple[str, ...]] = {
    "content-type": (
        *("application/json", "image/png", "image/webp", "text/plain", "application/octet-stream"),
        *("application/x-npy", "multipart/form-data; boundary=here", "multipart/form-data", "x"),
        *("application/json; charset=utf-16", "", ";", "application/vnd.x+json", "image/gif"),
    ),
    "content-encoding": ("gzip", "deflate", "br", "identity", "gzip, gzip", "", "GZIP"),
    "accept": ("application/json", "application/octet-stream", "application/x-npy", "*/*", "q=1"),
    "accept-encoding": ("gzip", "deflate", "gzip;q=0", "*;q=nan", "br, gzip;q=0.1", "," * 500),
    "inference-header-content-length": ("0", "1", "-1", "9" * 40, "", " 5 ", "1e1", "٣"),
    "x-tensor-shape": ("1", "-1", "1,8,8,1", "0,4", "4294967296,4294967296", ",", "٣"),
}
_QUERIES = ("k=1", "k=0", "k=-1", "k=x", "shape=1,4", "shape=", "output=y", "%ff=%00", "a&" * 99)
_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW", "")
_PARTS = ("versions/1", "versions/2", "labels/stable", "%00", "..", "é", "metadata", "infer")
_NOT_GZIP = (OSError, EOFError, zlib.error)
_ACTIONS = (
    ":predict",
    ":classify",
    ":regress",
    ":image",
    ":x",
    "",
    "/metadata",
    "/infer",
    "/ready",
)


def mutate(call: Call, random: Random) -> Call:
    """One to four changes, each of some part of the request."""
    ways = (*(_change_json,) * 4, *(_change_bytes,) * 3, *(_change_headers,) * 2, _change_rest)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        try:
            call = random.choice(ways)(call, random)
        except RecursionError:  # what was wrapped again and again is deep enough
            break
    return call


def damage(data: bytes, random: Random) -> bytes:
    """Bytes flipped, cut, doubled, moved, or with something put between them."""
    if not data:
        return random.choice(_TEXTS)
    at = random.randrange(len(data))
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16, 64, 1024)))
    if random.random() < 0.2:
        return random.choice((data[:at], data[at:] + data[:at]))
    piece = data[at:end]
    others = (
        b"",
        random.randbytes(len(piece)),
        piece * random.choice((2, 3, 20)),
        random.choice(_TEXTS) + piece,
        bytes([piece[0] ^ (1 << random.randrange(8))]) + piece[1:],
    )
    return data[:at] + random.choice(others) + data[end:]


def _change_json(call: Call, random: Random) -> Call:
    """Put another value somewhere into the JSON; inside gzip too, and before raw bytes."""
    body, zipped = call.body, call.headers.get("content-encoding") == "gzip"
    try:
        plain = gzip.decompress(body) if zipped else body
        text = plain.decode("utf-8", "surrogateescape")
        document, end = json.JSONDecoder().raw_decode(text)
        tail = text[end:].encode("utf-8", "surrogateescape")
    except (ValueError, RecursionError, *_NOT_GZIP):
        return _change_bytes(call, random)
    head = json.dumps(_edit(document, random), separators=random.choice(((",", ":"), (", ", ": "))))
    changed = head.encode() + tail
    headers = call.headers
    if "inference-header-content-length" in headers and random.random() < 0.9:
        headers = {**headers, "inference-header-content-length": str(len(head))}
    return replace(call, body=gzip.compress(changed, 1) if zipped else changed, headers=headers)


def _edit(node: Any, random: Random) -> Any:
    """Change one place of a document."""
    if not isinstance(node, list | dict) or not node or random.random() < 0.2:
        return random.choice((_replace, _wrap, _scale))(node, random)
    way = random.randrange(8)
    if isinstance(node, list):
        at = random.randrange(len(node))
        others = {0: [], 1: [node[at]] * 2} if len(node) < 5000 else {0: []}
        return [*node[:at], *others.get(way, [_edit(node[at], random)]), *node[at + 1 :]]
    key = random.choice(list(node))
    changed = dict(node)
    if way == 0:
        del changed[key]
    elif way == 1:
        changed[str(random.choice(_VALUES))] = random.choice(_VALUES)
    else:
        changed[key] = _edit(node[key], random)
    return changed


def _replace(node: Any, random: Random) -> Any:
    del node
    return random.choice(_VALUES)


def _wrap(node: Any, random: Random) -> Any:
    for _ in range(random.choice((1, 1, 2, 60))):
        node = [node]
    return node


def _scale(node: Any, random: Random) -> Any:
    if isinstance(node, bool) or not isinstance(node, int | float):
        return random.choice(_VALUES)
    try:
        return node * random.choice((-1, 0, 0.5, 3, 1000, 1e30, 10**20)) + random.choice((0, 1))
    except OverflowError:
        return 0


def _change_bytes(call: Call, random: Random) -> Call:
    """Damage the body; sometimes the plain one under the gzip."""
    if call.headers.get("content-encoding") == "gzip" and random.random() < 0.5:
        try:
            return replace(call, body=gzip.compress(damage(gzip.decompress(call.body), random), 1))
        except _NOT_GZIP:
            pass
    return replace(call, body=damage(call.body, random))


def _change_headers(call: Call, random: Random) -> Call:
    name = random.choice(list(_HEADERS))
    headers = {key: value for key, value in call.headers.items() if key != name}
    if random.random() < 0.8:
        headers[name] = random.choice(_HEADERS[name])
    return replace(call, headers=headers)


def _change_rest(call: Call, random: Random) -> Call:
    match random.randrange(5):
        case 0:
            return replace(call, method=random.choice(_METHODS))
        case 1:
            return replace(call, query=random.choice(_QUERIES))
        case 2:
            stem = call.path.partition(":")[0]
            return replace(call, path=stem + random.choice(_ACTIONS))
        case 3:
            words = call.path.split("/")
            words[random.randrange(len(words))] = random.choice(_PARTS)
            return replace(call, path="/".join(words) or "/")
        case _:
            path = damage(call.path.encode(), random)[:4000]
            return replace(call, path="/" + path.decode("latin-1").lstrip("/"))
