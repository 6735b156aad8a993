"""Pictures in every wrapping, good and bad."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handler.service import Request, Service

Sample = Callable[[int], bytes]
PATH = "/v1/models/digits:image"
PREDICT = "/v1/models/digits:predict"
FORM = 'Multipart/Form-Data; charset=utf-8; boundary="a b"'


def _send(
    service: Service, body: bytes, media: str = "", path: str = PATH
) -> tuple[int, dict[str, Any]]:
    headers: Mapping[str, str] = {"content-type": media} if media else {}
    response = service.answer(Request("POST", path, headers, body))
    return response.status, json.loads(response.body)


def _form(*parts: bytes, name: str = "") -> bytes:
    """A form with one field a part, each of the name given or a name of its own."""
    fields = [
        f'--a b\r\nContent-Disposition: form-data; name="{name or i}"; filename="x.png"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + part
        for i, part in enumerate(parts)
    ]
    return b"\r\n".join([*fields, b"--a b--\r\n"])


def _save(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


ONE = base64.b64encode(_save(Image.new("L", (8, 8)))).decode()


@pytest.mark.parametrize("digit", range(10))
def test_every_sample_is_recognised(digits_service: Service, sample: Sample, digit: int) -> None:
    """The example's own pictures are labelled right, best of five labels first."""
    status, answer = _send(digits_service, sample(digit), "image/png")

    scores = [entry["score"] for entry in answer["predictions"]]
    assert (200, 5) == (status, len(scores))
    assert str(digit) == answer["predictions"][0]["label"]
    assert sorted(scores, reverse=True) == scores


@pytest.mark.parametrize(
    ("wrap", "media"),
    [
        (lambda png: png, "image/png"),
        (lambda png: png, "image/jpeg"),
        (lambda png: png, "application/octet-stream"),
        (lambda png: png, "application/x-www-form-urlencoded"),
        (lambda png: png, "text/plain"),
        (lambda png: png, ""),
        (base64.b64encode, "text/plain; charset=utf-8"),
        (base64.b64encode, ""),
        (base64.encodebytes, "text/plain"),
        (lambda png: b"data:image/png;base64," + base64.b64encode(png), "text/plain"),
        (lambda png: b'{"image": "%s"}' % base64.b64encode(png), "application/json"),
        (lambda png: b' {"image": "%s"}' % base64.b64encode(png), ""),
        (_form, FORM),
        (lambda png: b"a preamble\r\n" + _form(png) + b"an epilogue", FORM),
        (lambda png: _form(base64.b64encode(png)), FORM),
    ],
)
def test_the_wrapping_makes_no_difference(
    digits_service: Service, sample: Sample, wrap: Callable[[bytes], bytes], media: str
) -> None:
    """Raw, base64 and JSON, with a content type right, wrong or missing, get the same answer."""
    assert _send(digits_service, sample(3), "image/png") == _send(
        digits_service, wrap(sample(3)), media
    )


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "RGB"])
def test_every_kind_of_png_is_read(digits_service: Service, mode: str) -> None:
    """Black and white, palettes and transparency are all pictures."""
    assert 200 == _send(digits_service, _save(Image.new(mode, (9, 9))), "image/png")[0]


@pytest.mark.parametrize(
    "chunk",
    [
        b"VP8X" + bytes(4) + b"\0\0\0\0" + b"\xff\x3f\x00" * 2,
        b"VP8L" + bytes(4) + b"\x2f" + (0x3FFF | 0x3FFF << 14).to_bytes(4, "little"),
        b"VP8 " + bytes(4) + b"\0\0\0\x9d\x01\x2a" + b"\xff\x3f\xff\x3f",
    ],
    ids=["extended", "lossless", "lossy"],
)
def test_a_webp_of_many_pixels_is_refused_unopened(digits_service: Service, chunk: bytes) -> None:
    """Pillow would make room for all of them as soon as it opens the file."""
    status, answer = _send(digits_service, b"RIFF\0\0\0\0WEBP" + chunk, "image/webp")

    assert 400 == status
    assert "at most 25000000 are decoded" in answer["error"]
    assert "the picture has 163" in answer["error"]


def test_pictures_count_together(digits_service: Service) -> None:
    """Several in one request may not hold more pixels than one alone may."""
    large = base64.b64encode(_save(Image.new("1", (4_000, 4_000)))).decode()
    body = json.dumps({"instances": [{"b64": large}] * 2}).encode()

    status, answer = _send(digits_service, body, path="/v1/models/digits:predict")

    assert 400 == status
    assert (
        "4000x4000 pixels, at most 25000000 are decoded, and the pictures before it leave"
        in (answer["error"])
    )


