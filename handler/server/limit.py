"""How long something on a connection may last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Limit:
    """Calls back when something takes too long.

    One timer serves all requests of a connection: to set and cancel one for each costs as much as
    its parsing.

    Args:
        loop: Whose timer it is.
        seconds: How long is too long.
        late: Called then.

    Attributes:
        since: When it began; None where nothing has, or it is over.
    """

    __slots__ = ("_late", "_loop", "_seconds", "_timer", "since")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, late: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self.since: float | None = None

    def begin(self) -> None:
        """From now on it lasts; whoever ends it sets `since` to None."""
        self.since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def close(self) -> None:
        """Never call back again."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """It may have ended since the timer was set, and begun again."""
        self._timer = None
        if self.since is not None:
            left = self.since + self._seconds - self._loop.time()
            if left > 0:
                self._timer = self._loop.call_later(left, self._look)
            else:
                self.since = None
                self._late()
