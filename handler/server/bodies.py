"""Memory for large bodies, used again and again.

Python clears a new bytearray, which for a 224x224x3 picture takes as long as receiving it does.
"""

from __future__ import annotations

_KEPT_BYTES = 8 << 20


class Bodies:
    """Keeps what was given back last, all of one length: a model's inputs mostly are."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def take(self, length: int) -> bytearray:
        """Memory of that length, with whatever is in it: to be filled whole before it is read."""
        if self._free and len(self._free[-1]) == length:
            return self._free.pop()
        return bytearray(length)

    def give_back(self, body: bytearray) -> None:
        """Nobody reads it any more."""
        if self._free and len(self._free[-1]) != len(body):
            self._free.clear()
        if (len(self._free) + 1) * len(body) <= _KEPT_BYTES:
            self._free.append(body)
