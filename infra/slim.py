"""Shared libraries without what only a debugger reads, whatever processor they are for.

Wheels are often published with their debug information: five sixths of httptools, three quarters of
Pillow's largest file. The loader maps what the program headers name; what lies between and behind
goes, and the table of sections with it. `strip` does as much, for its own machine's processor.
"""

import struct

_ELF = b"\x7fELF\x02\x01"  # 64 bits, little-endian: both of Lambda's processors
_TABLE_AT = 0x20  # in the file's header: where the program headers begin, then where sections do
_TABLE_SIZE_AT = 0x36
_SECTION_COUNT_AT = 0x3C  # and which of them has the names
_LOAD = 1


def slim(library: bytes) -> bytes:
    """The same library, smaller; the same bytes where they are no 64-bit ELF file.

    Args:
        library: A file's contents.
    """
    if not library.startswith(_ELF):
        return library
    (table,) = struct.unpack_from("<Q", library, _TABLE_AT)
    size, count = struct.unpack_from("<HH", library, _TABLE_SIZE_AT)
    places = range(table, table + size * count, size)
    headers = [struct.unpack_from("<IIQQQQQQ", library, place) for place in places]
    # The loader maps pages: an offset may move, by whole alignments.
    step = max(header[7] for header in headers if header[0] == _LOAD)
    used = [(0, 64), (table, table + size * count), *((h[2], h[2] + h[5]) for h in headers)]
    smaller = bytearray()
    end = moved = 0
    moves = []  # from this offset on, that much nearer to the start
    for start, stop in sorted(used):
        if start > end:
            moved += (start - end) // step * step
            smaller += bytes((start - end) % step)
            end = start
        moves.append((start, moved))
        if stop > end:
            smaller += library[end:stop]
            end = stop

    def new(offset: int) -> int:
        return offset - max(move for move in moves if move[0] <= offset)[1]

    for place, header in zip(places, headers, strict=True):
        struct.pack_into("<Q", smaller, new(place) + 8, new(header[2]))
    struct.pack_into("<QQ", smaller, _TABLE_AT, new(table), 0)
    struct.pack_into("<HH", smaller, _SECTION_COUNT_AT, 0, 0)
    return bytes(smaller)
