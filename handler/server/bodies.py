"""Memory for large bodies, used again and again.

Python clears a new bytearray, which for a 224x224x3 picture takes as long as receiving it does.
"""

from __future__ import annotations

from ctypes import addressof, c_char

from handler.errors import OverloadedError
from handler.litert import ALIGNMENT, SLACK

_KEPT_BYTES = 8 << 20

ARRIVING_BYTES = 512 << 20
"""How much of large bodies may be arriving at a worker: ninety of the largest.

Slow clients would otherwise have it keep 5.5 MB for each of a thousand connections.
"""


class Body(bytearray):
    """A body that LiteRT can read where it is: see `Model.run`.

    Args:
        length: Bytes, which stay as many.

    Attributes:
        address: Where it is; 0 where this Python moves what it should leave in its place.
    """

    __slots__ = ("address",)

    def __init__(self, length: int) -> None:
        super().__init__(length + ALIGNMENT + SLACK)
        # What is taken off at either end stays allocated, and nothing moves.
        del self[: -addressof(c_char.from_buffer(self)) % ALIGNMENT]
        del self[length:]
        address = addressof(c_char.from_buffer(self))
        fits = not address % ALIGNMENT and self.__alloc__() > length + ALIGNMENT + SLACK
        self.address = address if fits else 0


class Bodies:
    """Keeps what was given back last, all of one length: a model's inputs mostly are.

    Attributes:
        arriving: Bytes that large bodies take whose end has not come yet.
    """

    def __init__(self) -> None:
        self.arriving = 0
        self._free: list[Body] = []

    def hold(self, size: int) -> None:
        """Count memory for a body that arrives.

        Raises:
            OverloadedError: Such bodies have all that a worker gives them; it counts nevertheless.
        """
        self.arriving += size
        if self.arriving > ARRIVING_BYTES:
            raise OverloadedError("too many large bodies are arriving at once; try again")

    def let_go(self, size: int) -> None:
        """What was counted is here, or will not come any more."""
        self.arriving -= size

    def take(self, length: int) -> Body:
        """Memory of that length, with whatever is in it: to be filled whole before it is read."""
        if self._free and len(self._free[-1]) == length:
            return self._free.pop()
        return Body(length)

    def give_back(self, body: Body) -> None:
        """Nobody reads it any more."""
        if self._free and len(self._free[-1]) != len(body):
            self._free.clear()
        if (len(self._free) + 1) * len(body) <= _KEPT_BYTES:
            self._free.append(body)
