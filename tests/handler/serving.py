"""A worker's server in a thread of the test: real sockets, and any service behind them."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from uvicorn import Server

from handler.manifest import Signature
from handler.server.connection import Connection
from handler.server.dispatcher import Dispatcher
from handler.server.outbox import Outbox
from handler.server.worker import configure
from handler.service import Service
from handler.tensor import Tensor

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
PREDICT = "/v1/models/digits:predict"
ZEROS = json.dumps({"instances": [[[[0.0]] * 8] * 8]}).encode()


class Serving:
    """What runs.

    Args:
        port: Where it listens, on the loopback.
        server: uvicorn's.
        dispatcher: What answers.
    """

    def __init__(self, port: int, server: Server, dispatcher: Dispatcher) -> None:
        self.port = port
        self.server = server
        self.dispatcher = dispatcher
        self.closed = 0

    def connect(self) -> socket.socket:
        """A client's bare socket."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def meet(self) -> socket.socket:
        """The same, once it has been accepted: while a model keeps the loop, nobody is."""
        client = self.connect()
        client.sendall(PING)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        return client

    def ask(self, text: bytes) -> bytes:
        """Send some bytes and no more; everything that comes back."""
        with self.connect() as client:
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def stop(self) -> None:
        """Begin to drain."""
        self.server.should_exit = True


@dataclass(frozen=True)
class Listener:
    """A server that only notes the bodies it is sent."""

    serving: Serving
    bodies: list[bytes]


class Slow:
    """A model that answers when it is told to.

    Args:
        service: Whose model it is.
    """

    def __init__(self, service: Service) -> None:
        self.entered, self.release = threading.Event(), threading.Event()
        self.runs = 0
        self._backend = service.predictor.backend

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Wait, then run."""
        self.runs += 1
        self.entered.set()
        assert self.release.wait(10)
        return self._backend.run(tensors, signature)


class Stepwise:
    """A model that makes one run each time that it is told to.

    Args:
        service: Whose model it is.
    """

    def __init__(self, service: Service) -> None:
        self.entered, self.released = threading.Semaphore(0), threading.Semaphore(0)
        self.runs = 0
        self._backend = service.predictor.backend

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Wait, then run."""
        self.runs += 1
        self.entered.release()
        assert self.released.acquire(timeout=10)
        return self._backend.run(tensors, signature)

    def begins(self) -> bool:
        """Wait for the next run to begin."""
        return self.entered.acquire(timeout=10)


def ask(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    media: str = "application/json",
) -> tuple[int, dict[str, Any]]:
    """The status and the JSON that a request is answered with."""
    client.request(method, path, body, {"content-type": media})
    response = client.getresponse()
    assert "application/json" == response.headers["content-type"]
    return response.status, json.loads(response.read())


def post(body: bytes, headers: str = "") -> bytes:
    """A request to :predict as bytes."""
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def read_all(client: socket.socket) -> bytes:
    """What comes until the other side closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


@contextmanager
def serving(
    service: Service,
    *,
    connections: int = 100,
    kind: type[Dispatcher] = Dispatcher,
    **given: Any,
) -> Iterator[Serving]:
    """Serve until the block ends, then drain; what is given is the dispatcher's."""
    settings = {"threads": 1, "queue": 64, "deadline": 0, "at_once": True, **given}
    started = threading.Event()
    found: list[Serving] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        config = configure(5)
        server = Server(config)
        dispatcher = kind(service, loop, **settings)

        def close() -> None:
            found[0].closed += 1

        connect = partial(
            Connection, config, server.server_state, dispatcher, outbox, close, connections
        )
        listener = await loop.create_server(connect, "127.0.0.1", 0)
        found.append(Serving(listener.sockets[0].getsockname()[1], server, dispatcher))
        started.set()
        await server.serve(sockets=[])
        listener.close()
        dispatcher.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=outbox.make_loop) as runner:
            runner.run(serve())

    outbox = Outbox()
    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield found[0]
    finally:
        found[0].stop()
        thread.join(10)
        assert not thread.is_alive()
