"""What every answer has to be, however wrong the request was."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON = "application/json"
_BINARY = frozenset(("application/octet-stream", "application/x-npy", "application/npy"))
# An error quotes at most some of what was sent.
_LONGEST_ERROR = 1500
_LEAK = re.compile(r'Traceback|File "|/site-packages/|/handler/|0x[0-9a-f]{8}|\.py\b')


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """What makes it another answer than others: the status, and the error without values."""
        if self.status < 400:
            return f"{self.status} {self.headers.get('content-type')} {len(self.body).bit_length()}"
        text = re.sub(r"'.*?'|\[.*?\]|[\d.]+|/\S*.*", "", self.body.decode("utf-8", "replace"))
        return f"{self.status} {text[:60]}"


def complaint(answer: Answer) -> str:
    """What is wrong with an answer; "" for nothing."""
    if answer.status >= 500:
        return f"the fault is the server's: {answer.body[:300]!r}"
    if answer.status == 405 and not answer.headers.get("allow"):
        return "405 without Allow"
    body = _plain(answer)
    kind = answer.headers.get("content-type", "")
    if body is None:
        return f"not what content coding {answer.headers['content-encoding']!r} says"
    if kind != _JSON:
        asked_for = answer.status == 200 and kind in _BINARY
        return "" if asked_for else f"content type {kind!r}"
    return _json_complaint(answer.status, body)


def _json_complaint(status: int, body: bytes) -> str:
    try:
        document = json.loads(body.decode(), parse_constant=_refuse)
    except ValueError as error:
        return f"not JSON: {error}: {body[:300]!r}"
    return _error_complaint(document) if status >= 400 else ""


def _plain(answer: Answer) -> bytes | None:
    """The body without its content coding; None where it is not what that says."""
    coding = answer.headers.get("content-encoding")
    if coding is None:
        return answer.body
    try:
        return zlib.decompress(answer.body, {"gzip": 31, "deflate": 15}[coding])
    except (KeyError, zlib.error):
        return None


def _error_complaint(document: object) -> str:
    if not isinstance(document, dict) or list(document) != ["error"]:
        return f"the error has another form: {document!r:.300}"
    text = document["error"]
    if not isinstance(text, str) or not text or "\n" in text or len(text) > _LONGEST_ERROR:
        return f"the error is not one line: {text!r:.300}"
    return f"the error leaks: {text!r}" if _LEAK.search(text) else ""


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
