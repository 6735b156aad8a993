"""glibc's heap, arranged for what a model does to it.

Under another C library nothing happens, nor where the kernel has no large pages to give.
"""

from __future__ import annotations

from contextlib import suppress

from handler.native import Library, c_int, c_int64, c_size_t, c_void_p

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_DEFAULT_PAD = 128 << 10
_MOST = 32 << 20  # glibc takes no higher threshold for what it maps by itself
_PAGE = 1 << 16  # the largest that either processor has
_MOST_PADDING = 1 << 30  # mallopt takes an int
_HUGEPAGE, _COLLAPSE = 14, 25  # MADV_*, asm-generic/mman-common.h

_large = (0, 0)  # the range that has large pages: start and bytes


def keep_freed(size: int = _MOST) -> None:
    """Have freed memory stay in this process, for the next body.

    glibc gives every large block back to the kernel and asks for it anew, page by page: half a
    millisecond for each copy of a 224x224x3 picture, a twentieth of what MobileNetV2 takes.

    Args:
        size: How many free bytes may stay.
    """
    with suppress(OSError):  # another C library, with habits of its own
        mallopt = Library().function("mallopt", (c_int, c_int))
        mallopt(_MMAP_THRESHOLD, _MOST)
        mallopt(_TRIM_THRESHOLD, size)


def use_large_pages(size: int) -> None:
    """Take the next allocations from one range, for which the kernel is asked for pages of 2 MB.

    Loading MobileNetV2 writes to 23 MB for the first time. In pages of 4 kB the kernel has to step
    in 5,700 times, which is a fifth of the loading; each later run is a little faster, too.

    Args:
        size: Bytes of the range, of which 1 GB are taken at most: address space, and memory only
            where it is written.
    """
    global _large  # noqa: PLW0603 - a process has one heap
    size = min(size, _MOST_PADDING)
    process = Library()
    try:
        mallopt = process.function("mallopt", (c_int, c_int))
    except OSError:
        return
    sbrk = process.function("sbrk", (c_int64,), c_void_p)
    malloc = process.function("malloc", (c_size_t,), c_void_p)
    free = process.function("free", (c_void_p,), None)
    madvise = process.function("madvise", (c_void_p, c_size_t, c_int))
    keep_freed(_MOST + size)  # else the range is gone with the first block that is freed
    start = sbrk(0)
    mallopt(_TOP_PAD, size)
    # Larger than any gap in the heap: so that it grows, by the padding too.
    free(malloc(min(size, _MOST - _PAGE)))
    mallopt(_TOP_PAD, _DEFAULT_PAD)
    start += -start % _PAGE
    _large = (start, sbrk(0) - start)
    madvise(*_large, _HUGEPAGE)


def mend_large_pages() -> None:
    """Make large pages again of those that a forked process has taken apart by writing to them.

    MobileNetV2 writes to three of the nine that it was given, whenever it runs: in pages of 4 kB it
    is 1 to 2 % slower. Where a few bytes of the others are written to, the whole page is no longer
    shared, and 12 MB more are each worker's own. Before Linux 6.1 nothing happens.
    """
    if _large[1]:
        madvise = Library().function("madvise", (c_void_p, c_size_t, c_int))
        madvise(*_large, _COLLAPSE)
