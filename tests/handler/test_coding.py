"""gzip and deflate, both ways."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from handler.errors import TooLargeError
from handler.messages import MAX_BYTES, Request, Response
from handler.service import Service, _pack

PREDICT = "/v1/models/tiny:predict"
GOOD = json.dumps({"inputs": {"a": [[1, 2]], "b": [[3, 4]], "ids": [5]}}).encode()
LONG = json.dumps({"inputs": {"a": [[1] * 300], "b": [[3] * 300], "ids": [5]}}).encode()


def _send(service: Service, body: bytes, **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.answer(Request("POST", PREDICT, names, body))


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_a_compressed_body_is_the_body(
    tiny_service: Service, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """The same request, however it is packed, gets the same answer."""
    response = _send(tiny_service, pack(GOOD), content_encoding=coding)

    assert (200, _send(tiny_service, GOOD).body) == (response.status, response.body)


@pytest.mark.parametrize(
    ("coding", "body", "status", "message"),
    [
        ("br", GOOD, 415, "content-encoding 'br' is not read here"),
        ("gzip, gzip", GOOD, 415, "send gzip, deflate or neither"),
        ("gzip", GOOD, 400, "the body is not gzip"),
        ("gzip", GOOD, 400, "reads like JSON as it is: send no Content-Encoding"),
        ("gzip", b"hello", 400, "the body is not gzip, as content-encoding says"),
        (
            "gzip",
            gzip.compress(GOOD).decode(errors="replace").encode(),
            400,
            "by its Content-Type: send compressed JSON without one",
        ),
        (
            "deflate",
            zlib.compress(GOOD, 1).decode(errors="replace").encode(),
            400,
            "by its Content-Type: send compressed JSON without one",
        ),
        ("deflate", gzip.compress(GOOD), 400, "the body is not deflate"),
        ("deflate", zlib.compress(GOOD, wbits=-15), 400, "HTTP means zlib's format by it"),
        ("gzip", gzip.compress(GOOD)[:-1], 400, "its gzip does not end"),
        ("gzip", gzip.compress(GOOD)[:-8] + bytes(8), 400, "the body is not gzip"),
        ("gzip", gzip.compress(GOOD) + b"x", 400, "1 bytes follow the end of the gzip; send one"),
        ("gzip", gzip.compress(b"") * 200_000, 400, "bytes follow the end of the gzip"),
        ("gzip", gzip.compress(b" " * (MAX_BYTES + 1)), 413, "inflates to more than 5500000 bytes"),
        ("gzip", b"", 400, "the body is empty"),
        ("gzip", gzip.compress(b""), 400, "the body is not JSON"),
    ],
    # gzip writes the time into its head, and two processes must collect the same names.
    ids=lambda value: "body" if isinstance(value, bytes) else str(value),
)
def test_a_body_that_is_badly_packed_is_refused(
    tiny_service: Service, coding: str, body: bytes, status: int, message: str
) -> None:
    """Damaged, cut, doubled, unknown and bombs: each has its line, and none is inflated whole."""
    response = _send(tiny_service, body, content_encoding=coding)

    assert status == response.status
    assert message in json.loads(response.body)["error"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("deflate, gzip;q=0.5", "deflate"),
        ("*", "gzip"),
        ("br, *;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "deflate"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("br", None),
        ("", None),
        ("gzip;q=nan", None),
    ],
)
def test_a_long_answer_is_packed_as_the_client_likes(
    tiny_service: Service, accepted: str, coding: str | None
) -> None:
    """Accept-Encoding is heeded, q-values too; caches are told that it was."""
    unpack: dict[str | None, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        None: bytes,
    }

    response = _send(tiny_service, LONG, accept_encoding=accepted)

    assert coding == response.headers.get("content-encoding")
    assert "accept-encoding" == response.headers["vary"]
    assert [4.0] * 300 == json.loads(unpack[coding](response.body))["outputs"]["sum"][0]


def test_a_short_answer_goes_as_it_is(tiny_service: Service) -> None:
    """Below a kilobyte there is nothing to gain."""
    assert "content-encoding" not in _send(tiny_service, GOOD, accept_encoding="gzip").headers


def test_an_answer_over_the_cap_may_fit_when_packed() -> None:
    """What counts is what is sent."""
    response = Response(200, b" " * (MAX_BYTES + 1))

    _pack(response, Request("POST", PREDICT, {"accept-encoding": "gzip"}))

    assert len(response.body) < MAX_BYTES // 100


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b" " * 5_500_001, "application/json"),
        (b'"' * 2_800_001, "application/json"),
        (b"\\" * 2_800_001, "application/json"),
        (b" " * 4_500_001, "application/octet-stream"),
    ],
    ids=["text", "quotes", "backslashes", "bytes"],
)
def test_an_answer_that_lambda_cannot_carry_is_refused(body: bytes, kind: str) -> None:
    """Lambda takes 6 MB: in text what it escapes counts twice, and bytes travel as base64."""
    response = Response(200, body, {"content-type": kind})

    with pytest.raises(TooLargeError, match="ask for less at once"):
        _pack(response, Request("POST", PREDICT, {}))
