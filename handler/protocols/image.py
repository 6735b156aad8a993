"""A picture in, labelled scores out.

A picture is a PNG, JPEG or WebP. It comes as raw bytes, as base64 text, as JSON
`{"image": "<base64>"}`, or as the file of a form. Pillow is imported on the first picture: it costs
60 ms, which models without one never pay.
"""

from __future__ import annotations

import re

from handler import base64_body, messages
from handler.errors import BadRequestError, NotFoundError, TooLargeError, UnsupportedMediaError
from handler.protocols import classes, strict_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Manifest
    from handler.tensor import Tensor

MAX_BYTES = 4_500_000
"""Largest picture. Lambda takes 6 MB a request, and base64 makes four bytes of three."""

MAX_TOP = 1_000_000
"""Most labels that may be asked for; asking for more than there are gives all."""

_TOP = 5
_MAGIC = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP", re.DOTALL)
_JSON = "application/json"
_FORM = "multipart/form-data"
_KINDS = "PNG, JPEG or WebP"
# curl calls a body form-urlencoded unless told otherwise; some clients say nothing at all.
_MEDIA = frozenset(
    (
        "",
        "image/png",
        "image/jpeg",
        "image/jpg",
        "image/webp",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
        _JSON,
        _FORM,
    )
)


def parse(
    body: bytes, content_type: str, manifest: Manifest
) -> tuple[dict[str, Tensor], int | None]:
    """Decode, resize and scale a picture into the model's one input.

    Args:
        body: The request's body.
        content_type: Its header; "" when not given.
        manifest: Gives the picture's size, colour and range.

    Returns:
        The one input, and how many labels the body asks for; None where it says nothing.

    Raises:
        NotFoundError: The model takes no picture.
        UnsupportedMediaError: The media type is none of the above.
        TooLargeError: The file has more than `MAX_BYTES`.
        BadRequestError: No picture is in there, or it is damaged or has too many pixels.
    """
    if manifest.picture is None:
        raise NotFoundError(f"model '{manifest.name}' takes no picture; use :predict")
    media = content_type.partition(";")[0].strip().lower()
    if media not in _MEDIA:
        raise UnsupportedMediaError(
            f"content type '{media:.64}' is not read here; send image/png, image/jpeg, image/webp, "
            f"text/plain (base64), {_FORM} or {_JSON}"
        )
    top = None
    if media == _FORM:
        body, top = _form(body, content_type)
    elif media == _JSON or (not _MAGIC.match(body) and body.lstrip()[:1] == b"{"):
        body, top = _document(body)
    return {manifest.inputs[0].name: _decode([_file(body)], manifest)}, top


def decode_rows(texts: list[str], manifest: Manifest) -> Tensor:
    """Pictures as rows of the model's one input.

    Args:
        texts: Each picture as base64.
        manifest: Of a model that takes pictures.

    Raises:
        TooLargeError: A file has more than `MAX_BYTES`, or all together are too many.
        BadRequestError: One is no picture, or damaged, or all together have too many pixels.
    """
    size = sum(map(len, texts))
    if size > messages.MAX_BYTES:  # only the context of examples can be in each of them
        raise TooLargeError(
            f"the pictures have {size} characters, the context in each example counted, at most "
            f"{messages.MAX_BYTES} are taken: send fewer examples at once"
        )
    name = manifest.inputs[0].name
    files = [
        _file(text.encode("ascii", "replace"), f"row {i} of input '{name}'")
        for i, text in enumerate(texts)
    ]
    return _decode(files, manifest)


def render(
    tensors: Mapping[str, Tensor], manifest: Manifest, top: int | None = None
) -> dict[str, object]:
    """The best labels, highest score first; scores as the model gave them.

    Args:
        tensors: The model's answer to one picture.
        manifest: Gives the labels.
        top: How many labels at most; 5 without.

    Raises:
        NotFoundError: The model does not give one row of scores, one for each label.
    """
    rows = classes.pair(tensors, manifest)
    if rows is None:
        raise NotFoundError(f"model '{manifest.name}' {classes.misfit(tensors, manifest)}")
    best = sorted(rows[0], key=lambda pair: pair[1], reverse=True)
    count = _TOP if top is None else top
    return {"predictions": [{"label": label, "score": score} for label, score in best[:count]]}


def read_top(text: str) -> int:
    """How many labels a query or a form asks for.

    Raises:
        BadRequestError: It is not a number above 0.
    """
    top = int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else 0  # noqa: PLR2004
    if not 0 < top <= MAX_TOP:
        raise BadRequestError(
            f"'{text:.32}' labels are asked for, expected a number from 1 to {MAX_TOP}"
        )
    return top


def _form(body: bytes, content_type: str) -> tuple[bytes, int | None]:
    """A form's one file, and its field `top`."""
    from handler.protocols import multipart

    fields = multipart.parse(body, content_type)
    top = fields.pop("top", None)
    if len(fields) != 1:
        raise BadRequestError(
            f"the form has {len(fields)} fields beside 'top', expected one with the picture"
        )
    (data,) = fields.values()
    return data, None if top is None else read_top(top.decode("latin-1"))


def _document(body: bytes) -> tuple[bytes, int | None]:
    """The base64 in `{"image": "...", "top": 3}`, and the number."""
    document = strict_json.parse(body)
    if (
        not isinstance(document, dict)
        or not isinstance(document.get("image"), str)
        or document.keys() - {"image", "top"}
    ):
        raise BadRequestError(
            f'expected {{"image": "<base64 of a {_KINDS}>"}}, and "top" if need be, nothing else'
        )
    top = strict_json.whole(document.get("top"))
    if "top" in document and (top is None or not 0 < top <= MAX_TOP):
        raise BadRequestError(f"'top' is not a number of labels, from 1 to {MAX_TOP}")
    return document["image"].encode("ascii", "replace"), top


def _file(body: bytes, place: str = "the body") -> bytes:
    """The picture's file in a body or a part of it: as it is, or as base64 of it."""
    if not body:
        raise BadRequestError(f"the picture in {place} is empty; send a {_KINDS}")
    if not _MAGIC.match(body):
        text = body.strip()
        if text.startswith(b"data:"):
            text = text.partition(b",")[2]
        try:
            body = base64_body.decode(text.translate(None, b"\r\n"))
        except ValueError as error:
            from handler import coding

            hint = coding.taken_for_text(body)
            raise BadRequestError(f"{place} is neither {_KINDS} nor base64 of one{hint}") from error
        if not _MAGIC.match(body):
            raise BadRequestError(f"the base64 in {place} does not hold a {_KINDS}")
    if len(body) > MAX_BYTES:
        raise TooLargeError(
            f"the picture in {place} has {len(body)} bytes, at most {MAX_BYTES} are taken"
        )
    return body


def _decode(files: list[bytes], manifest: Manifest) -> Tensor:
    from handler import pixels  # brings Pillow

    assert manifest.picture is not None  # noqa: S101 - the callers have answered those
    return pixels.decode(files, manifest.picture, manifest.inputs[0].client_dtype)