def test_a_row_may_be_a_picture(digits_service: Service, sample: Sample) -> None:
    """TF Serving's b64 objects stand for rows, named or not, in either format."""
    two = [{"b64": base64.b64encode(sample(digit)).decode()} for digit in (3, 8)]

    answers = [
        next(iter(_send(digits_service, json.dumps(body).encode(), path=PREDICT)[1].values()))
        for body in (
            {"instances": two},
            {"instances": [{"image": picture} for picture in two]},
            {"inputs": two},
            {"inputs": {"image": two}},
        )
    ]

    assert [3, 8] == [scores.index(max(scores)) for scores in answers[0]]
    assert [answers[0]] * 4 == answers


def test_a_form_needs_no_quotes(digits_service: Service, sample: Sample) -> None:
    """.NET's MultipartFormDataContent writes a name without them."""
    head = b"Content-Disposition: form-data; name=file; filename=3.png; filename*=utf-8''3.png"
    body = b"--y\r\n" + head + b"\r\n\r\n" + sample(3) + b"\r\n--y--\r\n"

    status, answer = _send(digits_service, body, 'multipart/form-data; boundary="y"')

    assert (200, "3") == (status, answer["predictions"][0]["label"])


@pytest.mark.parametrize(
    "disposition",
    [
        b' form-data; name="file"; filename="a; name=top"',
        b' form-data; filename="a; name=top"; name="file"',
        b' form-data; name="' + b"f" * 100 + b'"; filename="a.png"',
        b'\tform-data; name="file"; filename="a.png"',
    ],
    ids=["after", "before", "long", "tab"],
)
def test_a_part_is_called_what_its_own_name_says(
    digits_service: Service, sample: Sample, disposition: bytes
) -> None:
    """A file may be called `a; name=top`, which is not the part's name; and names may be long."""
    head = b"--y\r\nContent-Disposition:" + disposition
    body = head + b"\r\n\r\n" + sample(3) + b"\r\n--y--\r\n"

    status, answer = _send(digits_service, body, "multipart/form-data; boundary=y")

    assert (200, "3") == (status, answer["predictions"][0]["label"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"b64": "aGVsbG8="}], "the base64 in row 0 of input 'image' does not hold a PNG"),
        ([{"b64": ONE}, {"b64": "?"}], "row 1 of input 'image' is neither PNG, JPEG or WebP nor"),
        ([{"b64": ONE}, {"b64": ONE[:28]}], "the picture of row 1 is damaged"),
        ([{"b64": "aGVsbG8="}, [[1]]], "row 1 of input 'image' is not"),
        ([{"b64": 3}], "instances[0]: missing input 'image'"),
        ([{"b64": "aGVsbG8=", "x": 1}], "instances[0]: missing input 'image'"),
        ([[{"b64": "aGVsbG8="}]], "input 'image'"),
    ],
)
def test_a_row_that_is_no_picture_is_refused(
    digits_service: Service, rows: list[Any], message: str
) -> None:
    """Pictures and numbers do not mix, and each picture is a whole one."""
    status, answer = _send(digits_service, json.dumps({"instances": rows}).encode(), path=PREDICT)

    assert (400, True) == (status, message in answer["error"])


@pytest.mark.parametrize(
    ("query", "wrap", "media", "count"),
    [
        ("k=1", bytes, "image/png", 1),
        ("k=99", bytes, "image/png", 10),
        ("", lambda p: b'{"image": "%s", "top": 3}' % base64.b64encode(p), "application/json", 3),
        ("k=2", lambda p: b'{"image": "%s", "top": 3}' % base64.b64encode(p), "", 2),
        ("", lambda p: _form(p, b"4").replace(b'name="1"', b'name="top"'), FORM, 4),
    ],
)
def test_the_caller_says_how_many_labels(
    digits_service: Service,
    sample: Sample,
    query: str,
    wrap: Callable[[bytes], bytes],
    media: str,
    count: int,
) -> None:
    """In the query, in JSON or in the form; more than there are means all."""
    request = Request("POST", PATH, {"content-type": media}, wrap(sample(3)), query=query)

    answer = json.loads(digits_service.answer(request).body)

    assert (count, "3") == (len(answer["predictions"]), answer["predictions"][0]["label"])


@pytest.mark.parametrize("query", ["k=0", "k=-1", "k=x", "k=", "k=1&k=2", "k=" + "9" * 5000])
def test_how_many_labels_is_a_number(digits_service: Service, sample: Sample, query: str) -> None:
    """From 1, and given once."""
    response = digits_service.answer(Request("POST", PATH, {}, sample(3), query=query))

    assert 400 == response.status


