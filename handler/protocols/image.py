"""A picture in, labelled scores out.

A picture comes as raw PNG or JPEG bytes, as base64 text, or as JSON `{"image": "<base64>"}`. Pillow
is imported on the first picture: it costs 60 ms, which models without one never pay.
"""

from __future__ import annotations

import binascii
from array import array
from functools import lru_cache

from handler.errors import BadRequestError, NotFoundError, TooLargeError, UnsupportedMediaError
from handler.protocols import strict_json
from handler.tensor import Tensor, to_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from handler.manifest import Manifest, Picture

MAX_BYTES = 4_500_000
"""Largest picture. Lambda takes 6 MB a request, and base64 makes four bytes of three."""

MAX_PIXELS = 25_000_000
"""Largest picture once decoded: a few kB of PNG can hold gigabytes of pixels."""

_TOP = 5
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_JSON = "application/json"
# curl calls a body form-urlencoded unless told otherwise; some clients say nothing at all.
_MEDIA = frozenset(
    (
        "",
        "image/png",
        "image/jpeg",
        "image/jpg",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
        _JSON,
    )
)


def parse(body: bytes, media: str, manifest: Manifest) -> dict[str, Tensor]:
    """Decode, resize and scale a picture into the model's one input.

    Args:
        body: The request's body.
        media: Its media type, lower case and without parameters; "" when not given.
        manifest: Gives the picture's size, colour and range.

    Raises:
        NotFoundError: The model takes no picture.
        UnsupportedMediaError: The media type is none of the above.
        TooLargeError: The file has more than `MAX_BYTES`.
        BadRequestError: No PNG or JPEG is in there, or it has more than `MAX_PIXELS`.
    """
    picture = manifest.picture
    if picture is None:
        raise NotFoundError(f"model '{manifest.name}' takes no picture; use :predict")
    if media not in _MEDIA:
        raise UnsupportedMediaError(
            f"content type '{media:.64}' is not read here; "
            f"send image/png, image/jpeg, text/plain (base64) or {_JSON}"
        )
    data = _file(body, media)
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"the picture has {len(data)} bytes, at most {MAX_BYTES} are taken")
    return {manifest.inputs[0].name: _tensor(_decode(data, picture), picture)}


def render(tensors: Mapping[str, Tensor], manifest: Manifest) -> dict[str, object]:
    """The best labels, highest score first; scores as the model gave them.

    Raises:
        NotFoundError: The model's output is not one row of scores.
    """
    (tensor,) = tensors.values()
    scores = to_values(tensor)
    labels = manifest.labels or list(map(str, range(len(scores))))
    if len(labels) != len(scores):
        raise NotFoundError(
            f"model '{manifest.name}' gives {len(scores)} numbers for {len(labels)} labels; "
            "use :predict"
        )
    best = sorted(zip(labels, scores, strict=True), key=lambda pair: pair[1], reverse=True)
    return {"predictions": [{"label": label, "score": score} for label, score in best[:_TOP]]}


def _file(body: bytes, media: str) -> bytes:
    """The PNG or JPEG file in a body, whatever it is wrapped in."""
    if body.startswith(_MAGIC):
        return body
    text = body.strip()
    if media == _JSON or text.startswith(b"{"):
        document = strict_json.parse(body)
        value = document.get("image") if isinstance(document, dict) else None
        if not isinstance(value, str) or len(document) != 1:  # type: ignore[arg-type]
            raise BadRequestError(
                'expected {"image": "<base64 of a PNG or JPEG>"} and nothing else'
            )
        text = value.encode("ascii", "replace")
    if text.startswith(b"data:"):
        text = text.partition(b",")[2]
    try:
        data = binascii.a2b_base64(text.translate(None, b"\r\n"), strict_mode=True)
    except ValueError as error:
        raise BadRequestError("the body is neither PNG, JPEG nor base64 of either") from error
    if not data.startswith(_MAGIC):
        raise BadRequestError("the base64 does not hold a PNG or a JPEG")
    return data


def _decode(data: bytes, picture: Picture) -> bytes:
    """Pixels, one byte each, row by row, channels last."""
    import io

    from PIL import Image, ImageOps

    mode = "L" if picture.color == "gray" else "RGB"
    # The check below is stricter, and answers instead of warning.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            _check_pixels(image)
            upright = _eight_bits(ImageOps.exif_transpose(image)).convert(mode)
    except BadRequestError:
        raise
    except Exception as error:
        # Pillow raises whatever it meets in a broken file (OSError, SyntaxError, ValueError,
        # zlib.error, ...): the bytes are the client's, so the fault is.
        raise BadRequestError("the picture is damaged: it cannot be decoded") from error
    size = (picture.width, picture.height)
    if upright.size != size:
        upright = upright.resize(size, Image.Resampling.BILINEAR)
    return upright.tobytes()


def _check_pixels(image: Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadRequestError(
            f"the picture has {image.width}x{image.height} pixels, at most {MAX_PIXELS} are decoded"
        )


def _eight_bits(image: Image) -> Image:
    """Scale 16-bit grey down; Pillow's own conversion would clip it to white."""
    return image.point(lambda value: value / 257) if image.mode.startswith("I") else image


def _tensor(pixels: bytes, picture: Picture) -> Tensor:
    values = bytearray(4 * len(pixels))
    for plane, table in enumerate(_tables(picture.low, picture.high)):
        values[plane::4] = pixels.translate(table)
    return Tensor("float32", picture.shape, array("f", bytes(values)))


@lru_cache(maxsize=1)
def _tables(low: float, high: float) -> tuple[bytes, ...]:
    """For each of a float32's four bytes, pixel -> that byte.

    Four `bytes.translate` turn a picture into floats 20 times faster than a loop over its pixels.
    """
    floats = array("f", [low + (high - low) * pixel / 255 for pixel in range(256)]).tobytes()
    return tuple(floats[plane::4] for plane in range(4))
