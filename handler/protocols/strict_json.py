"""JSON as RFC 8259 has it, read and written; Python's own module is laxer both ways."""

from __future__ import annotations

import json
import sys

from handler.errors import BadRequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def parse(body: bytes) -> object:
    """Read one JSON document; a byte order mark before it is passed over, as TF Serving does.

    Refused, beside malformed text: NaN and Infinity, duplicate keys, text that is not UTF-8,
    nesting beyond the interpreter's own limit and integers of more than 4,300 digits.

    Raises:
        BadRequestError: The body is not such a document.
    """
    try:
        # Decoded here: json.loads would take UTF-16 too.
        return _DECODER.decode((body[3:] if body[:3] == _MARK else body).decode())
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the body is not UTF-8 (byte {error.start}); send JSON") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise BadRequestError(f"the body is not JSON: {error.msg.lower()} at {place}") from error
    except RecursionError as error:
        raise BadRequestError("the body is nested too deeply") from error
    except ValueError as error:
        raise BadRequestError("the body holds an integer of more than 4300 digits") from error


def read_list(items: bytes) -> list[Any]:
    """Read the numbers of a flat list, between its brackets, by orjson where that pays.

    Python's module takes 26 ms for a picture of 224x224x3 floats, more than MobileNetV2 takes to
    look at it; orjson 6, and to be imported 8 ms of a cold start. It is imported for the first text
    that is worth it; the server has it from the start.

    Args:
        items: ASCII text, of nothing but numbers, commas and spaces.

    Returns:
        What `parse` makes of them, but that orjson gives integers beyond 64 bits as floats; empty
        where `parse` says what is wrong, or where orjson has no number for one (1e400).
    """
    try:
        if len(items) >= _LARGE or "orjson" in sys.modules:
            import orjson

            numbers: list[Any] = orjson.loads(b"[%b]" % items)
            return numbers
        text = f"[{items.decode()}]"
        found, end = _DECODER.raw_decode(text)
    except ValueError:
        return []
    return found if end == len(text) else []


def render(document: object) -> bytes:
    """Write one JSON document on one line; a NaN that got this far is our own bug and raises."""
    return _ENCODER.encode(document).encode()


def whole(value: object) -> int | None:
    """An integer as JSON Schema has it, 3 as well as 3.0; None for anything else."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequestError(f"the body holds {name}, which is not JSON; send finite numbers")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        # What is left of the dictionary are the keys not met yet.
        twice = next(key for key, _ in pairs if document.pop(key, pairs) is pairs)
        raise BadRequestError(f"the body holds the key '{twice:.64}' twice in one object")
    return document


_LARGE = 1 << 18
_MARK = b"\xef\xbb\xbf"
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
# Made once: json.dumps makes one a call, which takes as long as the encoding of a small answer.
_ENCODER = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"))
