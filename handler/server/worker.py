"""One worker: a process with its own model, given its connections by the acceptor.

A large model is loaded before the workers are forked: it is hashed, laid out and held to its golden
vector once for all of them, and one that replaces another is ready at once. Its file is in memory
once, too; of LiteRT's own copy of the weights each worker soon has one, see heap.

The channel to the acceptor carries, inwards, one open connection a message, and its end, which
means: finish and go. Outwards it says that the model is loaded (or why it is not), and each
connection that closes, so that the acceptor knows who has the fewest.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson  # noqa: F401 - where it is loaded, strict_json reads small requests with it, too
from uvicorn import Config, Server

from handler import heap
from handler.backends.litert import LARGE_BYTES, LiteRtBackend, thread_count
from handler.errors import StartupError
from handler.model_file import model_path
from handler.server import batcher
from handler.server.batcher import Batcher
from handler.server.connection import Connection
from handler.server.dispatcher import Dispatcher, places
from handler.server.outbox import Outbox
from handler.service import open_service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from handler.server.options import Options
    from handler.service import Service

READY, FAILED, CLOSED = b"r", b"f", b"c"
"""A message's first byte: ready (the model's name follows), failed (the reason), one closed."""

IDLE_SECONDS = 75  # longer than the 60 s that load balancers keep a connection
_REMOTE_THREADS = 32  # they wait for a network, not for a core


def share(settings: Mapping[str, str]) -> Service | None:
    """Load the model that workers are forked with.

    Returns:
        None where each has to load its own: threads are not forked, nor is what asks another
        server. And where the model is small: a forked process copies each page that it writes to,
        which takes more from digits, 2 % of its requests, than there is to share.

    Raises:
        StartupError: A setting, model.json, the model or the library is wrong.
    """
    if settings.get("MODEL_BACKEND", "litert") != "litert" or thread_count(settings) > 1:
        return None
    try:
        if Path(model_path(settings)).stat().st_size <= LARGE_BYTES:
            return None
    except OSError:  # each worker says so
        return None
    return _open(settings)


def run(channel: socket.socket, options: Options, service: Service | None) -> NoReturn:
    """Serve until the channel ends, in a process that was forked for it; never returns.

    Args:
        channel: To the acceptor.
        options: How to run.
        service: What the acceptor has made; None to make one.
    """
    # Ctrl-C reaches every process of a terminal; the acceptor tells us what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        service = service or _open(os.environ)
        if options.max_batch_size > 1:
            batcher.check(service.predictor.backend, service.predictor.signature())
    except StartupError as error:
        channel.send(FAILED + " ".join(str(error).split()).encode())
        os._exit(1)
    outbox = Outbox()
    with asyncio.Runner(loop_factory=outbox.make_loop) as runner:
        runner.run(_serve(channel, service, options, outbox))
    # Threads that still compute for nobody would be waited for.
    os._exit(0)


def _open(settings: Mapping[str, str]) -> Service:
    heap.keep_freed()
    try:
        service = open_service(settings)
    except OSError as error:
        raise StartupError(str(error)) from error
    # What is here stays: never look through it again, and leave it shared.
    gc.collect()
    gc.freeze()
    return service


async def _serve(
    channel: socket.socket, service: Service, options: Options, outbox: Outbox
) -> None:
    loop = asyncio.get_running_loop()
    local = isinstance(service.predictor.backend, LiteRtBackend)
    at_once, turn_bytes = places(service)
    heap.mend_large_pages()  # the model has run here, and written where it writes
    threads = 1 if local else _REMOTE_THREADS
    if options.max_batch_size > 1:
        # Requests can only be put together while each is in a thread.
        at_once, turn_bytes = False, 0
        threads = max(threads, options.max_batch_size)
        service.predictor.front = Batcher(
            service.predictor, options.max_batch_size, options.max_batch_delay_ms / 1000
        )
    dispatcher = Dispatcher(
        service,
        loop,
        threads=threads,
        queue=options.queue,
        deadline=options.deadline,
        at_once=at_once,
        turn_bytes=turn_bytes,
    )
    config = configure(options.grace)
    server = Server(config)
    connecting: set[asyncio.Task[object]] = set()

    def closed() -> None:
        """Tell the acceptor; where it is gone itself, nobody counts any more."""
        with suppress(OSError):
            channel.send(CLOSED)

    def connected(task: asyncio.Task[object]) -> None:
        connecting.discard(task)
        if task.exception() is not None:
            closed()

    connect = partial(
        Connection,
        config,
        server.server_state,
        dispatcher,
        outbox,
        closed,
        options.connections,
    )

    def receive() -> None:
        """Take one connection, or the end of the channel."""
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not message:
            loop.remove_reader(channel)
            server.should_exit = True
        elif not descriptors:
            closed()  # this process has no descriptor free
        for descriptor in descriptors:
            client = socket.socket(fileno=descriptor)
            client.settimeout(0)
            task = loop.create_task(loop.connect_accepted_socket(connect, client))
            connecting.add(task)
            task.add_done_callback(connected)

    loop.add_reader(channel, receive)
    channel.send(READY + service.manifest.name.encode())
    # No sockets: connections come through the channel. The rest, up to the drain, is uvicorn's.
    await server.serve(sockets=[])
    dispatcher.close()


def configure(grace: int) -> Config:
    """uvicorn, for connections of ours.

    Args:
        grace: Seconds that requests under way are given when the server is told to stop.
    """
    config = Config(
        _no_asgi,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("server", "thimble")],
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=grace,
    )
    config.load()
    return config


async def _no_asgi(scope: object, receive: object, send: object) -> None:
    """What uvicorn wants to be given; `Connection` never calls it."""
    raise NotImplementedError
