"""The process that accepts: every connection goes to the worker that has the fewest.

Left to the kernel, eight connections often land on one worker, and the other cores have nothing to
do. Here the acceptor counts: it hands each connection over as a file descriptor and hears from the
worker when it closes. A worker that dies is replaced; its connections die with it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import traceback
from time import monotonic
from typing import TYPE_CHECKING

from handler.errors import StartupError
from handler.server import worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.server.options import Options
    from handler.service import Service

_BACKLOG = 2048
_MESSAGE_BYTES = 4096
_AFTER_GRACE_SECONDS = 2.0
_FULL_SECONDS = 0.005  # until a worker is offered again what no channel had room for


class Worker:
    """A forked worker, as the acceptor sees it.

    Args:
        pid: Its process.
        channel: Our end.
        core: The processor that it has to itself; None where the system decides.

    Attributes:
        open: Connections it holds.
        ready: Whether its model is loaded.
    """

    def __init__(self, pid: int, channel: socket.socket, core: int | None) -> None:
        self.pid = pid
        self.channel = channel
        self.core = core
        self.open = 0
        self.ready = False


class Acceptor:
    """Listens, and keeps the workers going.

    Args:
        options: How to run.

    Raises:
        OSError: The address cannot be bound.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        # Bound now, so that a port in use is known before a model is loaded; not listening, so that
        # nobody connects before it is.
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((options.host, options.port))
        self._listener.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, Worker] = {}
        self._cores = own_cores(options.workers, os.environ)
        self._service: Service | None = None
        self._wake, self._signals = socket.socketpair()
        self._stopping = False
        self._listening = False
        self._held: socket.socket | None = None  # accepted, and no channel has room for it
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    def run(self) -> bool:
        """Serve until SIGTERM or SIGINT.

        Returns:
            Whether every worker finished in time.

        Raises:
            StartupError: The model cannot be loaded.
        """
        for end in (self._wake, self._signals):
            end.settimeout(0)
        signal.set_wakeup_fd(self._signals.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._selector.register(self._wake, selectors.EVENT_READ)
        try:
            self._service = worker.share(os.environ)
            while not self._stopping and len(self._workers) < self._options.workers:
                self._fork()
            while not self._stopping:
                self._turn(None)
            return self._drain()
        finally:
            signal.set_wakeup_fd(-1)
            self._kill()

    def _turn(self, timeout: float | None) -> None:
        if self._held is not None:
            timeout = _FULL_SECONDS
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake:
                self._wake.recv(_MESSAGE_BYTES)
            else:
                self._hear(self._workers[key.fd])
        if self._held is not None:
            self._accept()

    def _accept(self) -> bool:
        """Hand one connection over, if there is one and a worker takes it."""
        held = self._held
        try:
            client = held or self._listener.accept()[0]
        except OSError:
            return False  # none, or it left again
        # Who has the fewest; among equals the longest known, so the order is always the same.
        # One that replaces another, and is not ready yet, only where nobody else is.
        for each in sorted(self._workers.values(), key=lambda one: (not one.ready, one.open)):
            try:
                socket.send_fds(each.channel, [b"+"], [client.fileno()])
            except OSError:
                continue  # it died, or its channel is full
            each.open += 1
            client.close()
            if held is not None:
                self._held = None
                self._selector.register(self._listener, selectors.EVENT_READ)
            return True
        # A burst, to workers that are busy: whoever else connects waits in the kernel.
        if held is None:
            self._held = client
            self._selector.unregister(self._listener)
        return False

    def _hear(self, sender: Worker) -> None:
        try:
            message = sender.channel.recv(_MESSAGE_BYTES)
        except ConnectionError:
            message = b""
        kind, text = message[:1], message[1:].decode()
        if kind == worker.CLOSED:
            sender.open -= 1
        elif kind == worker.READY:
            sender.ready = True
            ready = all(each.ready for each in self._workers.values())
            if ready and not self._listening and not self._stopping:
                self._listen(text)
        elif kind == worker.FAILED:
            raise StartupError(text)
        else:
            self._bury(sender)

    def _listen(self, model: str) -> None:
        self._listening = True
        self._listener.listen(_BACKLOG)
        self._selector.register(self._listener, selectors.EVENT_READ)
        host, port = self.address
        count = len(self._workers)
        workers = "1 worker" if count == 1 else f"{count} workers"
        say(f"serving {model} on {host}:{port} with {workers}")

    def _bury(self, dead: Worker) -> None:
        """Note that a worker is gone, and start another in its place."""
        self._selector.unregister(dead.channel)
        del self._workers[dead.channel.fileno()]
        dead.channel.close()
        status = os.waitstatus_to_exitcode(os.waitpid(dead.pid, 0)[1])
        if self._stopping:
            return
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if not dead.ready:
            raise StartupError(f"worker {dead.pid} ended with {how} before its model was loaded")
        say(f"worker {dead.pid} ended with {how}, its {dead.open} connections with it; replaced")
        self._fork()

    def _fork(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        taken = {each.core for each in self._workers.values()}
        core = next((one for one in self._cores if one not in taken), None)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            # A copy of another worker's channel here would hide that one's end.
            for each in self._workers.values():
                each.channel.close()
            for mine in (self._selector, self._listener, self._wake, self._signals, ours):
                mine.close()
            try:
                if core is not None:
                    os.sched_setaffinity(0, {core})
                worker.run(theirs, self._options, self._service)
            except BaseException:  # noqa: BLE001 - a fault of ours, and we only see a status
                traceback.print_exc()
            finally:
                # Nothing of the acceptor's may happen in a worker, whatever went wrong there.
                os._exit(1)
        theirs.close()
        ours.settimeout(0)
        self._workers[ours.fileno()] = Worker(pid, ours, core)
        self._selector.register(ours, selectors.EVENT_READ)

    def _stop(self, number: int, frame: object) -> None:
        del number, frame
        self._stopping = True

    def _drain(self) -> bool:
        """Hand over what has connected already, tell the workers to finish, wait for them."""
        end = monotonic() + self._options.grace + _AFTER_GRACE_SECONDS
        while self._accept() or (self._held is not None and self._workers and monotonic() < end):
            if self._held is not None:
                self._turn(None)
        if self._listening and self._held is None:
            self._selector.unregister(self._listener)
        self._listener.close()
        for each in self._workers.values():
            each.channel.shutdown(socket.SHUT_WR)
        while self._workers and (left := end - monotonic()) > 0:
            self._turn(left)
        return not self._workers

    def _kill(self) -> None:
        """End what is left, when a start failed or the grace is over."""
        for each in self._workers.values():
            os.kill(each.pid, signal.SIGKILL)
            os.waitpid(each.pid, 0)
            each.channel.close()
        self._selector.close()
        if self._held is not None:
            self._held.close()
        for end in (self._listener, self._wake, self._signals):
            end.close()


def own_cores(workers: int, settings: Mapping[str, str]) -> list[int]:
    """The processors of which each worker gets one to itself, its caches with it.

    Empty where the workers are not as many as the processors that this process may use, or one
    worker's model uses several: then the system decides, as it does where a container has a share
    of more processors than it has workers.
    """
    found = sorted(os.sched_getaffinity(0))
    alone = settings.get("MODEL_THREADS", "") in ("", "1")
    return found if alone and len(found) == workers else []


def say(line: str) -> None:
    """One line for whoever runs the server."""
    print(line, file=sys.stderr, flush=True)