def test_a_small_file_of_many_pixels_is_refused_unread(digits_service: Service) -> None:
    """A PNG that claims 100,000 x 100,000 pixels is refused by its header alone."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    bomb = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))

    status, answer = _send(digits_service, bomb, "image/png")

    assert 400 == status
    assert "the picture has 100000x100000 pixels, at most 25000000" in answer["error"]


@pytest.mark.parametrize(
    ("body", "media", "status", "message"),
    [
        (b"GIF89a...", "image/png", 400, "neither PNG, JPEG or WebP nor base64"),
        ("\ufffdPNG\r\n".encode(), "text/plain", 400, "a gateway took it for text"),
        (b"hello", "text/plain", 400, "neither PNG, JPEG or WebP nor base64"),
        (b"aGVsbG8=", "text/plain", 400, "does not hold a PNG, JPEG or WebP"),
        (b"aGVsbG8", "text/plain", 400, "neither PNG, JPEG or WebP nor base64"),
        (b'{"image": 3}', "application/json", 400, 'expected {"image"'),
        (b'{"image": "aGVsbG8="}', "application/json", 400, "does not hold a PNG, JPEG or WebP"),
        (b'{"image": "\\u00e9"}', "application/json", 400, "neither PNG, JPEG or WebP nor base64"),
        (b'{"image": "\\ud800"}', "application/json", 400, "neither PNG, JPEG or WebP nor base64"),
        (b'{"image": "", "x": 1}', "application/json", 400, "nothing else"),
        (b'["x"]', "application/json", 400, 'expected {"image"'),
        (b'{"image": ', "application/json", 400, "not JSON"),
        (b"", "image/png", 400, "the body is empty"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", 400, "the picture is damaged"),
        (b"\x89PNG\r\n\x1a\n", "image/png", 400, "the picture is damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "image/png", 400, "the picture is damaged"),
        (b"x", "image/gif", 415, "content type 'image/gif'"),
        (b"x", "multipart/mixed; boundary=y", 415, "content type 'multipart/mixed'"),
        (b"x", "multipart/form-data", 400, "without a boundary"),
        (b"x", "multipart/form-data; boundary=y", 400, "does not end with its boundary"),
        (b"--y\r\n\r\nx\r\n--y--", "multipart/form-data; boundary=y", 400, "has no name"),
        (b"--y--", "multipart/form-data; boundary=y", 400, "has 0 fields beside 'top'"),
        (_form(b"1", b"2", name="a"), FORM, 400, "the form gives 'a' twice"),
        (_form(*[b"x"] * 9), FORM, 400, "has more than 8 parts"),
        (_form(b"a", b"b"), FORM, 400, "has 2 fields beside 'top'"),
        (_form(b""), FORM, 400, "the picture in the body is empty; send a PNG, JPEG or WebP"),
        (_form(b"a"), FORM, 400, "neither PNG, JPEG or WebP nor base64"),
        (b"RIFF\0\0\0\0WEBP", "image/webp", 400, "the picture is damaged"),
        (b'{"image": "aGVsbG8=", "top": 0}', "application/json", 400, "'top' is not a number"),
        (b'{"image": "aGVsbG8=", "top": true}', "application/json", 400, "'top' is not a number"),
        (b"\xff\xd8\xff" + b"\0" * 4_500_000, "image/jpeg", 413, "at most 4500000"),
        (b"\0" * 5_500_001, "image/jpeg", 413, "at most 5500000"),
    ],
)
def test_what_is_no_picture_is_refused_and_leaves_no_trace(
    digits_service: Service,
    sample: Sample,
    body: bytes,
    media: str,
    status: int,
    message: str,
) -> None:
    """Each bad body gets its status and one line; the next good picture still works."""
    got, answer = _send(digits_service, body, media)

    assert (status, ["error"]) == (got, list(answer))
    assert message in answer["error"]
    assert 200 == _send(digits_service, sample(1), "image/png")[0]


@pytest.mark.parametrize("end", [20, 60, 100])
def test_a_truncated_picture_is_damaged(digits_service: Service, sample: Sample, end: int) -> None:
    """A picture cut short anywhere is the client's fault, whatever Pillow raises for it."""
    status, answer = _send(digits_service, sample(3)[:end], "image/png")

    assert (400, "the picture is damaged: it cannot be decoded") == (status, answer["error"])


def test_a_model_without_picture_has_no_such_route(tiny_service: Service, sample: Sample) -> None:
    """Where the card has no picture, :image is a 404 that says what to use."""
    status, answer = _send(tiny_service, sample(1), "image/png", "/v1/models/tiny:image")

    assert (404, "model 'tiny' takes no picture; use :predict") == (status, answer["error"])


def test_without_labels_the_index_is_the_label(
    digits: Path, tmp_path: Path, open_model: Callable[[Path], Service], sample: Sample
) -> None:
    """A card without labels still answers :image, by number."""
    document = json.loads((digits / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(json.dumps({**document, "labels": None}), "utf-8")
    (tmp_path / "model.tflite").write_bytes((digits / "model.tflite").read_bytes())

    _, answer = _send(open_model(tmp_path), sample(6), "image/png")

    assert "6" == answer["predictions"][0]["label"]
