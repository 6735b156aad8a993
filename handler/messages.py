"""One request and its answer, as far as this service cares: HTTP without the wire."""

from __future__ import annotations

from handler.errors import BadRequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
RAW = "application/octet-stream"

MAX_BYTES = 5_500_000
"""Largest body, of a request and of an answer: Lambda takes 6 MB, its own envelope included."""

MAX_BINARY_BYTES = 4_500_000
"""Largest answer that is no text: Lambda takes those as base64, four bytes for three."""


class Request:
    """One HTTP request.

    Args:
        method: GET, POST, ...
        path: Without query string and stage.
        headers: Names in lower case.
        body: Raw bytes.
        request_id: Lambda's id, or "".
        query: What follows the path's `?`, still escaped; "" without.
        deadline: When the answer has to be out, by `time.monotonic`; None for no limit.

    Attributes:
        media: Media type, lower case, without parameters; "" when not given.
    """

    __slots__ = ("body", "deadline", "headers", "media", "method", "path", "query", "request_id")

    def __init__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        request_id: str = "",
        query: str = "",
        deadline: float | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.request_id = request_id
        self.query = query
        self.deadline = deadline
        self.media = headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameter(self, name: str) -> str | None:
        """One parameter of the query, or None.

        Raises:
            BadRequestError: It is given more than once.
        """
        if not self.query:
            return None
        from urllib.parse import parse_qs  # 3 ms of cold start, for the few requests with a query

        try:
            values = parse_qs(self.query, keep_blank_values=True, max_num_fields=32).get(name)
        except ValueError as error:
            raise BadRequestError("the query has more than 32 parameters") from error
        if values is None:
            return None
        if len(values) > 1:
            raise BadRequestError(f"the query gives '{name}' {len(values)} times; give it once")
        return values[0]


class Response:
    """One HTTP answer: a status, a body, and headers with names in lower case.

    Args:
        status: The HTTP status.
        body: JSON on one line, unless the headers say otherwise.
        headers: What to send beside, or instead of, `content-type: application/json`.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = {"content-type": JSON, **(headers or {})}

    @property
    def is_text(self) -> bool:
        """Whether the body can travel as text."""
        return self.headers["content-type"] == JSON and "content-encoding" not in self.headers
