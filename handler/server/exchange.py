"""One request on a connection, from its head to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handler.messages import Request, Response
    from handler.server.bodies import Body


class Exchange:
    """One request, and what its answer needs to know.

    Args:
        method: As sent: HEAD is answered as GET, without the body.
        path: Of its target, unescaped.
        query: Of its target, escaped.
        keep_alive: Whether the client wants another request on this connection.

    Attributes:
        request: It, once it is here as a whole.
        memory: Where a large body has been received.
        response: The answer to what is no request.
    """

    __slots__ = ("keep_alive", "memory", "method", "path", "query", "request", "response")

    def __init__(self, method: str, path: str, query: str, *, keep_alive: bool) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.keep_alive = keep_alive
        self.request: Request | None = None
        self.memory: Body | None = None
        self.response: Response | None = None
