"""How an API on the emulator is called, as the README tells who cannot resolve its name."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.emulator import Emulator
    from tests.local.aws.conftest import Account


class Echo(BaseHTTPRequestHandler):
    """Answers with the path that it was asked for."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(account: Account) -> Iterator[str]:
    """Host and port of an API that lets one request a second through to a server."""
    client = account.client("apigatewayv2")
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = client.create_api(Name="echo", ProtocolType="HTTP")
        integration = client.create_integration(
            ApiId=api["ApiId"],
            IntegrationType="HTTP_PROXY",
            IntegrationMethod="ANY",
            IntegrationUri=f"http://127.0.0.1:{server.server_port}/",
            PayloadFormatVersion="1.0",
        )
        client.create_route(
            ApiId=api["ApiId"],
            RouteKey="$default",
            Target=f"integrations/{integration['IntegrationId']}",
        )
        client.create_stage(
            ApiId=api["ApiId"],
            StageName="$default",
            AutoDeploy=True,
            DefaultRouteSettings={"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1},
        )
        yield api["ApiEndpoint"].removeprefix("http://")
        client.delete_api(ApiId=api["ApiId"])
        server.shutdown()


def get(machine: Emulator, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and body of a path on this machine, by its number."""
    connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=30)
    with closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("path", ["/v1/models/digits", "/v2/models/digits", "/v2/health/live"])
def test_two_ways_to_call_an_api(machine: Emulator, address: str, path: str) -> None:
    """With its name in a header, or with its id in the path."""
    by_id = f"/_aws/execute-api/{address.partition('.')[0]}/$default{path}"

    assert get(machine, path, {"Host": address}) == (200, path)
    assert get(machine, by_id, {}) == (200, path)


def test_v2_itself_is_the_registrys_by_name(machine: Emulator, address: str) -> None:
    """The emulator asks nobody for it; where the id is in the path, it is the API's."""
    by_id = f"/_aws/execute-api/{address.partition('.')[0]}/$default/v2"

    assert get(machine, "/v2", {"Host": address}) == (200, "{}")
    assert get(machine, by_id, {}) == (200, "/v2")


def test_nothing_is_throttled(machine: Emulator, address: str) -> None:
    """Where one request a second may pass, ten at once do."""
    answers = [get(machine, "/v1", {"Host": address})[0] for _ in range(10)]

    assert answers == [200] * 10
