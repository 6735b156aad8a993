"""One line of JSON a request, for CloudWatch: what was asked, how it went, where the time went.

Never a body, a header, an address or an error's text: those are the client's.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

_started = False


class Record:
    """What one request did.

    Args:
        request_id: Lambda's id, or "" outside Lambda.
    """

    __slots__ = ("_mark", "_start", "fields")

    def __init__(self, request_id: str = "") -> None:
        global _started  # noqa: PLW0603 - one execution environment, one first request
        self._start = self._mark = perf_counter()
        self.fields: dict[str, object] = {"route": "none", "cold_start": not _started}
        if request_id:
            self.fields["request_id"] = request_id
        _started = True

    def lap(self, name: str) -> None:
        """Note the milliseconds since the last lap as `name`."""
        now = perf_counter()
        self.fields[name] = round((now - self._mark) * 1000, 3)
        self._mark = now

    def write(self, status: int, error: str | None) -> None:
        """Print the line.

        Args:
            status: The HTTP status answered.
            error: The error's class, when there was one.
        """
        self.fields["status"] = status
        if error is not None:
            self.fields["error"] = error
        self.fields["total_ms"] = round((perf_counter() - self._start) * 1000, 3)
        # One write, so that threads do not mix lines.
        sys.stdout.write(json.dumps(self.fields, separators=(",", ":")) + "\n")
        sys.stdout.flush()
