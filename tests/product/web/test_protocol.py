"""A connection keeps its limits whatever comes in, and answers in the order in which it was asked."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from tests.patience import until

from cludale.kernel.refusals import Busy
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.problems import Problems
from cludale.web.protocol import PATIENCE_SECONDS
from cludale.web.responses import Response, json_response
from cludale.web.router import Endpoint, Router
from cludale.web.routing import Handler, Request
from cludale.web.server import GOODBYE_SECONDS, accepting
from cludale.web.trust import shown, trust_named_in
from cludale_operations.local.certificate import make_certificate

LIMITS = ConnectionLimits(body_bytes=1_000, connections=5, request_seconds=1, idle_seconds=2)


class Door(NamedTuple):
    """An open door: where it is, and who keeps it."""

    port: int
    keeper: Connections

    async def ask(self, *parts: bytes, pause_seconds: float = 0.0) -> bytes:
        """Send the parts, then read until the server closes the connection or 3 s have gone by."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await asyncio.sleep(pause_seconds)
            async with asyncio.timeout(4):
                return await reader.read()
        finally:
            writer.close()


async def _echo(request: Request) -> Response:
    await asyncio.sleep(0.01)
    return json_response({"segment": request.segment, "bytes": len(request.body)}, 201)


async def _headers(request: Request) -> Response:
    return json_response([name.decode() for name in request.headers if name != b"content-length"])


async def _key(request: Request) -> Response:
    return json_response(request.header(b"idempotency-key"))


async def _broken(request: Request) -> Response:
    raise ZeroDivisionError("a bug")


def _broken_at_once(request: Request) -> Response:
    raise ZeroDivisionError("a bug")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    problems = Problems()

    async def busy(request: Request) -> Response:
        return problems.answer(Busy("not now", retry_after_seconds=7))

    def full(request: Request) -> Response:
        return problems.answer(Busy("full"))

    handlers: dict[str, Handler] = {
        "/full": full,
        "/orders": _echo,
        "/concerts/{concert_id}/reserve": _echo,
        "/headers": _headers,
        "/key": _key,
        "/busy": busy,
        "/broken": _broken,
        "/broken-at-once": _broken_at_once,
    }
    endpoints = [Endpoint("POST", path, handler) for path, handler in handlers.items()]
    router = Router(endpoints, lambda method, path, error: problems.answer(error))
    listener = socket.create_server(("127.0.0.1", 0))
    connections = Connections(router.find, problems, LIMITS)
    async with accepting(connections, listener, shutdown_seconds=0):
        yield Door(listener.getsockname()[1], connections)


def _request(path: str, body: bytes = b"{}", *headers: str, method: str = "POST") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


CLOSE = "connection: close"


async def test_a_connection_is_closed_when_its_client_asks_to(door: Door) -> None:
    answer = await door.ask(_request("/orders", b"{}", CLOSE))
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b'{"segment":"","bytes":2}')


async def test_an_answer_that_is_there_at_once_keeps_its_place_among_the_others(door: Door) -> None:
    answer = await door.ask(_request("/full") + _request("/full") + _request("/orders", b"{}", CLOSE))
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"503", b"503", b"201"]
    assert answer.count(b"retry-after: 1\r\n") == 2
    assert (await door.ask(_request("/full", b"{}", CLOSE))).count(b"connection: close\r\n") == 1


async def test_a_segment_of_the_path_is_handed_over(door: Door) -> None:
    answer = await door.ask(_request("/concerts/demo-club/reserve", b"{}", CLOSE))
    assert b'"segment":"demo-club"' in answer


@pytest.mark.parametrize("segment", ["", "a/b", "a%2fb"])
async def test_a_segment_is_one_part_of_the_path(door: Door, segment: str) -> None:
    assert (await door.ask(_request(f"/concerts/{segment}/reserve", b"{}", CLOSE))).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("segment", ["demo%20club", "..", "%2e%2e", "-x", "x" * 65])
async def test_a_segment_is_handed_over_without_its_escapes(door: Door, segment: str) -> None:
    answer = await door.ask(_request(f"/concerts/{segment}/reserve", b"{}", CLOSE))
    assert f'"segment":"{unquote(segment)}"'.encode() in answer


@pytest.mark.parametrize("path", ["/orders", "/orders?", "/orders/", "//orders", "/%6frders", "/orders?a=b"])
async def test_a_path_is_the_same_however_it_is_written(door: Door, path: str) -> None:
    assert (await door.ask(_request(path, b"{}", CLOSE))).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("path", ["/orders/x", "/Orders", "/other", "/"])
async def test_other_paths_are_not_found(door: Door, path: str) -> None:
    assert b'"type":"/problems/no-such-route"' in await door.ask(_request(path, b"{}", CLOSE))


async def test_another_method_is_told_the_right_one(door: Door) -> None:
    answer = await door.ask(_request("/orders", b"", CLOSE, method="PUT"))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: POST\r\n" in answer


