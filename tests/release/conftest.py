"""Fakes that speak the real protocols: GitHub's API and a deployed API, both on loopback."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from release.github import Repository

Respond = Callable[[str, str, dict[str, str], bytes], tuple[int, bytes]]


@dataclass(slots=True, kw_only=True)
class Loopback:
    """An HTTP server of this test's, and what it was asked."""

    port: int
    respond: Respond
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def loopback() -> Iterator[Callable[[Respond], Loopback]]:
    """Start servers that answer as they are told, and stop them after the test."""
    running: list[ThreadingHTTPServer] = []

    def start(respond: Respond) -> Loopback:
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.asked.append((self.command, self.path, headers, body))
                status, answer = server.respond(self.command, self.path, headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 (the names http.server calls)

            def log_message(self, *_: object) -> None:
                """Stay quiet: the test says what matters."""

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server = Loopback(port=http.server_address[1], respond=respond)
        running.append(http)
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


@dataclass(slots=True, kw_only=True)
class FakeGitHub:
    """Comments, issues and deployments of one repository, kept in memory."""

    deployments: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    server: Loopback | None = None

    def repository(self) -> Repository:
        """The client under test, pointed here."""
        assert self.server is not None
        return Repository(
            name="acme/thimble", token="made-up", api=self.server.url, sleep=lambda _: None
        )

    def deploy(self, sha: str, environment: str, *states: str) -> None:
        """A deployment that has been in these states, one after the other."""
        statuses = [{"id": i, "state": state} for i, state in enumerate(states)][::-1]
        one = {"id": len(self.deployments), "sha": sha, "environment": environment}
        self.deployments.insert(0, {**one, "statuses": statuses})

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Answer as the REST API does."""
        if headers.get("authorization") != "Bearer made-up":
            return 401, b'{"message": "Bad credentials"}'
        if self.failures:
            return self.failures.pop(0), b'{"message": "made to fail"}'
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        words = parts.path.removeprefix("/repos/acme/thimble/").split("/")
        sent = json.loads(body) if body else {}
        if (method, words[0]) == ("GET", "deployments"):
            found = _page(self._deployments(words[1:], query), query)
        else:
            found = self._act(method, words, query, sent)
        return 200, json.dumps(found).encode()

    def _deployments(self, number: list[str], query: dict[str, str]) -> list[dict[str, Any]]:
        if number:
            deployment = next(
                one for one in self.deployments if [str(one["id"]), "statuses"] == number
            )
            statuses: list[dict[str, Any]] = deployment["statuses"]
            return statuses
        asked = query["sha"], query["environment"]
        return [one for one in self.deployments if (one["sha"], one["environment"]) == asked]

    def _act(
        self, method: str, words: list[str], query: dict[str, str], sent: dict[str, Any]
    ) -> Any:
        match method, words:
            case "GET", ["issues"]:
                found = [
                    issue
                    for issue in self.issues
                    if issue["state"] == query["state"] and query["labels"] in issue["labels"]
                ]
                return _page(found, query)
            case "POST", ["issues"]:
                issue = {"number": len(self.issues) + 1, "state": "open", **sent}
                self.issues.append(issue)
                return issue
            case "PATCH", ["issues", "comments", number]:
                comment = next(one for one in self.comments if one["id"] == int(number))
                comment.update(sent)
                return comment
            case "PATCH", ["issues", number]:
                issue = self.issues[int(number) - 1]
                issue.update(sent)
                return issue
            case "GET", ["issues", number, "comments"]:
                return _page([c for c in self.comments if c["issue"] == int(number)], query)
            case "POST", ["issues", number, "comments"]:
                identity = len(self.comments) + 1
                comment = {
                    "id": identity,
                    "issue": int(number),
                    "html_url": f"https://github.example/comments/{identity}",
                    **sent,
                }
                self.comments.append(comment)
                return comment
        raise AssertionError(f"GitHub has no {method} {words}")


def _page(found: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    size, page = int(query["per_page"]), int(query["page"])
    return found[(page - 1) * size : page * size]


@pytest.fixture
def github(loopback: Callable[[Respond], Loopback]) -> FakeGitHub:
    """A repository without comments or issues."""
    fake = FakeGitHub()
    fake.server = loopback(fake.respond)
    return fake
