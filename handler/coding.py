"""Content codings: gzip and deflate, both ways. A body's size is checked while it is inflated."""

from __future__ import annotations

import zlib

from handler.errors import BadRequestError, TooLargeError, UnsupportedMediaError
from handler.messages import MAX_BYTES
from handler.negotiation import choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from handler.messages import Response

# zlib's window bits: which envelope is read and written. HTTP's deflate is zlib's format.
_ENVELOPES = {"gzip": 31, "x-gzip": 31, "deflate": 15}
# The fastest level: the time is the caller's, and billed; the next ones save few per cent more.
_LEVEL = 1


def inflate(body: bytes, coding: str) -> bytes:
    """Undo a request's content coding.

    Args:
        body: As it came.
        coding: The header Content-Encoding.

    Raises:
        UnsupportedMediaError: It is another coding, or several.
        TooLargeError: More than `MAX_BYTES` would come out.
        BadRequestError: The body is damaged, or more follows it.
    """
    name = coding.strip().lower()
    envelope = _ENVELOPES.get(name)
    if envelope is None:
        raise UnsupportedMediaError(
            f"content-encoding '{name:.32}' is not read here; send gzip, deflate or neither"
        )
    inflater = zlib.decompressobj(envelope)
    try:
        plain = inflater.decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        hint = taken_for_text(body)
        if name == "deflate" and not hint:
            hint = "; HTTP means zlib's format by it, with zlib's head and checksum"
        if body.lstrip()[:1] in (b"{", b"["):
            hint = "; it reads like JSON as it is: send no Content-Encoding"
        raise BadRequestError(f"the body is not {name}, as content-encoding says{hint}") from error
    if len(plain) > MAX_BYTES:
        raise TooLargeError(f"the body inflates to more than {MAX_BYTES} bytes")
    if not inflater.eof:
        raise BadRequestError(f"the body is cut short: its {name} does not end")
    # gzip files may be strung together; thousands of empty ones would keep us busy for minutes.
    if inflater.unused_data:
        raise BadRequestError(
            f"{len(inflater.unused_data)} bytes follow the end of the {name}; send one stream and "
            "nothing behind it"
        )
    return plain


def taken_for_text(body: bytes) -> str:
    """What to add to a complaint about bytes that a gateway has taken for text; "" for others.

    API Gateway decides by the content type alone: text/*, JSON and XML travel as text, in which
    whatever is not UTF-8 is lost.
    """
    if "\ufffd".encode() not in body[:64]:
        return ""
    return (
        "; bytes of it were lost where a gateway took it for text, by its Content-Type: send "
        "compressed JSON without one, pictures and tensors with their own"
    )


def deflate(response: Response, accepted: str) -> None:
    """Compress an answer where the client takes that, and it is worth it.

    Args:
        response: Changed in place.
        accepted: The header Accept-Encoding.
    """
    coding = choose(accepted, ("gzip", "deflate", "identity"))
    if coding is None or coding == "identity":
        return
    deflater = zlib.compressobj(_LEVEL, wbits=_ENVELOPES[coding])
    packed = deflater.compress(response.body) + deflater.flush()
    if len(packed) < len(response.body):
        response.body = packed
        response.headers["content-encoding"] = coding
