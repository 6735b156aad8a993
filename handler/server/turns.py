"""Requests answered one after the other: short ones by the loop's own thread, a few in each round.

For a model that takes some milliseconds, and leaves nothing of anybody else's in the processor's
caches. A thread of its own is handed each request and hands back the answer, waits for the
interpreter lock, and is put off its core whenever a piece of another request comes in: 3 % of
MobileNetV2's time. Here such pieces gather in the kernel until the model is done, and what reads
them does so for several requests while it is in the caches.

What it costs: a /ping, a new connection or a 503 waits for the loop's round to end. That begins no
run after 30 ms, however many requests wait. While a long request is in its thread, no short one is
begun: it would wait for the model there, and the loop with it.

Requests that wait are not run as one batch. That was tried: where one picture's layers fit into a
core's own cache, two of them do not, and laying the model out for two and back leaves its memory in
a worse place for one. MobileNetV2 answers 3 to 7 % more requests a second this way.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from handler.messages import Request, Response

ROUND_SECONDS = 0.03
"""A round of the loop begins no run when it has taken this."""


class Turn:
    """One request's place; the interpreter's own futures lock, for other threads to see.

    Args:
        request: What waits.
        done: Called with the answer in the loop's thread, or with None once it is cancelled.

    Attributes:
        settled: The request is being answered, or its place is given up.
    """

    __slots__ = ("done", "request", "settled")

    def __init__(self, request: Request, done: Callable[[Response | None], None]) -> None:
        self.request = request
        self.done = done
        self.settled = False

    def cancel(self) -> None:
        """Give the place up, unless the request is being answered already."""
        if not self.settled:
            self.settled = True
            self.done(None)


class Turns:
    """Answers requests in the order in which they came.

    Args:
        answer: What answers; never raises.
        is_short: Whether a request is answered fast enough for the loop to wait for that.
        thread: Where others are answered.
        loop: Whose rounds they are.
    """

    def __init__(
        self,
        answer: Callable[[Request], Response],
        is_short: Callable[[Request], bool],
        thread: Executor,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._answer = answer
        self._is_short = is_short
        self._thread = thread
        self._loop = loop
        self._waiting: deque[Turn] = deque()
        self._busy = False  # the next turn is arranged for, or a long request is in its thread

    def submit(self, request: Request, done: Callable[[Response | None], None]) -> Turn:
        """Answer a request in its turn."""
        turn = Turn(request, done)
        self._waiting.append(turn)
        if not self._busy:
            self._go_on()
        return turn

    def _go_on(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            # The loop calls timers after whatever has arrived by then, and call_soon()'s before it:
            # a /ping would wait for two rounds.
            self._loop.call_later(0, self._next)

    def _next(self) -> None:
        end = self._loop.time() + ROUND_SECONDS
        while self._waiting:
            turn = self._waiting.popleft()
            if turn.settled:
                continue
            turn.settled = True
            if not self._is_short(turn.request):
                future = self._thread.submit(self._answer, turn.request)
                future.add_done_callback(partial(self._leave_thread, turn))
                return
            response = self._answer(turn.request)
            try:
                turn.done(response)
            except BaseException:
                self._go_on()  # whatever one client's connection does, the next one has its turn
                raise
            if self._loop.time() >= end:
                break
        self._go_on()

    def _leave_thread(self, turn: Turn, future: Future[Response]) -> None:
        self._loop.call_soon_threadsafe(self._come_back, turn, future.result())

    def _come_back(self, turn: Turn, response: Response) -> None:
        try:
            turn.done(response)
        finally:
            self._go_on()
