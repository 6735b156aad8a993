"""JSON that is refused, and how soon."""

import subprocess
import sys
from time import perf_counter

import orjson
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


@pytest.mark.parametrize("numbers", [b"1", b"1," * 131_072 + b"1"], ids=["small", "large"])
def test_orjson_is_loaded_for_what_is_worth_it(numbers: bytes) -> None:
    """A small list does not pay for its import in a cold start; it has the same numbers."""
    script = (
        "import sys; from handler.protocols.strict_json import read_list; "
        "numbers = read_list(sys.stdin.buffer.read()); "
        "print(set(numbers), len(numbers), 'orjson' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], input=numbers, capture_output=True, timeout=60, check=True
    )

    large = len(numbers) > 1
    assert f"{{1}} {131_073 if large else 1} {large}" == done.stdout.decode().strip()


@pytest.mark.parametrize(
    "text",
    [
        *("-0", "-0.0", "1e-400", "18446744073709551615", "-9223372036854775808"),
        *("9007199254740993", "3.4028235677973366e+38", "5e-324", "1E+5"),
        *("01", "1.", ".5", "+1", "- 1", "1 2", "1,", ""),
    ],
)
def test_both_parsers_read_the_same_numbers(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same types, at the edges of what a number is, and beyond."""
    monkeypatch.setitem(sys.modules, "orjson", orjson)
    fast = strict_json.read_list(text.encode())
    monkeypatch.delitem(sys.modules, "orjson")

    assert repr(strict_json.read_list(text.encode())) == repr(fast)


@pytest.mark.parametrize("text", ["1e400", "1" * 400])
def test_orjson_leaves_what_it_has_no_number_for(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long way says which number it was, and what is wrong with it."""
    monkeypatch.setitem(sys.modules, "orjson", orjson)

    assert [] == strict_json.read_list(text.encode())
