"""One HTTP/1.1 connection: uvicorn's, with limits on what a client may send, and no ASGI.

uvicorn parses (llhttp, through httptools), minds keep-alive and flow control, and drains. What ASGI
would add, a task, an event and a dozen dictionaries for each request, costs 60 us of the 200 that a
small prediction takes: a complete request goes straight to the dispatcher instead.

A large body of a known length is received straight into its own memory, past the parser: each copy
of a picture's 600 kB on its way to the model takes as long as the whole parsing of its request.

Every fault gets the service's own JSON. Whatever cannot be read on is answered, and what still
comes is thrown away for a moment, because a close with unread bytes would take the answer back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handler.errors import BadRequestError, OverloadedError, RequestError, TooLargeError
from handler.messages import MAX_BYTES, Request, Response
from handler.server.exchange import Exchange
from handler.server.http_text import (
    answer_head,
    fault,
    head_size,
    make_parser,
    read_headers,
    split_target,
    without_upgrade,
)
from handler.server.limit import Limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn import Config
    from uvicorn.server import ServerState

    from handler.server.bodies import Body
    from handler.server.dispatcher import Dispatcher, Waiting
    from handler.server.outbox import Outbox

ARRIVAL_SECONDS = 30.0
"""How long one request may take to arrive."""

_HEAD_BYTES = 32_768
_LINGER_SECONDS = 1.0
# Memory for a body is taken once this part of it is here: who announces much must send something.
_PART_FIRST = 16
_LARGE_BYTES = 131_072


class Connection(HttpToolsProtocol, asyncio.BufferedProtocol):
    """One client, from accept to close.

    Args:
        config: uvicorn's configuration.
        server_state: uvicorn's set of open connections.
        dispatcher: What answers.
        outbox: Where answers wait for the end of the loop's round.
        on_close: Called once, when the connection is gone.
        limit: How many connections this worker keeps; the next is answered 503 and closed.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        dispatcher: Dispatcher,
        outbox: Outbox,
        on_close: Callable[[], None],
        limit: int,
    ) -> None:
        super().__init__(config, server_state, {})
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._on_close = on_close
        self._limit = limit
        self._begun = False  # a request is arriving
        self._exchange: Exchange | None = None  # it, once its headers are complete
        self._again = b""  # a head to be read once more
        self._headers: dict[str, str] = {}
        self._part: bytes | bytearray = b""  # of a body that has none of its own
        self._length = 0  # of the body, where it is known
        self._received = 0  # bytes of it so far
        self._body: Body | None = None  # where a large one is received
        self._held = 0  # bytes that the worker counts for it
        self._head = 0  # bytes fed since the last that were a request's end, or of its body
        self._waiting: deque[Exchange] = deque()  # arrived, in order; not yet answered
        self._answering = False  # the first of them is with the dispatcher
        self._later: Waiting | None = None  # that answer
        self._arrival = Limit(self.loop, ARRIVAL_SECONDS, self._late)  # of a whole request
        self._ending = False  # the next answer is the last
        self._deaf = False  # what still comes is thrown away
        self._eof = False  # the client sends no more, and may still read
        self._over = False  # this connection is one too many
        # From an answer to whatever comes next.
        self._idle = Limit(self.loop, self.timeout_keep_alive, self.timeout_keep_alive_handler)

    # asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is closed like one that falls silent."""
        super().connection_made(transport)
        self._over = len(self.connections) > self._limit
        self._close_after(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it: a request that waits for the model is not computed for nobody."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._arrival.close()
        self._idle.close()
        self._let_go()
        self._waiting.clear()
        if self._later is not None:
            self._later.cancel()
        self._on_close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: what is missing of a large body, else the worker's own room."""
        del sizehint
        if self._body is not None:
            return memoryview(self._body)[self._received :]
        return self._dispatcher.room

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes are there."""
        if self._body is None:
            self.data_received(self._dispatcher.room[:nbytes])
            return
        self._received += nbytes
        if self._received == self._length:
            # The old parser still waits for that body.
            self.parser = make_parser(self)
            self.on_message_complete()

    def data_received(self, data: bytes | memoryview) -> None:
        """Feed the parser, and answer whatever is complete."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._idle.since = None
        self._head += len(data)
        try:
            self._feed(data)
            self._keep_part()
        except httptools.HttpParserError as error:
            self._refuse(fault(error))
        except RequestError as error:
            self._refuse(error)

    def _feed(self, data: bytes | memoryview) -> None:
        while not self._deaf:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # Java's client offers HTTP/2 with every request, and sends the body all the same.
                # No other protocol is spoken here: read on as if there had been no offer.
                data = self._again + bytes(data[offer.args[0] :])
                self._head = len(data)
                self.parser = make_parser(self)
            else:
                return

    def _keep_part(self) -> None:
        """Of a request that is not complete yet: so much and no more, and not for ever."""
        if self._deaf:
            return
        if self._begun and self._head > _HEAD_BYTES:
            raise BadRequestError(f"the headers are longer than {_HEAD_BYTES} bytes")
        if self._answering or self._idle.since is not None or self.timeout_keep_alive_task:
            return
        if self._arrival.since is None:
            self._arrival.begin()
        if (
            self._exchange is not None
            and self._length > _LARGE_BYTES
            and self._received * _PART_FIRST > self._length
        ):
            self._hold(self._length - self._held)
            self._body = self._dispatcher.bodies.take(self._length)
            self._body[: self._received] = self._part
            self._part = b""

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has sent its last byte.

        Returns:
            Whether the connection stays, for an answer.
        """
        self._eof = True
        if self._deaf:
            return False
        if self._exchange is not None:
            self._refuse(BadRequestError(f"the body ended after {self._received} bytes, too early"))
        elif self._begun:
            self._refuse(BadRequestError("the request ended within its headers"))
        self._ending = True
        return bool(self._waiting)

    def resume_writing(self) -> None:
        """The client reads again: go on with what waited for that."""
        super().resume_writing()
        self._answer_waiting()

    # The parser's side. What is raised here comes out of feed_data() as a callback's error.

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._begun = True
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; of those that follow a body in chunks none means anything here."""
        if self._exchange is None:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Refuse what need not be read."""
        if self._head > _HEAD_BYTES and head_size(self.url, self.headers) > _HEAD_BYTES:
            raise BadRequestError(f"the headers are longer than {_HEAD_BYTES} bytes")
        if self._over:
            raise OverloadedError("too many connections are open; try again")
        parser = self.parser
        version = parser.get_http_version()
        headers = read_headers(self.headers, version)
        if parser.should_upgrade():
            self._again = without_upgrade(parser, self.url, self.headers)
            return  # the parser goes no further
        self._head = 0
        length = int(headers.get("content-length", "0"))
        if length > MAX_BYTES:
            raise TooLargeError(f"the body has {length} bytes, at most {MAX_BYTES} are taken")
        path, query = split_target(self.url)
        method = parser.get_method().decode("ascii")
        keep_alive = parser.should_keep_alive() and version != "1.0"
        self._exchange = Exchange(method, path, query, keep_alive=keep_alive)
        self._headers = headers
        self._part = b""
        self._length = length
        self._received = 0
        expected = headers.get("expect", "").lower() == "100-continue"
        if expected and version != "1.0" and not self._waiting:
            self._outbox.send(self.transport, b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Some of the body; without a Content-Length, only its sum tells when it is too much."""
        self._head = 0
        self._received += len(body)
        if self._received > MAX_BYTES:
            raise TooLargeError(f"the body has more than the {MAX_BYTES} bytes that are taken")
        if self._received > _LARGE_BYTES:
            self._hold(len(body))
        if not self._part:
            self._part = body
            return
        # Each on its own, chunks of two bytes would take thirty times what they hold.
        if isinstance(self._part, bytes):
            self._part = bytearray(self._part)
        self._part += body

    def on_message_complete(self) -> None:
        """A whole request."""
        exchange = self._exchange
        if exchange is None:
            return
        self._arrival.since = None
        self._exchange = None
        self._begun = False
        self._head = 0
        if self._held:
            self._let_go()  # from here on the queue is the bound
        body = self._body or self._part
        self._part = b""
        exchange.memory, self._body = self._body, None
        method = "GET" if exchange.method == "HEAD" else exchange.method
        # A bytearray is read as bytes are everywhere, and nobody keeps or hashes a body.
        taken = (self._headers, cast("bytes", body))
        exchange.request = Request(method, exchange.path, *taken, query=exchange.query)
        self._waiting.append(exchange)
        self._answer_waiting()
        if len(self._waiting) > 1:
            # Whoever sends ahead waits in the kernel's buffers, not in ours. Not from the first on:
            # a client that leaves while its request waits is only noticed by reading.
            self.flow.pause_reading()

    def _hold(self, size: int) -> None:
        self._held += size
        self._dispatcher.bodies.hold(size)

    def _let_go(self) -> None:
        self._dispatcher.bodies.let_go(self._held)
        self._held = 0

    # Answers

    def _answer_waiting(self) -> None:
        """Answer what waits, in order, as long as answers come at once and the client reads."""
        while self._waiting and not self._answering and not self.flow.write_paused:
            exchange = self._waiting[0]
            if exchange.request is None:
                response = exchange.response
            else:
                self._answering = True
                response = self._dispatcher.answer(exchange.request, self)
            if response is not None:
                self._answering = False
                self._send(self._waiting.popleft(), response, soon=True)
        if self._waiting and not self._answering and self.timeout_keep_alive_task is None:
            # The client does not read, and must not do so for ever.
            self._close_after(self.timeout_keep_alive)

    def answer_later(self, waiting: Waiting) -> None:
        """The dispatcher has not answered at once; `answered` follows."""
        self._later = waiting

    def answered(self, response: Response) -> None:
        """The answer that the dispatcher promised."""
        self._later = None
        self._answering = False
        if self._waiting:
            self._send(self._waiting.popleft(), response, soon=False)
            self._answer_waiting()

    def _refuse(self, error: RequestError) -> None:
        """Answer what cannot be read, after what came before it, and read no more."""
        self._deaf = True
        self._begun = False
        self._exchange = None
        self._part = b""
        self._body = None
        self._let_go()
        self._arrival.since = None
        refused = Exchange("", "", "", keep_alive=False)
        refused.response = self._dispatcher.refuse(error)
        self._waiting.append(refused)
        self._answer_waiting()

    def _send(self, exchange: Exchange, response: Response, *, soon: bool) -> None:
        if exchange.memory is not None:
            self._dispatcher.bodies.give_back(exchange.memory)
        keep_alive = exchange.keep_alive and not self._ending
        head = answer_head(
            response.status,
            tuple(self.server_state.default_headers),
            tuple(response.headers.items()),
            keep_alive,
        )
        body = b"" if exchange.method == "HEAD" else response.body
        answer = b"%bcontent-length: %d\r\n\r\n%b" % (head, len(response.body), body)
        send = self._outbox.put if soon and keep_alive else self._outbox.send
        send(self.transport, answer)
        if not keep_alive:
            self._end()
        elif not self._waiting and not self.transport.is_closing():
            self.flow.resume_reading()
            self._idle.begin()

    # Ends

    def shutdown(self) -> None:
        """The server stops: close now, or with the answer to what has begun to arrive."""
        self._ending = True
        if not self._waiting and not self._begun:
            self._outbox.flush()
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for too long, or the client does not read what it asked for."""
        self.transport.abort()

    def _late(self) -> None:
        self._refuse(BadRequestError(f"the request did not arrive within {ARRIVAL_SECONDS:.0f} s"))

    def _end(self) -> None:
        """Close once the answer is out; what the client still sends is read and thrown away."""
        self._waiting.clear()
        if self._eof or not (self._deaf or self.flow.read_paused):
            self.transport.close()
        else:
            try:
                self.transport.write_eof()
            except OSError:  # the client has reset the connection, and we have not read that yet
                self.transport.abort()
            self.flow.resume_reading()
        self._deaf = True
        full = self.transport.get_write_buffer_size() > 0
        self._close_after(self.timeout_keep_alive if full else _LINGER_SECONDS)

    def _close_after(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        end = self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(seconds, end)
