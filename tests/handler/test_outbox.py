"""When answers go out: at once to a lone client, else together at the end of the loop's round."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

import pytest
from uvicorn import Server

from handler.server import outbox as outbox_module
from handler.server.connection import Connection
from handler.server.dispatcher import Dispatcher
from handler.server.outbox import Outbox
from handler.server.worker import configure
from handler.service import Service


class Recorder(asyncio.Transport):
    """A transport that sends nothing, and remembers what it was told.

    Args:
        sent: Called with each writing.
    """

    def __init__(self, sent: Callable[[], object] = list) -> None:
        super().__init__()
        self.told: list[str] = []
        self.gone = False
        self._sent = sent

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember the last word."""
        self.told.append(bytes(data).decode().split()[-1])
        self._sent()

    def close(self) -> None:
        """Remember that, too."""
        self.told.append("close")

    def is_closing(self) -> bool:
        """Whether the client was found gone."""
        return self.gone


def test_a_lone_client_is_answered_at_once() -> None:
    """There is nobody whose answer could go with it."""
    outbox, client = Outbox(), Recorder()
    outbox.begin(1)
    outbox.put(client, b"a")

    assert ["a"] == client.told


def test_what_a_round_answers_goes_out_at_its_end() -> None:
    """In the order in which it was answered, and once."""
    outbox, clients = Outbox(), [Recorder(), Recorder()]
    outbox.begin(2)
    for client in clients:
        outbox.put(client, b"a")
    assert [[], []] == [client.told for client in clients]

    assert not outbox.flush()
    assert not outbox.flush()
    assert [["a"], ["a"]] == [client.told for client in clients]


def test_of_a_client_one_answer_waits() -> None:
    """One that sends ahead and does not read is noticed by its transport."""
    outbox, client = Outbox(), Recorder()
    outbox.begin(2)
    outbox.put(client, b"a")
    outbox.put(client, b"b")
    assert ["a"] == client.told

    outbox.send(client, b"c")
    assert ["a", "b", "c"] == client.told


def test_an_answer_waits_for_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many clients the first one's answer does not wait for all of theirs."""
    outbox, clients = Outbox(), [Recorder(), Recorder(), Recorder()]
    outbox.begin(3)
    outbox.put(clients[0], b"a")
    monkeypatch.setattr(outbox_module, "PATIENCE_SECONDS", -1)
    outbox.put(clients[1], b"a")
    monkeypatch.setattr(outbox_module, "PATIENCE_SECONDS", 60)
    outbox.put(clients[2], b"a")

    assert [["a"], [], []] == [client.told for client in clients]


def test_the_loop_sends_before_it_waits() -> None:
    """Two requests that are there at once are both answered before either client hears of it."""
    outbox = Outbox()
    heard: list[bytes] = []

    async def answer_two() -> None:
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(2)]
        for ours, theirs in pairs:
            theirs.setblocking(False)  # noqa: FBT003
            await loop.connect_accepted_socket(partial(Protocol, theirs), ours)
        for _, theirs in pairs:
            theirs.send(b"?")
        for _, theirs in pairs:
            async with asyncio.timeout(10):
                heard.append(await loop.sock_recv(theirs, 1))
            theirs.close()

    class Protocol(asyncio.Protocol):
        def __init__(self, client: socket.socket) -> None:
            self.client = client

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            outbox.put(self.transport, b"!")
            with pytest.raises(BlockingIOError):
                self.client.recv(1)
            heard.append(data)

    with asyncio.Runner(loop_factory=outbox.make_loop) as runner:
        runner.run(answer_two())

    assert [b"?", b"?", b"!", b"!"] == heard


def test_who_is_gone_is_noticed_in_the_next_round() -> None:
    """What a failed sending has to say is not left until something else happens."""
    outbox = Outbox()

    async def lose() -> None:
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        client = Recorder(partial(loop.call_soon, lost.set_result, None))
        client.gone = True
        outbox.begin(2)
        outbox.put(client, b"a")
        async with asyncio.timeout(5):
            await lost

    with asyncio.Runner(loop_factory=outbox.make_loop) as runner:
        runner.run(lose())


def test_an_answer_is_out_before_its_connection_closes(digits_service: Service) -> None:
    """Where the server stops in the round that has answered."""
    outbox, transport = Outbox(), Recorder()

    async def stop() -> None:
        loop = asyncio.get_running_loop()
        dispatcher = Dispatcher(digits_service, loop, threads=1, queue=1, deadline=0, at_once=True)
        config = configure(5)
        state = Server(config).server_state
        connection = Connection(config, state, dispatcher, outbox, lambda: None, 1)
        connection.connection_made(transport)
        outbox.begin(2)
        connection.data_received(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [] == transport.told
        connection.shutdown()
        dispatcher.close()

    with asyncio.Runner(loop_factory=outbox.make_loop) as runner:
        runner.run(stop())

    assert ['{"status":"ok"}', "close"] == transport.told
