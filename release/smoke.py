"""Asks a deployed API for a real prediction, the way its callers do."""

import http.client
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

from release.errors import InputError, SmokeError
from release.signing import sign

_REQUEST_TIMEOUT = 35.0
"""Seconds; API Gateway itself gives up after 30."""

# Right after a deployment a route or a permission may not be everywhere yet, and an image that was
# idle is fetched again on the first call.
_TRANSIENT = {403, 404, 429, 500, 502, 503, 504}
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_PICTURE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


class Auth(StrEnum):
    """How callers prove who they are: AWS credentials, a token of the issuer's, or not at all."""

    IAM = "iam"
    JWT = "jwt"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; anything else is an empty one."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def __str__(self) -> str:
        """Show the status and the start of the body, on one line."""
        return f"{self.status} {' '.join(self.body[:200].decode(errors='replace').split())}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One deployed API.

    Attributes:
        url: Its address, as the stack exports it.
        auth: How to prove who we are.
        token: The bearer token for `Auth.JWT`.
        region: Its region; needed for `Auth.IAM` when the address does not name it.
    """

    url: str
    auth: Auth
    token: str = field(default="", repr=False)
    region: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        *,
        stranger: bool = False,
    ) -> Answer:
        """Send one request.

        Args:
            method: The HTTP method.
            path: Below the API's address, starting with a slash.
            body: The bytes to send.
            content_type: Their type.
            stranger: Leave out any proof of who we are.

        Raises:
            InputError: The address or the credentials cannot be used.
            OSError: Nobody answered.
        """
        address = self.url.rstrip("/") + path
        parts = _address(address)
        headers = {"Host": parts.netloc}
        if content_type:
            headers["Content-Type"] = content_type
        if not stranger and self.auth is Auth.IAM:
            headers = sign(method, address, headers, body, self._region(parts))
        if not stranger and self.auth is Auth.JWT:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = _connect(parts)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body=body or None, headers=headers)
            answer = connection.getresponse()
            return Answer(status=answer.status, body=answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _region(self, parts: SplitResult) -> str:
        named = re.search(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.", parts.hostname or "")
        region = (named[1] if named else "") or self.region or os.environ.get("AWS_REGION", "")
        if not region:
            raise InputError(
                f"{self.url} does not name its region, and a signature needs one; set AWS_REGION",
            )
        return region


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for an API that has just been deployed, in seconds."""

    limit: float = 120.0
    first_pause: float = 0.5
    longest_pause: float = 8.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def until(self, good: Callable[[Answer], bool], ask: Callable[[], Answer]) -> Answer:
        """Repeat `ask` while it fails in a way that passes; return the last answer.

        Raises:
            SmokeError: Nobody answered in time.
        """
        end, pause = self.clock() + self.limit, self.first_pause
        while True:
            try:
                answer = ask()
            except OSError as error:
                if self.clock() + pause > end:
                    raise SmokeError(f"nobody answered within {self.limit:g} s: {error}") from error
            else:
                last = good(answer) or answer.status not in _TRANSIENT
                if last or self.clock() + pause > end:
                    return answer
            self.sleep(pause)
            pause = min(pause * 2, self.longest_pause)


def check(
    api: Api, *, model: str, picture: tuple[str, bytes], expect: str, patience: Patience
) -> str:
    """Ask for `/ping`, the model's status and a real prediction.

    Args:
        api: The API to ask.
        model: The model's name in the address.
        picture: File name and bytes of a sample.
        expect: The label that sample must get.
        patience: How long to wait for a right answer.

    Returns:
        One line that says what was seen.

    Raises:
        SmokeError: Any of the answers is wrong; the message names the request and the answer.
    """
    ping = patience.until(_ok, lambda: api.ask("GET", "/ping", stranger=True))
    _must(_ok(ping), "GET /ping", ping, "200")

    path = f"/v1/models/{model}"
    status = patience.until(_ok, lambda: api.ask("GET", path))
    _must(_available(status), f"GET {path}", status, "a version in state AVAILABLE")

    name, data = picture
    content_type = _picture_type(name)
    if api.auth is not Auth.NONE:
        refusal = api.ask("POST", f"{path}:image", data, content_type, stranger=True)
        _must(
            refusal.status in _REFUSED,
            f"POST {path}:image without credentials",
            refusal,
            "401 or 403: the API must not answer strangers",
        )
    answer = patience.until(_ok, lambda: api.ask("POST", f"{path}:image", data, content_type))
    _must(_ok(answer), f"POST {path}:image with {name}", answer, "200")
    seen = predicted(answer.json())
    _must(seen == expect, f"POST {path}:image with {name}", answer, f"the prediction {expect!r}")
    return f"{api.url} answers: {model} sees {seen!r} in {name}"


def predicted(document: dict[str, Any]) -> str | None:
    """Return the label of the first prediction, or None when there is none."""
    predictions = document.get("predictions")
    if not isinstance(predictions, list) or not predictions:
        return None
    first = predictions[0]
    label = first.get("label") if isinstance(first, dict) else None
    return label if isinstance(label, str) else None


def _ok(answer: Answer) -> bool:
    return answer.status == HTTPStatus.OK


def _available(answer: Answer) -> bool:
    versions = answer.json().get("model_version_status")
    if not _ok(answer) or not isinstance(versions, list):
        return False
    return any(isinstance(one, dict) and one.get("state") == "AVAILABLE" for one in versions)


def _must(right: bool, request: str, answer: Answer, expected: str) -> None:  # noqa: FBT001 (reads as a sentence)
    if not right:
        raise SmokeError(f"{request} answered {answer}; expected {expected}")


def _picture_type(name: str) -> str:
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix not in _PICTURE_TYPES:
        raise InputError(
            f"{name} is no picture the API takes; expected {', '.join(_PICTURE_TYPES)}"
        )
    return _PICTURE_TYPES[suffix]


def _address(address: str) -> SplitResult:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"{address!r} is no http address; pass the stack's `url` output")
    return parts


def _connect(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    # RFC 6761 gives *.localhost to this machine, yet most resolvers do not know it.
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=_REQUEST_TIMEOUT)
    return http.client.HTTPConnection(host, parts.port, timeout=_REQUEST_TIMEOUT)
