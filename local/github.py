"""GitHub's side of a rehearsal: what its jobs have deployed, for the gate to ask."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def serve(deployed: Sequence[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Answer on the loopback what GitHub's REST API says of deployments.

    Args:
        deployed: Environment and commit of each job that has ended well. One that has not ends the
            rehearsal, so there are no others.

    Yields:
        The variables by which a workflow's step finds it.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """A list of deployments, or of one's states."""
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            if parts.path.endswith("/statuses"):
                found: list[dict[str, object]] = [{"id": 0, "state": "success"}]
            else:
                asked = query["environment"][0], query["sha"][0]
                found = [{"id": i} for i, one in enumerate(deployed) if one == asked]
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet: the rehearsal tells what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield {
            "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
            "GITHUB_REPOSITORY": "rehearsal/rehearsal",
            "GITHUB_TOKEN": "rehearsal",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
