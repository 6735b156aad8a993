"""The server on its socket: broken HTTP, lying lengths, slow clients, clients that go away."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Lock
from typing import TYPE_CHECKING

from tests.fuzz.corpus import Call, corpus
from tests.fuzz.judge import Answer
from tests.fuzz.memory import resident, tree
from tests.fuzz.mutate import damage, mutate
from tests.fuzz.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
# At once; more of them would only wait for each other.
_CLIENTS = 8
# A request that is whole has to be answered, however busy the machine is.
_PATIENCE_SECONDS = 60.0
# One that is not may be waited for by the server as long as it likes: look, and go.
_GLANCE_SECONDS = 0.05
_START_SECONDS = 60.0
_CHECK_EVERY = 50
_GONE = (ConnectionError, BrokenPipeError)


class Unanswered(Exception):  # noqa: N818 - an outcome, not always an error
    """The connection ended, or nothing came in time."""


@contextmanager
def server(environment: dict[str, str], log: Path) -> Iterator[tuple[int, int]]:
    """A running `python -m handler.serve`; it must end with status 0 and have told of no bug.

    Yields:
        Its process id and its port.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "handler.serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(_PATIENCE_SECONDS)
    told = log.read_text(errors="replace")
    assert status == 0, told[-2000:]
    bug = told.find("Traceback")
    assert bug < 0, told[bug : bug + 3000]


