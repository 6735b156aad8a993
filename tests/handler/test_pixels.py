"""Pixels -> the numbers a model takes: sizes, colours, orientation and dtypes."""

import io
import struct
import zlib
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from handler import pixels
from handler.errors import BadRequestError, StartupError, TooLargeError
from handler.manifest import Manifest
from handler.protocols import image
from handler.service import Service
from handler.tensor import Tensor

Sample = Callable[[int], bytes]


def _save(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _colour_model(dtype: str, span: list[float]) -> dict[str, Any]:
    """A model.json of a model for pictures of two pixels."""
    return {
        "schema": 1,
        "name": "colour",
        "sha256": "",
        "recipe": "float32",
        "signature": {
            "name": "serving_default",
            "inputs": [{"name": "x", "dtype": dtype, "shape": [-1, -1, -1, 3]}],
            "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 2]}],
        },
        "picture": {"width": 2, "height": 1, "color": "rgb", "range": span},
    }


def _read(body: bytes, media: str, manifest: Manifest) -> Tensor:
    """The one input that a picture becomes."""
    (tensor,) = image.parse(body, media, manifest)[0].values()
    return tensor


def test_the_picture_and_its_numbers_get_the_same_scores(
    digits_service: Service, sample: Sample
) -> None:
    """A picture is scaled exactly as pixel / 255."""
    with Image.open(io.BytesIO(sample(7))) as picture:
        pixels = picture.convert("L").tobytes()

    values = _read(sample(7), "image/png", digits_service.manifest).values

    assert array("f", [pixel / 255 for pixel in pixels]) == values


def test_a_jpeg_of_another_size_and_colour_is_fitted(digits_service: Service) -> None:
    """Any size and colour is resized and converted to what the model takes."""
    with_colour = Image.new("RGB", (640, 480), (255, 0, 0))

    tensor = _read(_save(with_colour, "JPEG"), "image/jpeg", digits_service.manifest)

    assert (1, 8, 8, 1) == tensor.shape
    assert all(abs(value - 76 / 255) < 0.01 for value in tensor.values)


def test_a_photo_is_turned_upright(digits_service: Service) -> None:
    """EXIF's orientation is heeded, as phones rely on it."""
    picture = Image.new("L", (8, 8))
    picture.paste(255, (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down

    data = _save(picture, "PNG", exif=exif)
    values = _read(data, "image/png", digits_service.manifest).values

    assert [0.0, 1.0] == [values[0], values[-1]]


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, [0, 1, 2, 3]),
        (2, [1, 0, 3, 2]),
        (3, [3, 2, 1, 0]),
        (4, [2, 3, 0, 1]),
        (5, [0, 2, 1, 3]),
        (6, [2, 0, 3, 1]),
        (7, [3, 1, 2, 0]),
        (8, [1, 3, 0, 2]),
        (9, [0, 1, 2, 3]),
    ],
)
def test_each_orientation_is_undone(
    digits_service: Service, orientation: int, corners: list[int]
) -> None:
    """The corners, row by row, are where EXIF says; unknown numbers say nothing."""
    picture = Image.new("L", (8, 8))
    for i, place in enumerate([(0, 0), (4, 0), (0, 4), (4, 4)]):
        picture.paste(51 * i, (*place, place[0] + 4, place[1] + 4))
    exif = Image.Exif()
    exif[0x0112] = orientation

    data = _save(picture, "PNG", exif=exif)
    values = _read(data, "image/png", digits_service.manifest).values

    assert corners == [round(values[i] * 5) for i in (0, 7, 56, 63)]


