"""C's types, functions and memory, as far as LiteRT's calls need them.

Of the module that ctypes is built on: ctypes itself prepares for whatever anybody may call, 0.8 ms
of the 9 that a start takes here, and Python's mmap is one more shared library to load, 0.4 ms. The
few names of `_ctypes` are alike in Python 3.8 to 3.14, and the image is not built where they fail.
"""

from __future__ import annotations

from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_PYTHONAPI,
    CFuncPtr,
    Structure,
    _SimpleCData,
    byref,
    dlopen,
    dlsym,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import (
        c_bool,
        c_char_p,
        c_int,
        c_int32,
        c_int64,
        c_size_t,
        c_uint32,
        c_void_p,
        py_object,
    )
    from typing import Any
else:

    def _simple(code: str) -> type:
        return type(f"c_{code}", (_SimpleCData,), {"_type_": code})

    # Each type takes 20 us, and there are no more than these: int has 32 bits and long 64 on every
    # Linux that LiteRT is built for, and no number here is so large that its sign would matter.
    c_char_p, c_void_p, py_object = map(_simple, "zPO")
    c_bool = c_int = c_int32 = c_uint32 = _simple("i")
    c_int64 = c_size_t = _simple("l")

__all__ = [
    "Library",
    "Memory",
    "Structure",
    "byref",
    "c_bool",
    "c_char_p",
    "c_int",
    "c_int32",
    "c_int64",
    "c_size_t",
    "c_uint32",
    "c_void_p",
]

_LAZY, _NOW, _NOLOAD = 1, 2, 4  # RTLD_*
_READ, _WRITE = 1, 2  # PROT_READ, PROT_WRITE
_PRIVATE, _ANONYMOUS, _NORESERVE = 0x2, 0x20, 0x4000  # MAP_*
_FAILED = (1 << 64) - 1  # MAP_FAILED
_WRITABLE = 0x200  # PyBUF_WRITE
_READABLE = 0x100  # PyBUF_READ


class _Quick(CFuncPtr):
    """A function that keeps the interpreter lock.

    Most take a microsecond, and whoever gives the lock away among busy threads waits milliseconds
    to have it back.
    """

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI
    _restype_ = c_int


class _Slow(CFuncPtr):
    """A function that other threads need not wait for."""

    _flags_ = FUNCFLAG_CDECL
    _restype_ = c_int


class Library:
    """A shared library, loaded for as long as the process lives.

    Args:
        path: Its path; None for what the process has loaded already, C's own library among it.
        present: Take it only if the process has loaded it already.

    Raises:
        OSError: It cannot be loaded.
    """

    __slots__ = ("_handle",)

    def __init__(self, path: str | None = None, *, present: bool = False) -> None:
        if path is None:
            self._handle = dlopen(None, _NOW)  # type: ignore[arg-type] # C's NULL
            return
        process = Library()
        # Not Python's, which looks up all that LiteRT may ever call: 0.25 of 0.9 ms.
        load = process.function("dlopen", (c_char_p, c_int), c_void_p)
        reason = process.function("dlerror", (), c_char_p)  # before: to look it up clears it
        self._handle = load(path.encode(), _LAZY | (_NOLOAD if present else 0))
        if not self._handle:
            raise OSError((reason() or b"it is not loaded").decode())

    def address(self, name: str) -> int:
        """Where a function is.

        Raises:
            OSError: The library has none of that name.
        """
        return dlsym(self._handle, name)

    def function(
        self,
        name: str,
        arguments: tuple[Any, ...],
        result: Any = c_int,  # noqa: ANN401 - a C type
        *,
        slow: bool = False,
    ) -> Any:  # noqa: ANN401 - whatever the function is
        """A function as a callable.

        Args:
            name: Its name.
            arguments: C types; every pointer is a c_void_p, which takes byref() and arrays too.
            result: C type, or None.
            slow: Whether other threads go on meanwhile.

        Raises:
            OSError: The library has none of that name.
        """
        found = (_Slow if slow else _Quick)(dlsym(self._handle, name))
        found.argtypes = arguments
        found.restype = result
        return found


_PROCESS = Library()
_map = _PROCESS.function("mmap", (c_void_p, c_size_t, c_int, c_int, c_int, c_int64), c_void_p)
_unmap = _PROCESS.function("munmap", (c_void_p, c_size_t))
_view = _PROCESS.function("PyMemoryView_FromMemory", (c_void_p, c_int64, c_int), py_object)


class Memory:
    """Memory from the kernel, in whole pages: zeros, or a file.

    Args:
        size: Bytes, at least one; zeros take memory only where they are written to.
        file: The descriptor of a file, which may be closed afterwards; None for zeros.

    Attributes:
        address: Where it is.
        view: Its bytes, read-only if they are a file's. Gone with this object, whoever still holds
            it: copy what has to stay.

    Raises:
        OSError: The kernel has no such memory.
    """

    __slots__ = ("address", "view")

    def __init__(self, size: int, file: int | None = None) -> None:
        self.address = 0
        if file is None:
            flags = _PRIVATE | _ANONYMOUS | _NORESERVE
            address = _map(None, size, _READ | _WRITE, flags, -1, 0)
        else:
            address = _map(None, size, _READ, _PRIVATE, file, 0)
        if address == _FAILED:
            raise OSError(f"{size} bytes cannot be mapped")
        self.address = address
        self.view: memoryview = _view(address, size, _WRITABLE if file is None else _READABLE)

    def __len__(self) -> int:
        return len(self.view)

    def __del__(self, unmap: Any = _unmap) -> None:  # noqa: ANN401 - bound: globals go first
        if self.address:
            unmap(self.address, len(self.view))
