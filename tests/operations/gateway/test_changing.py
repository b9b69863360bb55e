"""Weights, labels, and changes of the routes while requests are under way."""

import asyncio
import random
from collections import Counter

import msgspec
import pytest
from tests.operations.gateway.backends import Received, answer, backend
from tests.operations.gateway.conftest import Running, Start, to
from tests.patience import until

from cludale_operations.gateway.routes import BackendRoute, Routes, ServiceRoutes, Traffic
from cludale_operations.gateway.runtime import GatewayRefused

pytestmark = pytest.mark.slow


async def slowly(_: Received, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.5)
    writer.write(answer())


async def test_of_any_hundred_requests_each_revision_gets_its_weight_or_one_more_or_less(start: Start) -> None:
    async with backend() as blue, backend() as green, start(orders=to(blue, green, blue=95, green=5)) as gateway:
        for _ in range(100):
            await gateway.http.get("/orders")
        assert len(blue.got) + len(green.got) == 100
        assert abs(len(green.got) - 5) <= 1


async def test_a_label_picks_its_revision_whatever_its_weight_and_never_another(start: Start) -> None:
    async with backend() as blue, backend() as green, start(orders=to(blue, green, blue=100, green=0)) as gateway:
        for _ in range(5):
            found = await gateway.http.get("/orders", headers={"x-cludale-label": "green"})
            assert found.headers["x-cludale-revision"] == "green"
        assert (await gateway.http.get("/orders")).headers["x-cludale-revision"] == "blue"
        assert (len(blue.got), len(green.got)) == (1, 5)
        assert green.got[0].all("x-cludale-label") == []
        await green.stop()
        gone = await gateway.http.get("/orders", headers={"x-cludale-label": "green"})
        assert (gone.status_code, gone.json()["type"]) == (503, "/problems/no-backend")
        unknown = await gateway.http.get("/orders", headers={"x-cludale-label": "red"})
        assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/no-such-label")
        assert len(blue.got) == 1


async def test_what_a_dead_revision_did_not_get_another_with_weight_does(start: Start) -> None:
    async with (
        backend() as blue, backend() as green, backend() as grey,
        start(orders=to(blue, green, grey, blue=50, green=50, grey=0)) as gateway,
    ):  # fmt: skip
        await green.stop()
        assert {(await gateway.http.post("/orders", json={})).status_code for _ in range(10)} == {200}
        await blue.stop()
        assert (await gateway.http.post("/orders", json={})).status_code == 503
        assert grey.got == []


async def test_a_backend_taken_out_finishes_what_it_has(start: Start) -> None:
    async with backend(slowly) as old, backend() as new, start(orders=to(old)) as gateway:
        asked = [asyncio.create_task(gateway.http.post("/orders", json={})) for _ in range(10)]
        await until(lambda: len(old.got) == 10)
        await gateway.put("orders", to(new))
        assert (await gateway.http.get("/orders")).status_code == 200
        assert {each.status_code for each in await asyncio.gather(*asked)} == {200}
        assert len(old.got) == 10
        status = await asyncio.to_thread(gateway.control.status)
        assert [each.url for each in status["orders"].backends] == [new.url]
        await gateway.put("orders", to(old))
        assert (await gateway.http.get("/orders")).status_code == 200, "it can come back"
        assert len(old.got) == 11


async def test_switches_under_load_fail_no_request_of_clients_that_stay_connected(start: Start) -> None:
    """Some ask without a pause, some keep their connection unused for a while, as browsers and app servers do."""
    found: Counter[object] = Counter()
    is_over = False

    async def buy(gateway: Running, number: int) -> None:
        pauses = random.Random(number)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        while not is_over:
            writer.write(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"ok":true}'))
            found[head[9:12]] += 1
            assert b"connection: close" not in head.lower(), "nobody was sent away"
            await asyncio.sleep(pauses.choice([0, 0, 0.002, 0.02, 0.3]))
        writer.close()

    async def quickly(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.005)
        writer.write(answer())

    async with backend(quickly) as blue, backend(quickly) as green, start(orders=to(blue, blue=100)) as gateway:
        buyers = [asyncio.create_task(buy(gateway, number)) for number in range(24)]
        for _ in range(3):
            for weight in (0, 5, 25, 50, 100):
                await gateway.put("orders", to(blue, green, blue=100 - weight, green=weight))
                await asyncio.sleep(0.05)
            await gateway.put("orders", to(green, green=100))
            await asyncio.sleep(0.05)
            await gateway.put("orders", to(blue, green, blue=0, green=100))
            await gateway.put("orders", to(blue, blue=100))
        is_over = True
        await asyncio.gather(*buyers)
        assert set(found) == {b"200"}
        assert found.total() == len(blue.got) + len(green.got)
        assert min(len(blue.got), len(green.got)) > 0


async def test_new_routes_outlive_the_gateway(start: Start) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        wanted = to(one, blue=100)
        assert await gateway.put("orders", wanted) == wanted
        kept = msgspec.json.decode(gateway.file.read_bytes(), type=Routes)
        assert kept.services["orders"] == wanted
        assert list(gateway.file.parent.glob(".*")) == []


async def test_a_new_backend_gets_nothing_before_it_is_ready_and_is_ready_when_the_change_is_done(start: Start) -> None:
    async with backend() as old, backend() as new, backend() as newest, start(orders=to(old)) as gateway:
        await gateway.put("orders", to(new))
        assert (await gateway.http.get("/orders")).status_code == 200
        newest.is_ready = False
        await gateway.put("orders", to(new, newest))
        for _ in range(6):
            assert (await gateway.http.get("/orders")).status_code == 200
        assert newest.got == []


async def test_changes_of_many_at_once_all_count(start: Start) -> None:
    async with start() as gateway:

        def add(number: int) -> None:
            route = BackendRoute(f"http://127.0.0.1:{number}")
            gateway.control.change("orders", lambda routes: ServiceRoutes((*routes.backends, route)))

        await asyncio.gather(*(asyncio.to_thread(add, number) for number in range(1, 4)))
        assert len(gateway.control.service("orders").backends) == 3


@pytest.mark.parametrize(
    ("routes", "why"),
    [
        (ServiceRoutes((BackendRoute("ftp://x:1"),)), "expected http://host:port"),
        (ServiceRoutes((), (Traffic("a", 100),)), "no backend"),
        (ServiceRoutes((BackendRoute("http://h:1", "a"), BackendRoute("http://h:2"))), "who of a, main gets"),
        (ServiceRoutes((BackendRoute("http://h:1"), BackendRoute("http://h:1"))), "twice"),
        (ServiceRoutes((BackendRoute("http://h:1"),), (Traffic("main", 99),)), "the weights make 99"),
        (
            ServiceRoutes((BackendRoute("http://h:1"),), (Traffic("main", 100, "blue"), Traffic("b", 0, "blue"))),
            "same label",
        ),
    ],
)  # fmt: skip
async def test_routes_that_cannot_be_are_refused_and_change_nothing(
    start: Start, routes: ServiceRoutes, why: str
) -> None:
    async with start() as gateway:
        before = gateway.file.read_bytes()
        with pytest.raises(GatewayRefused, match=why):
            await gateway.put("orders", routes)
        with pytest.raises(GatewayRefused, match="no service nothing"):
            await gateway.put("nothing", ServiceRoutes())
        assert gateway.file.read_bytes() == before
