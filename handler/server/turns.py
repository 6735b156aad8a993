"""Requests answered one after the other: short ones by the loop's own thread, a few in each round.

For a model that takes some milliseconds, and leaves nothing of anybody else's in the processor's
caches. A thread of its own is handed each request and hands back the answer, waits for the
interpreter lock, and is put off its core whenever a piece of another request comes in: 3 % of
MobileNetV2's time. Here such pieces gather in the kernel until the model is done, and what reads
them does so for several requests while it is in the caches.

What it costs: a /ping, a new connection or a 503 waits for the loop's round to end. That begins no
run after 30 ms, however many requests wait. While a long request is in its thread, no short one is
begun: it would wait for the model there, and the loop with it.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Executor

    from handler.messages import Request, Response

ROUND_SECONDS = 0.03
"""A round of the loop begins no run when it has taken this."""


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
        self._waiting: deque[tuple[Request, Future[Response]]] = deque()
        self._busy = False  # the next turn is arranged for, or a long request is in its thread

    def submit(self, request: Request) -> Future[Response]:
        """Answer a request in its turn; callbacks are called in the loop's thread."""
        future: Future[Response] = Future()
        self._waiting.append((request, future))
        if not self._busy:
            self._go_on()
        return future

    def _go_on(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            # The loop calls timers after whatever has arrived by then, and call_soon()'s before it:
            # a /ping would wait for two rounds.
            self._loop.call_later(0, self._next)

    def _next(self) -> None:
        end = self._loop.time() + ROUND_SECONDS
        while self._waiting:
            request, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            if not self._is_short(request):
                done = self._thread.submit(self._answer, request)
                done.add_done_callback(partial(self._leave_thread, future))
                return
            future.set_result(self._answer(request))
            if self._loop.time() >= end:
                break
        self._go_on()

    def _leave_thread(self, future: Future[Response], done: Future[Response]) -> None:
        self._loop.call_soon_threadsafe(self._come_back, future, done.result())

    def _come_back(self, future: Future[Response], response: Response) -> None:
        future.set_result(response)
        self._go_on()
