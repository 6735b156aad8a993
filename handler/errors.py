"""Every way the handler fails, drawn once.

HandlerError
├── StartupError            this environment can never serve: init fails, with the reason
├── LiteRtError             the C library refused a call (500: our own bug, or a broken model)
└── RequestError            one request fails; carries the HTTP status
    ├── BadRequestError          400  any fault of the client's that has no status of its own
    ├── NotFoundError            404  no such model or path
    ├── MethodNotAllowedError    405  carries what is allowed
    ├── TooLargeError            413  request or answer over the size cap
    ├── UnsupportedMediaError    415  a body of a kind this route does not read
    ├── NotReadyError            503  the model's backend cannot answer now
    ├── DeadlineError            503  too little of the function's time is left for this request
    ├── OverloadedError          503  the server has enough to do; carries when to come again
    └── BackendTimeoutError      504  the model's backend took too long

A RequestError's text goes to the client as it stands, so it names what the client sent and what
was expected, on one line, and never a path or another exception's text. `service.py` turns each
into its status, in one place.
"""

from __future__ import annotations


class HandlerError(Exception):
    """Base of everything raised on purpose in this package."""


class StartupError(HandlerError):
    """The model, the library or the settings are wrong: no request could ever be answered."""


class LiteRtError(HandlerError):
    """A call into the LiteRT C library returned something else than OK."""


class RequestError(HandlerError):
    """One request fails, with a status and a line for the client."""

    status = 400

    def headers(self) -> dict[str, str]:
        """Headers the answer needs beside its content type."""
        return {}


class BadRequestError(RequestError):
    """The request is malformed, or does not fit the model's signature."""


class NotFoundError(RequestError):
    """No such model or path."""

    status = 404


class MethodNotAllowedError(RequestError):
    """The path exists, the method does not."""

    status = 405

    def __init__(self, method: str, path: str, allow: str) -> None:
        super().__init__(f"{method} is not allowed on {path}; use {allow}")
        self.allow = allow

    def headers(self) -> dict[str, str]:
        """RFC 9110 requires Allow on every 405."""
        return {"allow": self.allow}


class TooLargeError(RequestError):
    """The request or its answer is over the size cap."""

    status = 413


class UnsupportedMediaError(RequestError):
    """The body is of a kind this route does not read."""

    status = 415


class NotReadyError(RequestError):
    """The model's backend cannot answer now; the same request may succeed later."""

    status = 503

    def headers(self) -> dict[str, str]:
        """When to come again, in seconds."""
        return {"retry-after": "1"}


class DeadlineError(RequestError):
    """The run would end after Lambda has stopped the function, or when nobody waits any more."""

    status = 503


class OverloadedError(RequestError):
    """The server has as much to do as it takes on."""

    status = 503

    def headers(self) -> dict[str, str]:
        """When to come again, in seconds."""
        return {"retry-after": "1"}


class BackendTimeoutError(RequestError):
    """The model's backend took longer than BACKEND_TIMEOUT_MS."""

    status = 504