def test_a_photo_is_turned_upright_whatever_else_its_camera_wrote(digits_service: Service) -> None:
    """The orientation is read where another tag, here a width in letters, is not what it should."""
    picture = Image.new("L", (8, 8))
    picture.paste(255, (0, 0, 8, 4))
    tags = struct.pack("<HHLL", 0x0112, 3, 1, 3) + struct.pack("<HHL4s", 0x0100, 2, 4, b"abc")
    exif = b"Exif\0\0II*\0" + struct.pack("<LH", 8, 2) + tags + bytes(4)

    data = _save(picture, "PNG", exif=exif)
    values = _read(data, "image/png", digits_service.manifest).values

    assert [0.0, 1.0] == [values[0], values[-1]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_picture_is_upright_where_its_exif_cannot_be_read(
    digits_service: Service, kind: str
) -> None:
    """Its pixels are fine, and so is the picture."""
    data = _save(Image.new("L", (8, 8), 51), kind, exif=b"Exif\0\0not a TIFF file")

    values = _read(data, f"image/{kind.lower()}", digits_service.manifest).values

    assert all(abs(value - 0.2) < 0.01 for value in values)


@pytest.mark.parametrize(("more", "fine"), [(1, True), (90, True), (100, False), (50_000, False)])
def test_a_jpeg_has_a_limit_of_scans(digits_service: Service, *, more: int, fine: bool) -> None:
    """Each scan over again takes its time and no room: 4 MB of them would take an hour."""
    data = _save(Image.new("L", (8, 8), 51), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    data = data[:-2] + more * last + data[-2:]

    if fine:
        values = _read(data, "image/jpeg", digits_service.manifest).values
        assert all(abs(value - 0.2) < 0.01 for value in values)
    else:
        with pytest.raises(BadRequestError, match="the picture has more than 100 scans"):
            _read(data, "image/jpeg", digits_service.manifest)


@pytest.mark.parametrize(
    "between", [b"\xff\xe1\0\x09Exif\0\0x", b"\xff\xfe\0\x02", b"\xff\x01\xff\xfe\0\x02"]
)
def test_a_jpeg_has_a_limit_of_segments(digits_service: Service, between: bytes) -> None:
    """Pillow puts EXIF's parts together one by one, copying all before each time."""
    data = _save(Image.new("L", (8, 8)), "JPEG")

    with pytest.raises(BadRequestError, match="or 1000 segments; save it anew"):
        _read(data[:2] + 1_000 * between + data[2:], "image/jpeg", digits_service.manifest)


def test_small_files_do_not_become_gigabytes() -> None:
    """A pixel is made as large as a photo; of several pictures the sum counts."""
    manifest = Manifest(_colour_model("float32", [0, 1]))
    assert manifest.picture is not None
    manifest.picture.shape = (1, 2_000, 2_000, 3)
    with pytest.raises(TooLargeError, match="2 pictures become 96000000 bytes of float32, at most"):
        pixels.decode([_save(Image.new("L", (1, 1)))] * 2, manifest.picture, "float32")


def test_what_follows_a_jpeg_does_not_count(digits_service: Service) -> None:
    """Phones put a film, or a second picture, behind the first."""
    data = _save(Image.new("L", (8, 8), 51), "JPEG") + 200 * b"\xff\xda\0\x02"

    assert (1, 8, 8, 1) == _read(data, "image/jpeg", digits_service.manifest).shape


def test_sixteen_bit_grey_is_scaled_not_clipped(digits_service: Service) -> None:
    """A 16-bit PNG keeps its brightness."""
    data = _save(Image.new("I;16", (8, 8), 32896))

    values = _read(data, "image/png", digits_service.manifest).values

    assert {array("f", [128 / 255])[0]} == set(values)


def _png16(kind: int, *samples: int) -> bytes:
    """A pixel of 16 bits a channel, of PNG's colour type 0 (grey), 2 (RGB) or 4 (grey, alpha)."""
    head = struct.pack(">IIBBBBB", 1, 1, 16, kind, 0, 0, 0)
    data = zlib.compress(b"\0" + struct.pack(f">{len(samples)}H", *samples))
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@pytest.mark.parametrize("value", [0, 255, 256, 32768, 51200, 65534, 65535])
def test_sixteen_bit_grey_is_read_as_colour_is(digits_service: Service, value: int) -> None:
    """The upper eight bits of each, whether it comes as grey, with alpha or as three equal ones."""
    manifest = digits_service.manifest
    files = [_png16(0, value), _png16(4, value, 65535), _png16(2, value, value, value)]

    found = [set(_read(file, "image/png", manifest).values) for file in files]

    assert [{array("f", [(value >> 8) / 255])[0]}] * 3 == found


def test_colour_pictures_have_channels_last() -> None:
    """For a model in colour each pixel gives red, green, blue, scaled into the card's range."""
    manifest = Manifest(_colour_model("float32", [-1, 1]))
    picture = Image.new("RGB", (2, 1), (255, 0, 51))

    tensor = _read(_save(picture), "image/png", manifest)

    assert (1, 1, 2, 3) == tensor.shape
    assert array("f", [1.0, -1.0, -0.6] * 2) == tensor.values


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0"}])
def test_a_webp_is_read(digits_service: Service, options: dict[str, Any]) -> None:
    """Lossy, lossless and extended files."""
    data = _save(Image.new("L", (32, 16), 51), "WEBP", **options)

    values = _read(data, "image/webp", digits_service.manifest).values

    assert all(abs(value - 0.2) < 0.01 for value in values)


def test_a_palette_with_transparent_colours_is_read(digits_service: Service) -> None:
    """Pillow would rather warn of these."""
    data = _save(Image.new("P", (8, 8)), transparency=bytes(range(256)))

    assert (1, 8, 8, 1) == _read(data, "image/png", digits_service.manifest).shape


def test_a_model_of_whole_numbers_gets_them() -> None:
    """An input of uint8 takes the pixels as they are."""
    document = _colour_model("uint8", [0, 255])

    tensor = _read(_save(Image.new("RGB", (2, 1), (255, 0, 51))), "image/png", Manifest(document))

    assert ("uint8", [255, 0, 51] * 2) == (tensor.dtype, tensor.tolist())


@pytest.mark.parametrize(
    ("dtype", "span"), [("uint8", [0, 256]), ("int8", [0, 255]), ("bool", [0, 1])]
)
def test_a_range_beyond_the_dtype_fails_the_start(dtype: str, span: list[float]) -> None:
    """What no pixel could become is found when the image is built."""
    with pytest.raises(StartupError, match="does not fit input 'x', which takes"):
        Manifest(_colour_model(dtype, span))
