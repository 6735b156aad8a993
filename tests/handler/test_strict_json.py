"""JSON that is refused, and how soon."""

from time import perf_counter

import pytest

from handler.errors import BadRequestError
from handler.protocols import strict_json


def test_a_byte_order_mark_says_nothing() -> None:
    """What Windows writes before a file's text, and TF Serving reads; only the one."""
    assert {"a": 1} == strict_json.parse(b'\xef\xbb\xbf{"a": 1}')
    with pytest.raises(BadRequestError, match="not JSON"):
        strict_json.parse(b"\xef\xbb\xbf" * 2 + b"{}")


def test_one_key_twice_among_very_many_is_found_at_once() -> None:
    """A body below the cap has room for 400,000 keys: to count each would take an hour."""
    keys = ",".join(f'"{i}":0' for i in range(400_000))
    start = perf_counter()

    with pytest.raises(BadRequestError, match="the key '399999' twice in one object"):
        strict_json.parse(f'{{{keys},"399999":0}}'.encode())

    assert 10 > perf_counter() - start
