"""Who answers a request: this thread, at once or in its turn, or another one meanwhile.

A small request to a fast model is answered on the spot, since handing it to a thread and back costs
more than the answer. A raw tensor of one row for a model that takes some milliseconds is answered
by this thread as well, but in its turn: see turns. Everything else goes to another thread, so that
/ping and the other connections are served meanwhile. What waits for its turn or for a thread is
counted, and beyond a limit refused with a 503.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Protocol

from handler.backends.litert import LiteRtBackend
from handler.errors import BadRequestError, LiteRtError, OverloadedError
from handler.messages import RAW, Request, Response
from handler.protocols import tfserving
from handler.server.bodies import Bodies
from handler.server.turns import Turns
from handler.tensor import zeros

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from handler.errors import RequestError
    from handler.service import Service

FAST_SECONDS = 0.001
"""A model that answers one row, in JSON, within this is run where the request was read."""

ROOM_BYTES = 65_536

SMALL_BYTES = 16_384
"""A body up to this is decoded where it was read."""

TURN_SECONDS = 0.02
"""A model that answers one row, in JSON, within this may keep the loop for as long."""


class Waiting(Protocol):
    """A request that is not answered yet."""

    def cancel(self) -> object:
        """Spare everybody its answer, unless that has begun."""


class Client(Protocol):
    """What an answer goes to."""

    def answer_later(self, waiting: Waiting) -> None:
        """The answer follows."""

    def answered(self, response: Response) -> None:
        """That answer."""


class Dispatcher:
    """One worker's requests.

    Args:
        service: What answers.
        loop: Where `answered` is called.
        threads: How many requests are answered at a time beside those answered at once.
        queue: How many more may wait for a thread.
        deadline: Seconds that a request has, its waiting included; 0 for no limit.
        at_once: Whether small requests are answered where they were read.
        turn_bytes: Raw tensors up to this are short enough for this thread, in their turn; 0 for
            none, and no turns.

    Attributes:
        pending: Requests that a thread is at, or that wait for one.
        room: Where connections receive, in turn, what is looked at before the next one does.
        bodies: Where they receive what is too large for that.
    """

    def __init__(
        self,
        service: Service,
        loop: asyncio.AbstractEventLoop,
        *,
        threads: int,
        queue: int,
        deadline: float,
        at_once: bool,
        turn_bytes: int = 0,
    ) -> None:
        self._service = service
        self._loop = loop
        self._limit = threads + queue
        self._deadline = deadline
        self._at_once = at_once
        self._turn_bytes = turn_bytes
        self.pending = 0
        self.room = memoryview(bytearray(ROOM_BYTES))
        self.bodies = Bodies()
        self._threads = ThreadPoolExecutor(threads, "model")
        self._turns = Turns(service.answer, self._is_short, self._threads, loop)

    def answer(self, request: Request, client: Client) -> Response | None:
        """Answer now, or give back None and tell the client later."""
        request = for_sagemaker(request, self._service.manifest.name)
        if self._deadline:
            request.deadline = monotonic() + self._deadline
        if request.method == "GET" or (self._at_once and _is_plain(request, SMALL_BYTES)):
            return self._service.answer(request)
        if self.pending >= self._limit:
            return self.refuse(
                OverloadedError(f"{self.pending} requests wait for the model already; try again")
            )
        self.pending += 1
        if self._turn_bytes:
            client.answer_later(self._turns.submit(request, partial(self._finish, client)))
        else:
            future = self._threads.submit(self._service.answer, request)
            future.add_done_callback(partial(self._leave_thread, client))
            client.answer_later(future)
        return None

    def refuse(self, error: RequestError) -> Response:
        """Answer what cannot be read, let alone asked."""
        return self._service.refuse(error)

    def close(self) -> None:
        """Take nothing more on; what has begun is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_short(self, request: Request) -> bool:
        return request.media == RAW and _is_plain(request, self._turn_bytes)

    def _leave_thread(self, client: Client, future: Future[Response]) -> None:
        response = None if future.cancelled() else future.result()
        self._loop.call_soon_threadsafe(self._finish, client, response)

    def _finish(self, client: Client, response: Response | None) -> None:
        self.pending -= 1
        if response is not None:
            client.answered(response)


def for_sagemaker(request: Request, model: str) -> Request:
    """SageMaker's one path says nothing of what comes: the content type does."""
    if request.path != "/invocations":
        return request
    picture = request.media.startswith("image/") or request.media == "multipart/form-data"
    action = "image" if picture else "predict"
    path = f"/v1/models/{model}:{action}"
    return Request(request.method, path, request.headers, request.body, query=request.query)


def places(service: Service) -> tuple[bool, int]:
    """Which requests this model answers fast enough to be answered by the loop's own thread.

    Returns:
        Whether small ones are answered at once, and how large a raw tensor is answered in turns:
        one row, or 0 for none.
    """
    predictor = service.predictor
    if not isinstance(predictor.backend, LiteRtBackend):
        return False, 0
    tensors = {spec.name: zeros(spec) for spec in predictor.signature().inputs}
    best = math.inf
    for _ in range(3):
        start = perf_counter()
        try:
            tfserving.render(predictor.predict(tensors), rows=False, batch=0)
        except (BadRequestError, LiteRtError):
            # Zeros of size 1 are nothing to this model, which says nothing about real inputs.
            return False, 0
        best = min(best, perf_counter() - start)
    row = sum(len(tensor.data) for tensor in tensors.values())
    return best <= FAST_SECONDS, row if best <= TURN_SECONDS else 0


def _is_plain(request: Request, size: int) -> bool:
    # A small picture may be a large one, compressed.
    return len(request.body) <= size and not (
        request.path.endswith(":image") or "content-encoding" in request.headers
    )
