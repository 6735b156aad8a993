"""Heads of requests: what is made of headers, and of offers to speak something else."""

import random

import pytest

from tests.handler.serving import ZEROS, Listener, Serving, post, read_all


def test_a_header_that_comes_twice_is_one_list(server: Serving) -> None:
    """As RFC 9110 has it, and API Gateway: the second does not replace the first."""
    twice = "Accept: application/x-npy;q=0.1\r\nAccept: image/png\r\nConnection: close\r\n"

    answer = server.ask(post(ZEROS, twice))

    assert b"\r\ncontent-type: application/x-npy\r\n" in answer


_OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"


@pytest.mark.parametrize("piece", [1, 60, 100_000])
def test_a_body_arrives_though_another_protocol_was_offered(server: Serving, piece: int) -> None:
    """As Java's client does with each request, on a connection that it keeps."""
    text = 2 * post(ZEROS, _OFFER) + b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with server.connect() as client:
        for start in range(0, len(text), piece):
            client.sendall(text[start : start + piece])
        answers = read_all(client)

    assert 3 == answers.count(b"HTTP/1.1 200")
    assert 2 == answers.count(b'"predictions"')


def test_many_offers_may_come_in_one_breath(server: Serving) -> None:
    """More than Python's stack has frames."""
    one = b"GET /ping HTTP/1.1\r\nHost:\r\nUpgrade:h\r\nConnection:Upgrade\r\n\r\n"

    answers = server.ask(1_500 * one)

    assert 1_500 == answers.count(b"HTTP/1.1 200")


def test_a_large_body_arrives_though_another_protocol_was_offered(listener: Listener) -> None:
    """Chunked, too."""
    body = random.Random(1).randbytes(400_000)
    head = f"POST /echo HTTP/1.1\r\nHost: a\r\n{_OFFER}".encode()

    listener.serving.ask(head + b"Content-Length: 400000\r\n\r\n" + body)
    listener.serving.ask(
        head + b"Transfer-Encoding: chunked\r\n\r\n61a80\r\n" + body + b"\r\n0\r\n\r\n"
    )

    assert [body, body] == listener.bodies


def test_a_close_is_heeded_beside_an_offer(server: Serving) -> None:
    """Only the offer is passed over."""
    with server.connect() as client:
        client.sendall(post(ZEROS, _OFFER.replace("Upgrade,", "Upgrade, close,")))

        assert b"\r\nconnection: close\r\n" in read_all(client)
