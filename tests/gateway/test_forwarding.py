"""Requests through the gateway to backends on real sockets."""

import asyncio

import httpx
import pytest
from tests.gateway.backends import Received, answer, backend, polite
from tests.gateway.conftest import QUICK, Start, to

from cludale.release.prometheus import samples, total


async def test_each_path_goes_to_the_service_whose_it_is(start: Start) -> None:
    async with backend() as orders, backend() as concerts:
        async with start(orders=to(orders), concerts=to(concerts)) as gateway:
            assert (await gateway.http.get("/orders/o1?wait=2")).status_code == 200
            assert (await gateway.http.get("/concerts")).status_code == 200
            assert (await gateway.http.get("/%63oncerts/c1")).status_code == 200
        assert [each.target for each in orders.got] == ["/orders/o1?wait=2"]
        assert [each.target for each in concerts.got] == ["/concerts", "/%63oncerts/c1"]


@pytest.mark.parametrize("path", ["/nothing", "/dapr/subscribe", "/ordersx", "/-/routes", "//orders", "/docs/passwd"])
async def test_what_no_manifest_knows_is_not_there(start: Start, path: str) -> None:
    async with start() as gateway:
        found = await gateway.raw(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert found.startswith(b"HTTP/1.1 404 ")
        assert b"/problems/no-such-route" in found


async def test_a_request_arrives_as_it_was_sent_and_says_who_sent_it(start: Start) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with backend() as orders, start(orders=to(orders)) as gateway:
        headers = {
            "traceparent": trace,
            "idempotency-key": "k1",
            "authorization": "Bearer b",
            "host": "tickets.example",
        }
        found = await gateway.http.post("/orders", json={"a": 1}, headers=headers)
    assert found.json() == {"ok": True}
    (got,) = orders.got
    assert (got.method, got.target, got.body) == ("POST", "/orders", b'{"a":1}')
    assert got.all("traceparent") == [trace]
    assert got.all("idempotency-key") == ["k1"]
    assert got.all("authorization") == ["Bearer b"]
    assert got.all("host") == ["tickets.example"]
    assert got.all("x-forwarded-host") == ["tickets.example"]
    assert got.all("x-forwarded-for") == ["127.0.0.1"]
    assert got.all("x-forwarded-proto") == ["http"]
    assert got.all("via") == ["1.1 cludale"]


async def test_what_a_client_says_of_its_way_here_counts_for_nothing(start: Start) -> None:
    async with backend() as orders, start(orders=to(orders)) as gateway:
        await gateway.http.get(
            "/orders", headers={"x-forwarded-for": "6.6.6.6", "forwarded": "for=6.6.6.6", "x-real-ip": "6.6.6.6"}
        )
    (got,) = orders.got
    assert got.all("x-forwarded-for") == ["127.0.0.1"]
    assert got.all("forwarded") == got.all("x-real-ip") == []


async def test_hop_by_hop_headers_stay_here(start: Start) -> None:
    async def talk(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"{}", "200 OK", "connection: x-hop", "keep-alive: timeout=9", "x-hop: 1", "x-end: 2"))

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        found = await gateway.raw(
            b"GET /orders HTTP/1.1\r\nhost: x\r\nconnection: close, x-mine\r\nx-mine: 1\r\nte: trailers\r\n"
            b"x-yours: 2\r\nproxy-authorization: p\r\n\r\n"
        )
    (got,) = orders.got
    assert got.all("x-yours") == ["2"]
    assert not [name for name, _ in got.headers if name in ("connection", "x-mine", "te", "proxy-authorization")]
    assert b"x-end: 2" in found
    assert b"x-hop" not in found
    assert b"keep-alive" not in found


async def test_a_connection_to_a_backend_is_used_again(start: Start) -> None:
    limits = QUICK._replace(check_every_seconds=60)
    async with backend() as orders, start(orders=to(orders), limits=limits) as gateway:
        for _ in range(20):
            await gateway.http.get("/orders")
        assert orders.connections == 2  # one of them asked /readyz


