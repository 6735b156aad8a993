"""multipart/form-data (RFC 7578): what a browser's form or `curl -F` sends."""

from __future__ import annotations

import re

from handler.errors import BadRequestError

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(
    rb"^content-disposition:[ \t]*form-data\s*"
    # Whatever comes before the name, as a whole: a file name may hold `; name=` itself.
    rb'(?:;\s*(?!name=)[^\s;="]+(?:=(?:"[^"\r\n]*"|[^\s;"]*))?\s*)*'
    # .NET writes quotes only where there must be some.
    rb';\s*name=(?:"([^"\r\n]*)"|([^\s;"]+))',
    re.IGNORECASE | re.MULTILINE,
)
_MAX_PARTS = 8


def parse(body: bytes, content_type: str) -> dict[str, bytes]:
    """Read a form.

    Args:
        body: The request's body.
        content_type: Its header, with the boundary.

    Returns:
        Each part's name and contents.

    Raises:
        BadRequestError: This is no such form, a name comes twice, or there are too many parts.
    """
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise BadRequestError(
            "multipart/form-data without a boundary; let the client set the header"
        )
    delimiter = b"\r\n--" + (match[1] or match[2]).encode("latin-1", "replace")
    # Before the first delimiter nothing is said, behind the last one neither.
    _, *parts = (b"\r\n" + body).split(delimiter, _MAX_PARTS + 1)
    ends = [i for i, part in enumerate(parts) if part.startswith(b"--")]
    if not ends:
        few = len(parts) <= _MAX_PARTS
        why = "does not end with its boundary" if few else f"has more than {_MAX_PARTS} parts"
        raise BadRequestError(f"the form {why}")
    fields: dict[str, bytes] = {}
    for part in parts[: ends[0]]:
        head, separator, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not separator or name is None:
            raise BadRequestError("a part of the form has no name")
        field = (name[1] or name[2] or b"").decode("utf-8", "replace")
        if field in fields:
            raise BadRequestError(f"the form gives '{field:.64}' twice")
        fields[field] = content
    return fields
