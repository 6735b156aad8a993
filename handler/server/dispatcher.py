"""Who answers a request: this thread at once, or another one while this one goes on listening.

A small request to a fast model is answered on the spot, since handing it to a thread and back costs
more than the answer. Everything else goes to a thread, so that /ping and the other connections
are served meanwhile; what waits for a thread is counted, and beyond a limit refused with a 503.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from handler.backends.litert import LiteRtBackend
from handler.errors import BadRequestError, LiteRtError, OverloadedError
from handler.messages import Request, Response
from handler.service import error_response
from handler.tensor import zeros

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from handler.service import Service

FAST_SECONDS = 0.001
"""A model that answers one row within this is run where the request was read."""

ROOM_BYTES = 65_536

SMALL_BYTES = 16_384
"""A body up to this is decoded where it was read."""


class Client(Protocol):
    """What an answer goes to."""

    def answer_later(self, future: Future[Response]) -> None:
        """The answer comes from a thread; cancelling the future spares it what has not begun."""

    def answered(self, response: Response) -> None:
        """That answer."""


class Dispatcher:
    """One worker's requests.

    Args:
        service: What answers.
        loop: Where `answered` is called.
        threads: How many requests are answered at a time beside those answered at once.
        queue: How many more may wait for a thread.
        at_once: Whether small requests are answered where they were read.

    Attributes:
        pending: Requests that a thread is at, or that wait for one.
        room: Where connections receive, in turn, what is looked at before the next one does.
    """

    def __init__(
        self,
        service: Service,
        loop: asyncio.AbstractEventLoop,
        *,
        threads: int,
        queue: int,
        at_once: bool,
    ) -> None:
        self._service = service
        self._loop = loop
        self._limit = threads + queue
        self._at_once = at_once
        self.pending = 0
        self.room = memoryview(bytearray(ROOM_BYTES))
        self._threads = ThreadPoolExecutor(threads, "model")

    def answer(self, request: Request, client: Client) -> Response | None:
        """Answer now, or give back None and tell the client later."""
        request = for_sagemaker(request, self._service.manifest.name)
        if request.method == "GET" or (self._at_once and _is_small(request)):
            return self._service.answer(request)
        if self.pending >= self._limit:
            return error_response(
                OverloadedError(f"{self.pending} requests wait for the model already; try again")
            )
        self.pending += 1
        future = self._threads.submit(self._service.answer, request)
        client.answer_later(future)
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._finish, done, client)
        )
        return None

    def close(self) -> None:
        """Take nothing more on; what has begun is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _finish(self, future: Future[Response], client: Client) -> None:
        self.pending -= 1
        if not future.cancelled():
            client.answered(future.result())


def for_sagemaker(request: Request, model: str) -> Request:
    """SageMaker's one path says nothing of what comes: the content type does."""
    if request.path != "/invocations":
        return request
    picture = request.media.startswith("image/") or request.media == "multipart/form-data"
    action = "image" if picture else "predict"
    path = f"/v1/models/{model}:{action}"
    return Request(request.method, path, request.headers, request.body, query=request.query)


def is_fast(service: Service) -> bool:
    """Whether the model answers zeros within `FAST_SECONDS`, the best of three times."""
    backend = service.predictor.backend
    if not isinstance(backend, LiteRtBackend):
        return False
    signature = service.predictor.signature()
    tensors = {spec.name: zeros(spec) for spec in signature.inputs}
    best = float("inf")
    for _ in range(3):
        start = perf_counter()
        try:
            backend.run(tensors, signature)
        except (BadRequestError, LiteRtError):
            # Zeros of size 1 are nothing to this model, which says nothing about real inputs.
            return False
        best = min(best, perf_counter() - start)
    return best <= FAST_SECONDS


def _is_small(request: Request) -> bool:
    # A small picture may be a large one, compressed.
    return len(request.body) <= SMALL_BYTES and not (
        request.path.endswith(":image") or "content-encoding" in request.headers
    )
