"""Clients that take their time, send too much, or try to send two requests for one."""

import asyncio

import pytest
from tests.gateway.backends import Received, answer, backend
from tests.gateway.conftest import QUICK, Start, to
from tests.patience import until

SMUGGLED = b"GET /orders/secret HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 40\r\n\r\n", 400),
        (b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 3, 3\r\n\r\nabc", 400),
        (b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /orders HTTP/1.1\r\nhost: x\r\nx: a\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /orders HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", 501),
        (b"GET /orders HTTP/2.0\r\nhost: x\r\n\r\n", 505),
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(start: Start, head: bytes, status: int) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        found = await gateway.raw(head + SMUGGLED)
        assert found.startswith(b"HTTP/1.1 %d " % status)
        assert found.count(b"content-length: ") == 1
        assert orders.got == []


async def test_a_chunked_body_reaches_the_backend_with_its_length(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        found = await gateway.raw(
            b"POST /orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            b"3;what=ever\r\nabc\r\n2\r\nde\r\n0\r\nhost: y\r\nx-trailer: 1\r\n\r\n"
        )
        assert found.startswith(b"HTTP/1.1 200 ")
    (got,) = orders.got
    assert got.body == b"abcde"
    assert got.all("content-length") == ["5"]
    assert got.all("transfer-encoding") == got.all("x-trailer") == []
    assert got.all("host") == ["x"]


async def test_an_offer_to_upgrade_is_ignored_and_not_passed_on(start: Start) -> None:
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\ncontent-length: 2\r\n\r\n"
    async with backend() as orders, start(orders=to(orders)) as gateway:
        found = await gateway.raw(
            b"POST /orders HTTP/1.1\r\nhost: x\r\n" + offer + b"{}"
            b"GET /orders/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )  # fmt: skip
        assert found.count(b"HTTP/1.1 200 ") == 2
    assert [(each.target, each.body) for each in orders.got] == [("/orders", b"{}"), ("/orders/2", b"")]
    assert orders.got[0].all("content-length") == ["2"]
    for name in ("upgrade", "connection", "http2-settings"):
        assert orders.got[0].all(name) == []


async def test_the_host_of_an_absolute_target_is_the_one_that_is_asked(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        await gateway.raw(b"GET http://there:80/orders?a=b HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
    (got,) = orders.got
    assert got.target == "/orders?a=b"
    assert got.all("host") == got.all("x-forwarded-host") == ["there:80"]


async def test_the_blanks_around_a_header_are_not_passed_on(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        await gateway.raw(b"GET /orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-a: \t b c \t\r\n\r\n")
    assert orders.got[0].all("x-a") == ["b c"]


async def test_bodies_and_heads_are_bounded(start: Start) -> None:
    limits = QUICK._replace(body_bytes=1_000, head_bytes=2_000)
    async with backend() as orders, start(orders=to(orders), limits=limits) as gateway:
        assert (await gateway.http.post("/orders", content=b"x" * 1_000)).status_code == 200
        assert (await gateway.http.post("/orders", content=b"x" * 1_001)).status_code == 413
        assert (await gateway.http.get("/orders", headers={"x-long": "x" * 3_000})).status_code == 431
        endless = await gateway.raw(b"GET /orders?" + b"x" * 5_000)
        assert endless.startswith(b"HTTP/1.1 431 ")
    assert len(orders.got) == 1


async def test_a_client_that_asks_first_whether_it_may_send_is_told_so(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /orders HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert orders.got[0].all("expect") == []


@pytest.mark.parametrize(
    "sent", [b"POST /orders HTTP/1.1\r\nhost: x\r\n", b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"]
)
async def test_a_client_that_does_not_come_to_the_end_of_its_request_is_told_to_go(start: Start, sent: bytes) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        found = await gateway.raw(sent)
        assert found.startswith(b"HTTP/1.1 408 ")
        assert orders.got == []


async def test_a_connection_that_asks_nothing_is_closed(start: Start) -> None:
    async with start() as gateway:
        assert await gateway.raw(b"") == b""


async def test_more_clients_than_can_be_served_are_turned_away(start: Start) -> None:
    async with start(limits=QUICK._replace(connections=3, idle_seconds=60)) as gateway:
        there = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(3)]
        found = await gateway.raw(b"")
        assert found.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in found
        for _, writer in there:
            writer.close()


async def test_a_client_that_reads_nothing_is_let_go(start: Start) -> None:
    async def much(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"x" * 12_000_000))

    async with backend(much) as orders, start(orders=to(orders), limits=QUICK._replace(answer_seconds=5)) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1_024)
        writer.write(b"GET /orders HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: len(orders.got) == 1)
        metric = gateway.gateway.counts.text
        await until(lambda: b"cludale_gateway_clients 0.0" in metric(), seconds=10)
        writer.close()
