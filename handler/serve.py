"""`python3 -m handler.serve`: the same service on a socket, for SageMaker and other containers.

Beside Lambda's routes it answers SageMaker's: `POST /invocations`, which is :predict for JSON and
:image for pictures, and `GET /ping`. One thread a connection; the model itself runs one request at
a time.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep

from handler.errors import BadRequestError, StartupError, TooLargeError
from handler.service import MAX_BYTES, Request, Response, Service, error_response, open_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GRACE_SECONDS = 20.0
_IDLE_SECONDS = 75.0  # longer than the 60 s that load balancers keep a connection


class Server(ThreadingHTTPServer):
    """Listens, and counts the requests under way so that a stop can wait for them.

    Args:
        host: Address to bind.
        port: Port to bind; 0 picks a free one.
        service: What answers.
    """

    # A process that was told to stop must not wait for idle connections.
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, service: Service) -> None:
        self.service = service
        self._under_way = 0
        self._lock = threading.Lock()
        super().__init__((host, port), Connection)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a request, from when it was read until its answer is sent."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing where the client went away: nobody to answer, and nothing to mend."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def drain(self, seconds: float) -> None:
        """Wait until no request is under way, at most that long."""
        end = monotonic() + seconds
        while self._under_way and monotonic() < end:
            sleep(0.01)


class Connection(BaseHTTPRequestHandler):
    """One keep-alive connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "thimble"
    sys_version = ""
    timeout = _IDLE_SECONDS
    # Headers and body leave in one segment, at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET; every other method too, since the service knows which it allows."""
        try:
            body = self._body()
        except (BadRequestError, TooLargeError) as error:
            # The body was not read, so the next request cannot be found.
            self.close_connection = True
            self._send(error_response(error))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, query = self.path.partition("?")
        # HEAD is GET without the body.
        method = "GET" if self.command == "HEAD" else self.command
        request = _rename_invocations(
            Request(method, path, headers, body, query=query), self.server.service.manifest.name
        )
        with self.server.under_way():
            self._send(self.server.service.answer(request))
            self.wfile.flush()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the standard library found malformed in the service's own format."""
        del explain
        self.close_connection = True
        # Without a version that it understood it would leave out status line and headers.
        self.request_version = self.protocol_version
        # 501 is its word for a method nobody knows; all its others are the client's faults too.
        status = 405 if code == HTTPStatus.NOT_IMPLEMENTED else 400
        error = BadRequestError((message or "malformed request")[:200])
        headers = {"allow": "GET, POST"} if code == HTTPStatus.NOT_IMPLEMENTED else {}
        self._send(Response(status, error_response(error).body, headers))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """The service writes its own line."""

    def _body(self) -> bytes:
        if "transfer-encoding" in self.headers:
            raise BadRequestError("transfer-encoding is not read here; send Content-Length")
        text = self.headers.get("content-length", "0")
        if not text.isdecimal() or not text.isascii():
            raise BadRequestError(f"Content-Length is '{text:.32}', expected a number of bytes")
        length = int(text) if len(text) <= len(str(MAX_BYTES)) else MAX_BYTES + 1
        if length > MAX_BYTES:
            raise TooLargeError(f"the body has {text:.32} bytes, at most {MAX_BYTES} are taken")
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequestError(f"the body ended after {len(body)} of {length} bytes")
        return body

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)


def serve(host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are still answered.

    Returns:
        The exit status.
    """
    try:
        server = Server(host, port, open_service(os.environ))
    except (StartupError, OSError) as error:
        print(f"cannot serve: {error}", file=sys.stderr)
        return 1

    def stop(signum: int, frame: object) -> None:
        del signum, frame
        # shutdown() waits for the loop this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    bound, number = server.server_address[:2]
    print(f"serving {server.service.manifest.name} on {bound!s}:{number}", file=sys.stderr)
    with server:
        server.serve_forever(poll_interval=0.1)
        server.drain(_GRACE_SECONDS)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(prog="handler.serve", description=__doc__)
    # A container is its own boundary: what reaches it is decided by whoever publishes the port.
    parser.add_argument("--host", default="0.0.0.0", help="address to bind")  # noqa: S104
    parser.add_argument("--port", type=int, default=8080, help="port to bind; 0 picks one")
    options = parser.parse_args(arguments)
    return serve(options.host, options.port)


def _rename_invocations(request: Request, model: str) -> Request:
    """SageMaker's one path says nothing of what comes: the content type does."""
    if request.path != "/invocations":
        return request
    action = "image" if request.media.startswith("image/") else "predict"
    path = f"/v1/models/{model}:{action}"
    return Request(request.method, path, request.headers, request.body, query=request.query)


if __name__ == "__main__":
    sys.exit(main())
