"""A plain HTTP client for the emulated gateway."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; names of headers in lower case, and two answers alike whatever they say."""

    status: int
    body: bytes
    headers: dict[str, str] = field(compare=False)  # each has an id of its own

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def send(
    url: str,
    path: str,
    body: bytes | None = None,
    kind: str = "application/json",
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send one request; `*.localhost` is this machine, whether or not the resolver knows."""
    host = urllib.parse.urlsplit(url).netloc
    port = int(host.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        wanted = {"Host": host, "Content-Type": kind, **(headers or {})}
        connection.request(method, path, body, wanted)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.read(), names)
    finally:
        connection.close()