async def test_requests_sent_ahead_are_answered_in_their_order(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05 if received.target == "/orders/0" else 0)
        writer.write(answer(received.target.encode()))

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        ahead = b"".join(b"GET /orders/%d HTTP/1.1\r\nhost: x\r\n\r\n" % each for each in range(30))
        found = await gateway.raw(ahead + b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert [int(each) for each in _after(found, b"/orders/")] == list(range(30))
    assert found.endswith(b'{"status":"ok"}')


def _after(data: bytes, mark: bytes) -> list[bytes]:
    return [part[: len(part) - len(part.lstrip(b"0123456789"))] for part in data.split(mark)[1:]]


async def test_a_long_poll_is_waited_for(start: Start) -> None:
    async def talk(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(answer())

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        polls = [gateway.http.get("/orders/o1?wait=30") for _ in range(20)]
        assert {each.status_code for each in await asyncio.gather(*polls)} == {200}


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhe", b"llo"],
        [b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"],
        [b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\nhe", b"llo", b""],
        [b"HTTP/1.0 201 Created\r\nContent-Length: 5\r\n\r\nhello"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"],
        [b"HTTP", b"/1.1 201 Created\r\nconten", b"t-length: 5\r\n\r\nhello"],
    ],
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
            assert found.headers["content-length"] == "5"
            assert "transfer-encoding" not in found.headers


async def test_head_and_no_content_have_no_body(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.method == "HEAD":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with backend(talk) as orders, start(orders=to(orders)) as gateway:
        head = await gateway.http.head("/orders")
        assert (head.status_code, head.headers["content-length"]) == (200, "77")
        gone = await gateway.http.delete("/orders/o1")
        assert gone.status_code == 204
        assert "content-length" not in gone.headers
        assert (await gateway.http.head("/livez")).status_code == 200


async def test_large_answers_pass_and_larger_ones_are_refused(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"x" * int(received.target.rpartition("=")[2])))

    async with backend(talk) as orders, start(orders=to(orders), limits=QUICK._replace(answer_seconds=5)) as gateway:
        large = await gateway.http.get("/orders?size=8000000")
        assert len(large.content) == 8_000_000
        assert (await gateway.http.get("/orders?size=17000000")).status_code == 502


async def test_the_pages_of_all_services_are_the_gateways_own(start: Start) -> None:
    async with start() as gateway:
        openapi = (await gateway.http.get("/openapi.json")).json()
        assert {"/concerts", "/orders", "/payments", "/notifications", "/audit/events"} <= set(openapi["paths"])
        front = await gateway.http.get("/")
        assert "audit" in front.text
        assert front.headers["content-security-policy"].startswith("default-src 'self'")
        assert "swagger" in (await gateway.http.get("/docs")).text
        assert (await gateway.http.get("/docs/swagger-ui.css")).headers["content-type"].startswith("text/css")
        for name in ("seats-unavailable", "broke-off", "no-answer-in-time", "no-backend"):
            assert f"/problems/{name}" in (await gateway.http.get("/problems")).text
            assert (await gateway.http.get(f"/problems/{name}")).status_code == 200
        wrong = await gateway.http.post("/docs", json={})
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_the_gateway_is_ready_when_every_service_is(start: Start) -> None:
    async with backend() as one:
        four = {name: to(one) for name in ("concerts", "payments", "notifications", "audit")}
        async with start(**four) as gateway:
            waiting = await gateway.http.get("/readyz")
            assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "1")
            assert "orders" in waiting.json()["detail"]
            assert (await gateway.put("orders", to(one))).status_code == 200
            assert (await gateway.http.get("/readyz")).json() == {"status": "ready"}
            assert (await gateway.http.get("/livez")).status_code == 200


async def test_metrics_are_the_gateways_or_those_of_a_service_or_of_one_backend(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(f"mine {received.target}".encode()))

    async with backend() as blue, backend(talk) as green, start(orders=to(blue, green, blue=100, green=0)) as gateway:
        await gateway.http.get("/orders")
        await gateway.http.get("/orders", headers={"x-cludale-label": "green"})
        own = (await gateway.http.get("/metrics")).text
        assert 'cludale_gateway_requests_total{revision="blue",service="orders",status="200"} 1.0' in own
        assert f'cludale_gateway_backend_ready{{backend="127.0.0.1:{green.port}"' in own
        assert (await gateway.http.get("/metrics/orders")).json() == {"ok": True}
        by_label = await gateway.http.get("/metrics/orders", headers={"x-cludale-label": "green"})
        assert by_label.text == "mine /metrics"
        assert (await gateway.http.get(f"/metrics/orders/127.0.0.1:{green.port}")).text == "mine /metrics"
        assert (await gateway.http.get("/metrics/orders/127.0.0.1:1")).status_code == 404
        assert (await gateway.http.get("/metrics/nothing")).status_code == 404


async def test_who_asks_to_be_kept_waiting_is_counted_but_not_timed(start: Start) -> None:
    async def slow(received: Received, writer: asyncio.StreamWriter) -> None:
        if "wait=" in received.target:
            await asyncio.sleep(0.12)
        writer.write(answer())

    async with backend(slow) as orders, start(orders=to(orders, blue=100)) as gateway:
        for path in ("/orders/o1", "/orders/o1?wait=2", "/orders/o1?a=b&wait=2"):
            assert (await gateway.http.get(path)).status_code == 200
        found = samples((await gateway.http.get("/metrics")).text)
    of_it = {"service": "orders", "revision": "blue"}
    assert total(found, "cludale_gateway_requests_total", status="200", **of_it) == 3
    assert total(found, "cludale_gateway_request_seconds_bucket", le="0.1", **of_it) == 1
    assert total(found, "cludale_gateway_request_seconds_count", **of_it) == 1


async def test_many_clients_at_once_each_get_their_own_answer(start: Start) -> None:
    async def talk(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.001)
        writer.write(answer(received.target.encode()))

    async with backend(talk) as one, backend(talk) as two, start(orders=to(one, two)) as gateway:

        async def ask(number: int) -> None:
            found: httpx.Response = await gateway.http.get(f"/orders/{number}")
            assert found.text == f"/orders/{number}"

        await asyncio.gather(*(ask(number) for number in range(100)))
        assert abs(len(one.got) - len(two.got)) < 20


async def test_two_backends_share_the_requests(start: Start) -> None:
    async with backend(polite) as one, backend(polite) as two, start(orders=to(one, two)) as gateway:
        for _ in range(20):
            await gateway.http.get("/orders")
        assert len(one.got) == len(two.got) == 10