async def test_pipelined_requests_are_answered_in_order(door: Door) -> None:
    bodies = [b"x" * size for size in (1, 2, 3, 4, 5)]
    many = [
        _request(path, body)
        for path, body in zip(("/orders", "/full", "/orders", "/none", "/key"), bodies, strict=True)
    ]
    answer = await door.ask(b"".join(many) + _request("/orders", b"123456", CLOSE))
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"201", b"503", b"201", b"404", b"200", b"201"]
    order = [answer.find(b'"bytes":%d' % size) for size in (1, 3, 6)]
    assert order == sorted(order)
    assert -1 not in order


async def test_what_comes_at_once_waits_its_turn_however_much_it_is(door: Door) -> None:
    many = 1_500
    answer = await door.ask(_request("/orders") + _request("/full") * many + _request("/orders", b"{}", CLOSE))
    assert answer.count(b"HTTP/1.1 503 ") == many
    assert answer.count(b"HTTP/1.1 201 ") == 2


async def _answers(door: Door, *requests: bytes) -> list[float]:
    """When each of these was answered, in seconds since the first was sent: each is sent after the answer before it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    began, found = monotonic(), []
    try:
        for request in requests:
            writer.write(request)
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            found.append(monotonic() - began)
    finally:
        writer.close()
    return found


async def test_who_asks_again_too_soon_and_is_turned_away_again_is_not_read_for_a_while(door: Door) -> None:
    first, second, third = await _answers(door, *[_request("/busy")] * 3)
    assert second - first < PATIENCE_SECONDS / 2, "one may ask again once"
    assert third - second >= 0.9 * PATIENCE_SECONDS


async def test_who_was_turned_away_once_is_answered_at_once(door: Door) -> None:
    refused, *others = await _answers(door, _request("/busy"), *[_request("/orders", b"{}")] * 3)
    assert others[-1] - refused < PATIENCE_SECONDS


async def test_the_connection_of_a_proxy_is_read_whoever_was_turned_away_on_it(door: Door) -> None:
    request = b"POST /busy HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.1\r\ncontent-length: 0\r\n\r\n"
    assert (await _answers(door, *[request] * 5))[-1] < PATIENCE_SECONDS


async def test_what_was_sent_before_one_was_turned_away_is_answered(door: Door) -> None:
    began = monotonic()
    answer = await door.ask(_request("/busy") * 20 + _request("/orders", b"{}", CLOSE))
    assert answer.count(b"HTTP/1.1 503 ") == 20
    assert answer.count(b"HTTP/1.1 201 ") == 1
    assert monotonic() - began < PATIENCE_SECONDS


async def test_a_request_in_many_pieces_is_one_request(door: Door) -> None:
    pieces = [bytes([byte]) for byte in _request("/orders", b'{"a":1}', CLOSE)]
    assert b'"bytes":7' in await door.ask(*pieces)


async def test_a_chunked_body_is_put_together(door: Door) -> None:
    head = b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert b'"bytes":5' in await door.ask(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n", pause_seconds=0.02)


@pytest.mark.parametrize("path", ["/orders", "/other"])
async def test_an_oversized_body_is_refused(door: Door, path: str) -> None:
    answer = await door.ask(_request(path, b"x" * 1_001))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"type":"/problems/body-too-large"' in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/orders", "/other"])
async def test_an_oversized_chunked_body_is_refused_as_soon_as_it_is_too_large(door: Door, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    answer = await door.ask(head, *[b"200\r\n" + b"x" * 512 + b"\r\n"] * 3, pause_seconds=0.01)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_an_oversized_head_is_refused(door: Door) -> None:
    answer = await door.ask(b"GET /" + b"a" * 40_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_many_headers_are_an_oversized_head(door: Door) -> None:
    answer = await door.ask(
        b"GET / HTTP/1.1\r\nhost: x\r\n", *[b"x-a: " + b"b" * 1_000 + b"\r\n"] * 40, pause_seconds=0.001
    )
    assert answer.startswith(b"HTTP/1.1 431 ")


LARGE = "x-a: " + "b" * 40_000
"""Comes in one read, most of the time."""


@pytest.mark.parametrize("path", ["/orders", "/other"])
async def test_an_oversized_head_that_comes_whole_is_refused(door: Door, path: str) -> None:
    whole = _request(path, b"{}", LARGE)
    for parts in ([whole], [whole[:30_000], whole[30_000:]]):
        answer = await door.ask(*parts, pause_seconds=0.05)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert answer.count(b"HTTP/1.1") == 1


async def test_a_small_head_may_come_with_much_after_it(door: Door) -> None:
    many = 1_000
    answer = await door.ask(_request("/full") * many + _request("/full", b"{}", CLOSE))
    assert answer.count(b"HTTP/1.1 503 ") == many + 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\r\n\r\n",
        b"POST /orders HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /orders HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /orders HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_not_http_is_a_problem(door: Door, garbage: bytes) -> None:
    answer = await door.ask(garbage)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


async def test_a_request_that_takes_too_long_to_come_is_ended(door: Door) -> None:
    answer = await door.ask(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_trickles_in_is_ended_all_the_same(door: Door) -> None:
    answer = await door.ask(b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 10, pause_seconds=0.2)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_without_a_word(door: Door) -> None:
    assert await door.ask(b"") == b""


async def test_one_connection_too_many_is_turned_away(door: Door) -> None:
    held = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(LIMITS.connections)]
    await until(lambda: len(door.keeper) == LIMITS.connections)
    answer = await door.ask(b"")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await until(lambda: len(door.keeper) == 0)
    assert b"201 Created" in await door.ask(_request("/orders", b"{}", CLOSE))


async def test_a_refusals_headers_are_sent(door: Door) -> None:
    answer = await door.ask(_request("/busy", b"{}", CLOSE))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 7\r\n" in answer


@pytest.mark.parametrize("path", ["/broken", "/broken-at-once"])
async def test_a_bug_is_a_500_with_an_incident_that_is_in_the_log(
    door: Door, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answer = await door.ask(_request(path, b"{}", CLOSE))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"ZeroDivisionError" not in answer
    incident = answer.rpartition(b'"id":"')[2][:16].decode()
    assert incident in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_client_that_goes_away_harms_nobody(door: Door) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(_request("/orders"))
        writer.close()
    await until(lambda: len(door.keeper) == 0)
    assert b"201 Created" in await door.ask(_request("/orders", b"{}", CLOSE))


async def test_a_client_that_expects_to_be_told_to_go_on_is_told(door: Door) -> None:
    head, body = _request("/orders", b"{}", CLOSE, "expect: 100-continue")[:-2], b"{}"
    answer = await door.ask(head, body, pause_seconds=0.05)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")


async def test_a_client_is_told_to_go_on_in_its_turn(door: Door) -> None:
    first, asking = _request("/orders"), _request("/orders", b"{}", CLOSE, "expect: 100-continue")[:-2]
    answer = await door.ask(first + asking, b"{}", pause_seconds=0.05)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"201", b"100", b"201"]


async def test_an_offer_to_upgrade_is_ignored_and_the_body_read(door: Door) -> None:
    request = _request("/orders", b'{"a":1}', "connection: Upgrade, HTTP2-Settings", "upgrade: h2c")
    for parts in ([request], [request[:-7], request[-7:]]):
        answer = await door.ask(*parts, _request("/orders", b"{}", CLOSE), pause_seconds=0.05)
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert b'"bytes":7' in answer
        assert answer.endswith(b'"bytes":2}')


@pytest.mark.parametrize("target", ["/", "/orders", "x:443", "*", "http://x/"])
async def test_a_way_that_only_proxies_have_is_refused_however_it_is_written(door: Door, target: str) -> None:
    answer = await door.ask(f"CONNECT {target} HTTP/1.1\r\nhost: x\r\n\r\nanything".encode())
    assert answer.startswith(b"HTTP/1.1 501 ")


async def test_trailers_are_no_headers(door: Door) -> None:
    head = b"POST /headers HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    answer = await door.ask(head + b"1\r\nx\r\n0\r\nidempotency-key: a\r\nx-a: b\r\n\r\n")
    assert answer.endswith(b'["host","transfer-encoding","connection"]')


async def test_blanks_around_a_header_are_no_part_of_it(door: Door) -> None:
    answer = await door.ask(_request("/key", b"{}", CLOSE, "Idempotency-Key:  \t k 1\t "))
    assert answer.endswith(b'"k 1"')


async def test_a_head_that_is_refused_has_no_body(door: Door) -> None:
    answer = await door.ask(b"HEAD / HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\n\r\n")


async def test_who_keeps_a_connection_over_tls_and_reads_nothing_holds_up_no_end(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "inside").certificate
    trust = trust_named_in(f"https://127.0.0.1?cacertfile={certificate}")
    assert trust is not None
    listener = socket.create_server(("127.0.0.1", 0))
    problems = Problems()
    router = Router([Endpoint("POST", "/orders", _echo)], lambda method, path, error: problems.answer(error))
    connections = Connections(router.find, problems, LIMITS)

    def ask() -> ssl.SSLSocket:
        client = trust.wrap_socket(socket.create_connection(listener.getsockname(), 5), server_hostname="127.0.0.1")
        client.sendall(_request("/orders"))
        assert client.recv(1_000).startswith(b"HTTP/1.1 201 ")
        return client

    async with accepting(connections, listener, shutdown_seconds=30, tls=shown(certificate)):
        client = await asyncio.to_thread(ask)
        stopping_at = monotonic()
    assert monotonic() - stopping_at < GOODBYE_SECONDS + 4
    client.close()
