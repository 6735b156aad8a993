"""C's functions and memory, against what Python itself says."""

import os
import zlib
from pathlib import Path

import pytest

from handler.native import Library, Memory, c_char_p, c_int, c_size_t, c_void_p


def _is_mapped(address: int) -> bool:
    lines = Path("/proc/self/maps").read_text(encoding="ascii").splitlines()
    ranges = [line.split()[0].split("-") for line in lines]
    return any(int(start, 16) <= address < int(end, 16) for start, end in ranges)


@pytest.mark.parametrize("slow", [False, True])
def test_a_function_answers(*, slow: bool) -> None:
    """A function of C's library takes and gives what its types say."""
    length = Library().function("strlen", (c_char_p,), c_size_t, slow=slow)

    assert 5 == length(b"seven"[:5])


def test_a_number_that_is_no_pointer_is_refused() -> None:
    """An argument of another type does not reach C."""
    length = Library().function("strlen", (c_char_p,), c_size_t)

    with pytest.raises(Exception, match="argument 1"):
        length(5)


def test_memory_is_zeros_that_can_be_written_from_both_sides() -> None:
    """C finds what Python wrote, at the address."""
    memory = Memory(100_000)
    length = Library().function("strlen", (c_void_p,), c_size_t)

    assert bytes(100_000) == bytes(memory.view)
    memory.view[:3] = b"abc"
    assert 3 == length(memory.address)


def test_a_file_is_mapped_to_be_read(tmp_path: Path) -> None:
    """Its bytes are there, after the file is closed and gone, and cannot be written to."""
    content = os.urandom(20_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        memory = Memory(len(content), file.fileno())
    path.unlink()

    assert zlib.crc32(content) == zlib.crc32(memory.view)
    with pytest.raises(TypeError, match="read-only"):
        memory.view[0] = 1


def test_memory_that_nobody_holds_is_given_back() -> None:
    """What was mapped is unmapped with its object."""
    memory = Memory(1 << 30)
    middle = memory.address + (1 << 29)
    assert _is_mapped(middle)

    del memory

    assert not _is_mapped(middle)


def test_too_much_memory_is_an_error() -> None:
    """The kernel's refusal names the size."""
    with pytest.raises(OSError, match="0 bytes cannot be mapped"):
        Memory(0)


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    """The loader's own words say which file it wanted."""
    with pytest.raises(OSError, match=r"nothing\.so: cannot open shared object file"):
        Library(f"{tmp_path}/nothing.so")


def test_a_function_that_is_missing_is_named() -> None:
    """The loader's own words say which function it wanted."""
    with pytest.raises(OSError, match="no_such_function"):
        Library().function("no_such_function", (c_int,))
