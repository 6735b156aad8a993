"""PNG, JPEG and WebP -> the numbers a model takes. The one file that needs Pillow.

A picture's claims are checked before any of it is decoded: a few kB can hold gigabytes of pixels.
"""

from __future__ import annotations

import io
import math
import re
from functools import lru_cache

from PIL import Image

from handler.errors import BadRequestError, TooLargeError
from handler.tensor import FLOATS, ITEM_SIZES, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from handler.manifest import Picture

MAX_PIXELS = 25_000_000
"""Most pixels of all pictures in one request together, once decoded."""

MAX_INPUT_BYTES = 64_000_000
"""Most bytes of numbers that they may become, 106 rows of 224x224x3 floats: a file of one pixel, 67
bytes, becomes as many as a photo."""

MAX_SCANS, MAX_SEGMENTS = 100, 1_000
"""Most scans, and segments, of a JPEG. Progressive ones have about ten scans; but one of 42 bytes
keeps libjpeg busy for 30 ms, and there is room for a hundred thousand."""

_FORMATS = ("PNG", "JPEG", "WEBP")
_ORIENTATION = 0x0112
# EXIF's orientation -> what undoes it. Pillow's own exif_transpose writes all of the other tags
# anew, and fails over one that a camera has written wrongly.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Where a JPEG's next segment begins: not so are stuffed zeros, restarts and other lone codes.
_SEGMENT = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_SCAN, _END = b"\xda", b"\xd9"
# The check here is stricter, and answers instead of warning.
Image.MAX_IMAGE_PIXELS = None


def decode(files: list[bytes], picture: Picture, dtype: str) -> Tensor:
    """Decode, turn upright, convert, resize and scale.

    Args:
        files: At least one picture.
        picture: Size, colour and range of what the model takes.
        dtype: The dtype of its input.

    Returns:
        A row for each picture.

    Raises:
        TooLargeError: They would become more than `MAX_INPUT_BYTES`.
        BadRequestError: One is damaged, or all together have more than `MAX_PIXELS`.
    """
    size = len(files) * math.prod(picture.shape) * ITEM_SIZES[dtype]
    if len(files) > 1 and size > MAX_INPUT_BYTES:
        raise TooLargeError(
            f"{len(files)} pictures become {size} bytes of {dtype}, at most {MAX_INPUT_BYTES} are "
            "taken: send fewer at once"
        )
    room = MAX_PIXELS
    rows = []
    for i, data in enumerate(files):
        name = "the picture" if len(files) == 1 else f"the picture of row {i}"
        try:
            pixels, count = _pixels(data, picture, room, name)
        except BadRequestError:
            raise
        except Exception as error:
            # Pillow raises whatever it meets in a broken file (OSError, SyntaxError, ValueError,
            # zlib.error, ...): the bytes are the client's, so the fault is.
            raise BadRequestError(f"{name} is damaged: it cannot be decoded") from error
        room -= count
        rows.append(_scale(pixels, picture, dtype))
    shape = (len(rows), *picture.shape[1:])
    return Tensor(dtype, shape, rows[0] if len(rows) == 1 else b"".join(rows))


def _pixels(data: bytes, picture: Picture, room: int, name: str) -> tuple[bytes, int]:
    """One byte a channel, row by row, channels last; and how many pixels the file had."""
    if data.startswith(b"RIFF"):
        # Pillow makes room for the whole picture as soon as it opens a WebP.
        _check(_webp_size(data), room, name)
    elif data.startswith(b"\xff\xd8"):
        _check_scans(data, name)
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        _check(image.size, room, name)
        image.load()  # what is damaged fails here; of a PNG, EXIF may stand after the pixels
        turn = _UPRIGHT.get(_orientation(image))
        upright = _convert(image if turn is None else image.transpose(turn), picture)
        count = image.width * image.height
    size = (picture.width, picture.height)
    if upright.size != size:
        upright = upright.resize(size, Image.Resampling.BILINEAR)
    return upright.tobytes(), count


def _orientation(image: Image.Image) -> int:
    """As the camera was held; upright where EXIF cannot be read, as browsers do."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - Pillow raises whatever it meets there, too
        return 1


def _check(size: tuple[int, int], room: int, name: str) -> None:
    width, height = size
    if width * height > room:
        rest = "" if room == MAX_PIXELS else f", and the pictures before it leave {room}"
        raise BadRequestError(
            f"{name} has {width}x{height} pixels, at most {MAX_PIXELS} are decoded{rest}"
        )


def _check_scans(data: bytes, name: str) -> None:
    position = scans = segments = 0
    while (found := _SEGMENT.search(data, position)) and found[1] != _END:
        segments += 1
        scans += found[1] == _SCAN
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise BadRequestError(
                f"{name} has more than {MAX_SCANS} scans or {MAX_SEGMENTS} segments; save it anew"
            )
        start = found.end()
        position = start + int.from_bytes(data[start : start + 2], "big")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk; libwebp refuses frames that are larger."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = data[26:28], data[28:30]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF


def _convert(image: Image.Image, picture: Picture) -> Image.Image:
    """To the model's colours, eight bits each."""
    if image.mode.startswith("I"):
        # Of 16-bit grey the upper eight, as of 16-bit colour and as TensorFlow's decode_png takes
        # them; Pillow's own conversion would clip it to white.
        image = image.point(lambda value: value / 256)
    elif isinstance(image.info.get("transparency"), bytes):
        # A palette with transparent colours; Pillow warns unless asked for them first.
        image = image.convert("RGBA")
    return image.convert("L" if picture.color == "gray" else "RGB")


def _scale(pixels: bytes, picture: Picture, dtype: str) -> bytes | bytearray:
    planes = _tables(picture.low, picture.high, dtype)
    if len(planes) == 1:
        return pixels.translate(planes[0])
    values = bytearray(len(planes) * len(pixels))
    for i, plane in enumerate(planes):
        values[i :: len(planes)] = pixels.translate(plane)
    return values


@lru_cache(maxsize=1)
def _tables(low: float, high: float, dtype: str) -> tuple[bytes, ...]:
    """For each byte of a value, pixel -> that byte.

    A `bytes.translate` a byte turns a picture into floats 20 times faster than a loop over pixels.
    """
    scaled = [low + (high - low) * pixel / 255 for pixel in range(256)]
    values = Tensor.of(dtype, (256,), scaled if dtype in FLOATS else map(round, scaled))
    size = ITEM_SIZES[dtype]
    return tuple(bytes(values.data[plane::size]) for plane in range(size))
