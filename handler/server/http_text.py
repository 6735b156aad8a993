"""HTTP's text: its parser and what that leaves to us, targets, heads of answers and faults."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote, urlsplit

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from handler.errors import BadRequestError, MethodNotAllowedError, RequestError

_HEADERS = 100


def make_parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """A parser as uvicorn makes it for a connection."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


@lru_cache(maxsize=32)
def answer_head(
    status: int,
    defaults: tuple[tuple[bytes, bytes], ...],
    headers: tuple[tuple[str, str], ...],
    keep_alive: bool,  # noqa: FBT001 - a cached function is faster without names
) -> bytes:
    """An answer's head up to its length: nearly every answer of a second has the same.

    Args:
        status: The HTTP status.
        defaults: What the server sends with every answer.
        headers: The answer's own.
        keep_alive: Whether the connection stays.
    """
    lines = [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers]
    lines += [b"%b: %b\r\n" % pair for pair in defaults]
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    return STATUS_LINE[status] + b"".join(lines)


def fault(error: httptools.HttpParserError) -> RequestError:
    """What to answer to an error of the parser's, or to one raised while it called back."""
    if isinstance(error.__context__, RequestError):
        return error.__context__
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return MethodNotAllowedError("an unknown method", "any path", "GET, POST")
    return BadRequestError(f"malformed request: {error}"[:200])


def head_size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """How many bytes of a request its head is, about."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def read_headers(pairs: list[tuple[bytes, bytes]], version: str) -> dict[str, str]:
    """Headers by name; of one that comes more than once all values, as API Gateway does.

    Raises:
        BadRequestError: They are too many; there is no Host, which HTTP/1.1 asks for (RFC 9112,
            3.2), or there are two.
    """
    if len(pairs) > _HEADERS:
        raise BadRequestError(f"{len(pairs)} headers came, at most {_HEADERS} are read")
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
    headers = dict(texts)
    if len(headers) < len(texts):
        headers = {}
        for name, value in texts:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    host = headers.get("host")
    if host is None:
        if version == "1.1":
            raise BadRequestError("the header Host is missing; HTTP/1.1 has one in every request")
    elif "," in host:
        raise BadRequestError(f"the header Host is '{host:.64}', expected one name")
    return headers


def without_upgrade(
    parser: httptools.HttpRequestParser, url: bytes, headers: list[tuple[bytes, bytes]]
) -> bytes:
    """The head that a client would have sent that offers no other protocol.

    Args:
        parser: Which has just read it.
        url: Its target.
        headers: Its headers, names in lower case.

    Raises:
        MethodNotAllowedError: It is CONNECT's, which goes on with another protocol by itself.
    """
    method = parser.get_method()
    if method == b"CONNECT":
        raise MethodNotAllowedError("CONNECT", "any path", "GET, POST")
    version = parser.get_http_version().encode()
    rest = [pair for pair in headers if pair[0] not in (b"connection", b"upgrade")]
    if not parser.should_keep_alive():
        rest.append((b"connection", b"close"))
    lines = b"".join(b"%b: %b\r\n" % pair for pair in rest)
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, url, version, lines)


def split_target(url: bytes) -> tuple[str, str]:
    """Path, unescaped, and query of a request's target."""
    text = url.decode("latin-1")
    if not text.startswith("/"):
        try:
            parts = urlsplit(text)  # a proxy's absolute form
        except ValueError as error:
            raise BadRequestError(f"the target '{text:.64}' is not a URL") from error
        return unquote(parts.path) or "/", parts.query
    path, _, query = text.partition("?")
    return (unquote(path) if "%" in path else path), query
