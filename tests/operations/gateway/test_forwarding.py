"""Requests through the gateway to backends on real sockets."""

import asyncio
from pathlib import Path

import httpx
import pytest
from tests.operations.gateway.backends import Received, answer, backend, polite
from tests.operations.gateway.conftest import Start, to
from tests.parts import need
from tests.served import gateway as served_gateway

from cludale.services import NAMES
from cludale_operations.gateway.routes import BackendRoute, ServiceRoutes, Traffic

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_each_path_goes_to_the_service_whose_it_is(start: Start) -> None:
    async with backend() as orders, backend() as concerts:
        async with start(orders=to(orders), concerts=to(concerts)) as gateway:
            assert (await gateway.http.get("/orders/o1?wait=2")).status_code == 200
            assert (await gateway.http.get("/concerts")).status_code == 200
            assert (await gateway.raw(b"GET /%63oncerts/c1 HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            for path in (
                "/nothing",
                "/dapr/subscribe",
                "/ordersx",
                "/-/consume",
                "//orders",
                "/docs/passwd",
                "/%2forders",
            ):
                found = await gateway.raw(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
                assert found.startswith(b"HTTP/1.1 404 "), path
                assert b"/problems/" in found
        assert [each.target for each in orders.got] == ["/orders/o1?wait=2"]
        assert [each.target for each in concerts.got] == ["/concerts", "/%63oncerts/c1"]


async def test_a_request_arrives_as_it_was_sent_and_says_who_sent_it(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        headers = {
            "traceparent": TRACE,
            "idempotency-key": "k1",
            "authorization": "Bearer b",
            "host": "tickets.example",
            "x-forwarded-for": "6.6.6.6",
            "x-forwarded-host": "elsewhere.example",
            "forwarded": "for=6.6.6.6",
            "x-real-ip": "6.6.6.6",
            "te": "trailers",
            "proxy-authorization": "p",
            "upgrade": "h2c",
        }
        found = await gateway.http.post("/orders", json={"a": 1}, headers=headers)
        assert found.json() == {"ok": True}
    (got,) = orders.got
    assert (got.method, got.target, got.body) == ("POST", "/orders", b'{"a":1}')
    assert got.all("traceparent") == [TRACE]
    assert got.all("idempotency-key") == ["k1"]
    assert got.all("authorization") == ["Bearer b"]
    assert got.all("host") == got.all("x-forwarded-host") == ["tickets.example"]
    assert got.all("x-forwarded-for") == ["127.0.0.1"]
    assert got.all("x-forwarded-proto") == ["http"]
    assert got.all("via") == ["1.1 cludale"]
    for name in ("forwarded", "x-real-ip", "te", "proxy-authorization", "upgrade", "x-cludale-label"):
        assert got.all(name) == [], name


async def test_what_a_trusted_proxy_says_of_whom_it_asks_for_is_passed_on(tmp_path: Path) -> None:
    need("haproxy")
    async with backend() as orders:
        routes = {"orders": {"backends": [{"url": orders.url}]}}
        settings = {"CLUDALE_TRUSTED_PROXIES": "127.0.0.0/8,2001:db8::/32", "CLUDALE_INSIDE_NETWORKS": "192.0.2.0/24"}
        says = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
        with served_gateway(tmp_path, routes, settings) as gateway:
            async with httpx.AsyncClient(base_url=gateway.url, timeout=10) as client:
                for _ in range(100):  # the backend could not be asked while we waited for the gateway
                    if (await client.get("/orders/a", headers=says)).status_code == 200:
                        break
                    await asyncio.sleep(0.1)
                await client.get("/orders/b")
                operator = {"x-forwarded-for": "192.0.2.7"}
                shown = [
                    (await client.get("/metrics", headers=each)).status_code
                    for each in (says, {"x-forwarded-for": "192.0.2.7, 203.0.113.9"}, {}, operator)
                ]
                assert shown == [404, 404, 404, 200], "the gateway's own figures are for operators"
    first, second = (each for each in orders.got if each.target.startswith("/orders"))
    assert (first.all("x-forwarded-for"), first.all("x-forwarded-proto")) == (["203.0.113.9, 127.0.0.1"], ["https"])
    assert (second.all("x-forwarded-for"), second.all("x-forwarded-proto")) == (["127.0.0.1"], ["http"])


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n2;what=ever\r\n{}\r\n0\r\nhost: y\r\nx-trailer: 1\r\n\r\n",
        b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
        b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\ncontent-length: 2\r\n\r\n{}",
    ],
    ids=["both", "chunked", "twice", "folded", "upgrade"],
)
async def test_a_request_reaches_its_backend_with_one_length_and_what_follows_is_another(
    start: Start, head: bytes
) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        await gateway.raw(
            b"POST /orders HTTP/1.1\r\nhost: x\r\n"
            + head
            + b"GET /orders/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
    assert [(each.method, each.target, each.body) for each in orders.got[:1]] == [("POST", "/orders", b"{}")]
    assert [(each.target, each.body) for each in orders.got[1:]] in ([("/orders/2", b"")], [])
    assert len(orders.got[0].all("content-length")) + len(orders.got[0].all("transfer-encoding")) == 1
    assert orders.got[0].all("host") == ["x"]


async def test_a_client_that_takes_its_time_costs_a_backend_nothing(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        for sent in (
            b"POST /orders HTTP/1.1\r\nhost: x\r\n",
            b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
        ):
            assert (await gateway.raw(sent)).startswith(b"HTTP/1.1 408 ")
    assert orders.got == []


async def test_requests_sent_ahead_are_answered_in_their_order(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05 if received.target == "/orders/0" else 0)
        writer.write(answer(received.target.encode()))

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        ahead = b"".join(b"GET /orders/%d HTTP/1.1\r\nhost: x\r\n\r\n" % each for each in range(30))
        found = await gateway.raw(ahead + b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    numbers = [part[: len(part) - len(part.lstrip(b"0123456789"))] for part in found.split(b"/orders/")[1:]]
    assert [int(each) for each in numbers] == list(range(30))
    assert found.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhe", b"llo"],
        [b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"],
        [b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\nhe", b"llo", b""],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"],
    ],
    ids=["in two", "in chunks", "until the end", "after another"],
)
async def test_an_answer_arrives_whole_in_whatever_form_it_was_given(start: Start, pieces: list[bytes]) -> None:
    async def talk(_: Received, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            if not piece:
                writer.close()
            writer.write(piece)
            await asyncio.sleep(0.02)

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        for _ in range(2):
            found = await gateway.http.post("/orders", json={})
            assert (found.status_code, found.content) == (201, b"hello")


async def test_an_answer_streams(start: Start) -> None:
    """What a service says bit by bit, such as events, is there at once and not at its end; large answers pass."""

    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        if "size" in received.target:
            writer.write(answer(b"x" * 20_000_000))
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(3):
            writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
            await asyncio.sleep(0.5)
        writer.write(b"0\r\n\r\n")

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        async with gateway.http.stream("GET", "/orders/o1/events") as found:
            times = [asyncio.get_running_loop().time() async for _ in found.aiter_raw()]
        assert times[-1] - times[0] > 0.5
        assert len((await gateway.http.get("/orders?size=1")).content) == 20_000_000


async def test_the_pages_of_all_services_are_the_gateways_own(start: Start) -> None:
    async with start() as gateway:
        openapi = (await gateway.http.get("/openapi.json")).json()
        assert {"/concerts", "/orders", "/payments", "/notifications", "/audit/events"} <= set(openapi["paths"])
        front = await gateway.http.get("/")
        assert "audit" in front.text
        assert front.headers["content-security-policy"].startswith("default-src 'none'")
        assert "swagger" in (await gateway.http.get("/docs")).text
        assert (await gateway.http.get("/docs/swagger-ui.css")).headers["content-type"].startswith("text/css")
        for name in ("seats-unavailable", "broke-off", "no-answer-in-time", "no-backend"):
            assert f"/problems/{name}" in (await gateway.http.get("/problems")).text
            assert (await gateway.http.get(f"/problems/{name}")).status_code == 200
        wrong = await gateway.http.post("/docs", json={})
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_the_gateway_is_ready_when_every_service_is(start: Start) -> None:
    async with backend() as one:
        others = {name: to(one) for name in NAMES if name != "orders"}
        async with start(**others) as gateway:
            waiting = await gateway.http.get("/readyz")
            assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "1")
            assert "orders" in waiting.json()["detail"]
            await gateway.put("orders", to(one))
            assert (await gateway.http.get("/readyz")).json() == {"status": "ready"}
            assert (await gateway.http.get("/livez")).status_code == 200


async def test_metrics_are_haproxys_or_those_of_a_service(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(f"mine {received.target}".encode()))

    async with backend() as blue, backend(talk) as green, start(orders=to(blue, green, blue=100, green=0)) as gateway:
        await gateway.http.get("/orders")
        own = (await gateway.http.get("/metrics")).text
        assert (
            f'haproxy_server_http_responses_total{{proxy="orders",server="blue_127.0.0.1:{blue.port}",code="2xx"}} 1'
            in own
        )
        assert (await gateway.http.get("/metrics/orders")).json() == {"ok": True}
        by_label = await gateway.http.get("/metrics/orders", headers={"x-cludale-label": "green"})
        assert by_label.text == "mine /metrics"
        assert (await gateway.http.get("/metrics/nothing")).status_code == 404


async def test_what_a_revision_did_is_counted_and_who_waits_on_purpose_is_not_timed(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        if "wait=" in received.target:
            await asyncio.sleep(0.2)
        writer.write(answer(status="500 No" if "bad" in received.target else "200 OK"))

    async with backend(talk) as old, backend(talk) as new:
        routes = ServiceRoutes(
            (BackendRoute(old.url, "counted-1"), BackendRoute(new.url, "counted-2")),
            (Traffic("counted-1", 100, "blue"), Traffic("counted-2", 0, "green")),
        )
        async with start(orders=routes) as gateway:
            for path in ("/orders/o1", "/orders/o1?wait=2", "/orders/o1?a=b&wait=2", "/orders/bad"):
                await gateway.http.get(path)
            await gateway.http.get("/orders/o1", headers={"x-cludale-label": "green"})
            counts = await asyncio.to_thread(gateway.control.counts)
    blues, greens = counts["orders", "counted-1"], counts["orders", "counted-2"]
    assert (blues.requests, blues.errors, greens.requests, greens.errors) == (4, 1, 1, 0)
    # Not by the bucket of a tenth of a second: a machine that stalls needs longer for an answer.
    assert (blues.within[float("inf")], greens.within[float("inf")]) == (2, 1)


async def test_many_clients_at_once_each_get_their_own_answer_of_two_backends_that_share_them(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.001)
        writer.write(answer(received.target.encode()))

    async with backend(talk) as one, backend(talk) as two, start(orders=to(one, two)) as gateway:

        async def ask(number: int) -> None:
            found: httpx.Response = await gateway.http.get(f"/orders/{number}")
            assert found.text == f"/orders/{number}"

        await asyncio.gather(*(ask(number) for number in range(100)))
        assert len(one.got) == len(two.got) == 50


async def test_a_backend_has_no_more_requests_than_connections_and_polite_ones_are_used_again(start: Start) -> None:
    async with backend(polite) as orders, start(orders=to(orders)) as gateway:
        before = orders.connections
        for _ in range(20):
            await gateway.http.get("/orders")
        assert orders.connections - before < 8  # some of them asked /readyz
