"""A binary body as API Gateway hands it over: base64, every byte of it checked.

Python takes 2 ms to decode a picture of 224x224x3 floats, a quarter of what MobileNetV2 takes to
look at it; OpenSSL takes 0.7 ms. It is loaded for the first large body only, from where Python's
own `ssl` has it; where it is not, Python decodes.

For one thread, as Lambda has: the room that OpenSSL writes to is kept, since new memory costs as
much again.
"""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LARGE = 1 << 16
_LIBRARY = "libcrypto.so.3"

_decoder: Callable[[bytes], bytes] | None = None


def decode(text: bytes) -> bytes:
    """Decode, strictly: no line breaks, no other characters, padding where it belongs.

    Raises:
        ValueError: It is not base64.
    """
    global _decoder  # noqa: PLW0603 - the library is looked for once
    if len(text) < _LARGE:
        return _python(text)
    if _decoder is None:
        _decoder = _find()
    return _decoder(text)


def _python(text: bytes) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _find() -> Callable[[bytes], bytes]:
    import ctypes

    try:
        function = ctypes.PyDLL(_LIBRARY).EVP_DecodeBlock
    except (OSError, AttributeError):
        return _python
    function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
    room = ctypes.create_string_buffer(_LARGE)

    def openssl(text: bytes) -> bytes:
        nonlocal room
        size = len(text) // 4 * 3
        # It reads `=` as zeros anywhere, and skips blanks at both ends: then its count is less.
        padding = len(text) - len(text.rstrip(b"="))
        if size > len(room):
            room = ctypes.create_string_buffer(size)
        if (
            len(text) % 4
            or padding > 2  # noqa: PLR2004 - the most there can be
            or text.find(b"=", 0, len(text) - padding) >= 0
            or function(room, text, len(text)) != size
        ):
            raise ValueError("not base64")
        return ctypes.string_at(room, size - padding)

    return openssl
