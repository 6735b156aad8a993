"""Base64 bodies, small ones by Python and large ones by pybase64."""

import base64

import pytest

from handler import base64_body

LARGE = 90_001


@pytest.mark.parametrize("size", [0, 1, 2, 3, LARGE, LARGE + 1, LARGE + 2])
def test_what_was_encoded_comes_back(size: int) -> None:
    """Whatever the size and its padding."""
    data = (bytes(range(256)) * 400)[:size]

    assert data == base64_body.decode(base64.b64encode(data))


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"AAAA", b"AA=A"),
        (b"AAAA", b"A\nAA"),
        (b"AAAA", b"AA-A"),
        (b"AAAA", b"AAA\xff"),
        (b"AAAA", b"AAA"),
        (b"AAAA", b" AAA"),
    ],
    ids=["padding inside", "line break", "url-safe", "latin", "cut", "blank"],
)
@pytest.mark.parametrize("end", ["start", "end"])
def test_what_is_not_base64_is_refused(size: int, old: bytes, new: bytes, end: str) -> None:
    """At the start as at the end, in a small body as in a large one."""
    text = base64.b64encode(bytes(size // 3 * 3))
    wrong = text.replace(old, new, 1) if end == "start" else text[:-4] + new

    with pytest.raises(ValueError, match=r"."):
        base64_body.decode(wrong)