def fuzz_wire(process: int, port: int, model: str, count: int, seed: int) -> Tally:
    """Send broken requests to a running server.

    Args:
        process: The server's id.
        port: Where it listens on 127.0.0.1.
        model: Its model; one of models.py.
        count: How many connections.
        seed: Of everything random.

    Returns:
        What came of them.
    """
    tally = Tally(f"{model}: connections")
    seeds = corpus(model)
    good = [(call, ask(port, call)) for call in seeds]
    for call, answer in good:
        tally.expect(call, answer)
    lock = Lock()
    sizes: list[int] = []

    def play(number: int) -> None:
        random = Random(seed * 1_000_003 + number)
        call = mutate(random.choice(seeds), random)
        attack = random.choice(_ATTACKS)
        try:
            answers = attack(port, call, random)
            missing = ""
        except Unanswered as error:
            answers, missing = [], str(error)
        except OSError as error:
            answers, missing = [], f"{attack.__name__}: {error!r}"
        with lock:
            tally.closed += not answers
            for answer in answers:
                tally.count(call, answer)
            if missing:
                tally.fault(missing, call)
        if number % _CHECK_EVERY == 0:
            again, before = good[number // _CHECK_EVERY % len(good)]
            now = ask(port, again)
            with lock:
                tally.same(again, before, now)
        if number == count // 5:
            sizes.append(resident(*tree(process)))

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for _ in pool.map(play, range(count)):
            pass
    tally.remember(sizes[0], resident(*tree(process)))
    return tally


def ask(port: int, call: Call) -> Answer:
    """Send a request as a client should, and read its answer.

    Raises:
        Unanswered: None came.
    """
    with _connect(port) as client:
        client.sendall(write(call))
        return Reader(client, _PATIENCE_SECONDS).read(call.method)


def write(call: Call, length: str | None = None) -> bytes:
    """A request as bytes, well formed whatever is in it; `length` may lie."""
    path = urllib.parse.quote(call.path, safe="/:", errors="replace")
    query = urllib.parse.quote(call.query, safe="=&,%", errors="replace")
    target = f"{path}?{query}" if query else path
    headers = {"host": "localhost", **call.headers}
    headers["content-length"] = str(len(call.body)) if length is None else length
    lines = [f"{call.method or 'GET'} {target} HTTP/1.1"]
    lines += [f"{name}: {value.strip()}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + call.body


class Reader:
    """Answers out of a socket."""

    def __init__(self, client: socket.socket, seconds: float) -> None:
        self._client = client
        self._end = time.monotonic() + seconds
        self._data = b""

    def read(self, method: str) -> Answer:
        """The next answer.

        Raises:
            Unanswered: The connection ended, or the time did.
        """
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if status == 100:
            return self.read(method)
        length = 0 if method == "HEAD" else int(headers["content-length"])
        while len(self._data) < length:
            self._more()
        body, self._data = self._data[:length], self._data[length:]
        return Answer(status, headers, body or b'{"error":"HEAD"}' if method == "HEAD" else body)

    def _more(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise Unanswered("no answer in time")
        self._client.settimeout(left)
        try:
            data = self._client.recv(65_536)
        except TimeoutError:
            raise Unanswered("no answer in time") from None
        except _GONE:
            data = b""
        if not data:
            raise Unanswered("closed without an answer")
        self._data += data


def _whole(port: int, call: Call, random: Random) -> list[Answer]:
    """A request that is fine as HTTP: it has to be answered."""
    del random
    return [ask(port, call)]


def _several(port: int, call: Call, random: Random) -> list[Answer]:
    """Requests one after the other on one connection, for as long as the server keeps it."""
    answers = []
    with _connect(port) as client:
        for _ in range(random.choice((2, 5))):
            client.sendall(write(call))
            answers.append(Reader(client, _PATIENCE_SECONDS).read(call.method))
            if answers[-1].headers.get("connection", "").lower() == "close":
                break
    return answers


def _in_pieces(port: int, call: Call, random: Random) -> list[Answer]:
    """A whole request, slowly; as often as not with an offer to speak another protocol."""
    data = write(call)
    if random.random() < 0.5:
        head, _, rest = data.partition(b"\r\n")
        data = b"%b\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n%b" % (head, rest)
    with _connect(port) as client:
        for _ in range(random.choice((1, 2, 4))):
            at = random.randrange(len(data) + 1)
            client.sendall(data[:at])
            data = data[at:]
            time.sleep(0.002)
        client.sendall(data)
        return [Reader(client, _PATIENCE_SECONDS).read(call.method)]


def _lying_length(port: int, call: Call, random: Random) -> list[Answer]:
    """A Content-Length that is wrong, or no number."""
    size = len(call.body)
    lies = (size + 1, size + 10**6, max(size - 1, 0), 0, -1, 10**9, 10**30, "x", "1_0", "+1", "0x5")
    return _glance(port, write(call, str(random.choice(lies))))


def _two_lengths(port: int, call: Call, random: Random) -> list[Answer]:
    """Two ways to say where the body ends: what request smuggling is made of."""
    extra = random.choice(
        (b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"transfer-encoding: x\r\n")
    )
    head, _, rest = write(call).partition(b"\r\n")
    return _glance(port, head + b"\r\n" + extra + rest)


def _chunked(port: int, call: Call, random: Random) -> list[Answer]:
    """A body in chunks; as often as not with broken sizes."""
    size = random.choice((b"%x" % len(call.body), b"%x" % (len(call.body) + 1), b"-1", b"zz", b""))
    trailers = b"a: b\r\n" * random.choice((0, 0, 1, 200, 20_000))
    body = size + b"\r\n" + call.body + b"\r\n0\r\n" + trailers + b"\r\n"
    head = write(call).partition(b"content-length")[0]
    return _glance(port, head + b"transfer-encoding: chunked\r\n\r\n" + body)


def _damaged(port: int, call: Call, random: Random) -> list[Answer]:
    """The bytes themselves damaged, head and all."""
    data = write(call)
    for _ in range(random.choice((1, 2, 5))):
        data = damage(data[:2000], random) + data[2000:]
    return _glance(port, data)


def _noise(port: int, call: Call, random: Random) -> list[Answer]:
    """Something else altogether, such as TLS."""
    del call
    hello = bytes.fromhex("16030100c8010000c40303")
    lines = (
        hello,
        b"\r\n" * 9,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
    )
    return _glance(port, random.choice(lines) + random.randbytes(random.choice((0, 1, 500))))


def _gone(port: int, call: Call, random: Random) -> list[Answer]:
    """A client that resets the connection in the middle, or just before the answer."""
    data = write(call)
    with _connect(port) as client:
        client.sendall(data[: random.choice((0, 10, len(data) // 2, len(data)))])
        if random.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return []


def _glance(port: int, data: bytes) -> list[Answer]:
    """Send bytes and read what comes at once; that nothing comes is fine."""
    with _connect(port) as client, contextlib.suppress(Unanswered, *_GONE):
        client.sendall(data)
        method = "HEAD" if data.lstrip().startswith(b"HEAD") else "GET"
        return [Reader(client, _GLANCE_SECONDS).read(method)]
    return []


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            if ask(port, Call("GET", "/ping")).status == 200:
                return
        except (OSError, Unanswered):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < end, log.read_text(errors="replace")[-2000:]
            time.sleep(0.05)


_ATTACKS: tuple[Callable[[int, Call, Random], list[Answer]], ...] = (
    *(_whole, _several, _in_pieces, _lying_length, _two_lengths, _chunked, _damaged, _noise, _gone),
)
