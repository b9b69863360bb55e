"""Weights, labels, and changes of the routes while requests are under way."""

import asyncio
import stat

import httpx
import msgspec
import pytest
from tests.gateway.backends import Backend, Received, answer, backend
from tests.gateway.conftest import QUICK, TOKEN, Running, Start, to
from tests.patience import until

from cludale.gateway.control import Control, GatewayRefused, RoutesChangedMeanwhile
from cludale.gateway.routes import Routes, ServiceRoutes, Traffic


async def slowly(_: Received, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.2)
    writer.write(answer())


async def test_of_any_hundred_requests_each_revision_gets_its_weight(start: Start) -> None:
    async with backend() as blue, backend() as green, start(orders=to(blue, green, blue=95, green=5)) as gateway:
        for _ in range(100):
            await gateway.http.get("/orders")
        assert (len(blue.got), len(green.got)) == (95, 5)


async def test_a_label_picks_its_revision_whatever_its_weight(start: Start) -> None:
    async with backend() as blue, backend() as green, start(orders=to(blue, green, blue=100, green=0)) as gateway:
        for _ in range(5):
            found = await gateway.http.get("/orders", headers={"x-cludale-label": "green"})
            assert found.headers["x-cludale-revision"] == "green"
        await gateway.http.get("/orders")
        assert (len(blue.got), len(green.got)) == (1, 5)
        assert green.got[0].all("x-cludale-label") == []


async def test_a_label_never_falls_back_to_another_revision(start: Start) -> None:
    async with backend() as blue, backend() as green, start(orders=to(blue, green, blue=50, green=50)) as gateway:
        await green.stop()
        found = await gateway.http.get("/orders", headers={"x-cludale-label": "green"})
        assert found.status_code == 503
        unknown = await gateway.http.get("/orders", headers={"x-cludale-label": "red"})
        assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/no-such-label")
        assert blue.got == []


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
        assert (await gateway.put("orders", to(new))).status_code == 200
        draining = (await gateway.admin.get("/-/status")).json()["orders"]["draining"]
        assert [each["in_flight"] for each in draining] == [10]
        assert (await gateway.http.get("/orders")).status_code == 200
        assert {each.status_code for each in await asyncio.gather(*asked)} == {200}
        await until(lambda: gateway.gateway.status()["orders"].draining == [])
        assert len(old.got) == 10
        await until(lambda: len(old.open) == 0)


async def test_changing_weights_under_load_loses_nothing(start: Start) -> None:
    async with backend() as blue, backend() as green, start(orders=to(blue, green, blue=100, green=0)) as gateway:
        is_over = False
        statuses: list[int] = []

        async def buy() -> None:
            async with httpx.AsyncClient(base_url=gateway.http.base_url, timeout=10) as http:
                while not is_over:
                    statuses.append((await http.post("/orders", json={})).status_code)

        buyers = [asyncio.create_task(buy()) for _ in range(8)]
        for weight in (5, 25, 50, 100, 0, 100):
            assert (await gateway.put("orders", to(blue, green, blue=100 - weight, green=weight))).status_code == 200
            await asyncio.sleep(0.05)
        assert (await gateway.put("orders", to(green))).status_code == 200
        await asyncio.sleep(0.05)
        is_over = True
        await asyncio.gather(*buyers)
        assert set(statuses) == {200}
        assert len(statuses) == len(blue.got) + len(green.got)
        assert min(len(blue.got), len(green.got)) > 0


async def test_new_routes_outlive_the_gateway(start: Start) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        wanted = to(one, blue=100)
        answered = await gateway.put("orders", wanted)
        assert msgspec.json.decode(answered.content, type=ServiceRoutes) == wanted
        kept = msgspec.json.decode(gateway.file.read_bytes(), type=Routes)
        assert kept == Routes({"orders": wanted})
        assert stat.S_ISREG(gateway.file.stat().st_mode)
        assert list(gateway.file.parent.glob(".*")) == []


async def test_a_new_backend_has_been_asked_before_put_answers(start: Start) -> None:
    async with backend() as old, backend() as new, start(orders=to(old), limits=QUICK) as gateway:
        await gateway.put("orders", to(new))
        assert (await gateway.http.get("/orders")).status_code == 200


async def test_who_changes_what_somebody_else_has_changed_is_told(start: Start) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:

        def change() -> None:
            with Control(f"http://127.0.0.1:{gateway.admin_port}", TOKEN) as control:
                assert set(control.routes().services) == {"orders"}
                service, tag = control.service("orders")
                renamed = ServiceRoutes(service.backends, (Traffic("main", 100, "blue"),))
                control.put_service("orders", renamed, tag)
                assert control.service("orders")[0] == renamed
                with pytest.raises(RoutesChangedMeanwhile):
                    control.put_service("orders", service, tag)
                assert control.status()["orders"].backends[0].ready
                with pytest.raises(GatewayRefused, match="the weights make 99"):
                    control.put(Routes({"orders": ServiceRoutes(service.backends, (Traffic("main", 99),))}))

        await asyncio.to_thread(change)


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/-/routes", b'{"services": {"nothing": {}}}', "there is no nothing"),
        ("/-/routes", b'{"services": {"orders": {"backends": [{"url": "ftp://x:1"}]}}}', "wanted is http://host:port"),
        ("/-/routes", b'{"services": {"orders": {"backend": []}}}', "services[...].backend: is not known here"),
        ("/-/routes", b'{"services": {"orders": {}, "orders": {}}}', "services.orders: is there twice"),
        ("/-/routes/orders", b'{"traffic": [], "backends": [], "traffic": []}', "traffic: is there twice"),
        ("/-/routes", b"{", "truncated"),
        ("/-/routes/orders", b'{"traffic": [{"revision": "a", "weight": 100}]}', "no backend"),
        (
            "/-/routes/orders",
            b'{"backends": [{"url": "http://h:1", "revision": "a"}, {"url": "http://h:2"}]}',
            "who of a, main gets",
        ),
        ("/-/routes/orders", b'{"backends": [{"url": "http://h:1"}, {"url": "http://h:1"}]}', "twice"),
        (
            "/-/routes/orders",
            b'{"backends": [{"url": "http://h:1"}], "traffic": [{"revision": "main", "weight": 100, "label": "a"},'
            b' {"revision": "b", "label": "a"}]}',
            "same label",
        ),
    ],
)  # fmt: skip
async def test_routes_that_cannot_be_are_refused_and_change_nothing(
    start: Start, path: str, body: bytes, why: str
) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        before = (await gateway.admin.get("/-/routes")).content
        found = await gateway.admin.put(path, content=body)
        assert found.status_code == 422
        assert why in found.json()["detail"]
        assert (await gateway.admin.get("/-/routes")).content == before == gateway.file.read_bytes()


@pytest.mark.parametrize("path", ["/-/routes", "/-/routes/orders", "/-/status"])
async def test_a_field_that_nobody_reads_is_refused_where_routes_are_looked_at(start: Start, path: str) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        refused = await gateway.admin.request("GET", path, json={"service": "orders"})
        assert refused.status_code == 422
        assert [each["field"] for each in refused.json()["errors"]] == ["service"]
        assert (await gateway.admin.request("GET", path, json={})).status_code == 200


async def test_only_who_has_the_token_may_look_or_change(start: Start) -> None:
    async with start() as gateway:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            async with httpx.AsyncClient(base_url=gateway.admin.base_url, headers=headers) as http:
                found = await http.get("/-/routes")
                assert (found.status_code, found.json()["type"]) == (401, "/problems/token-needed")
        assert (await gateway.admin.get("/orders")).status_code == 404
        assert (await gateway.admin.delete("/-/routes")).status_code == 405
        assert (await gateway.admin.get("/-/routes/nothing")).status_code == 404


async def test_a_stopping_gateway_finishes_what_is_under_way(start: Start) -> None:
    async def ask(gateway: Running, one: Backend) -> "asyncio.Task[bytes]":
        request = b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        task = asyncio.create_task(gateway.raw(request))
        await until(lambda: len(one.got) == 1)
        return task

    async with backend(slowly) as one:
        async with start(orders=to(one)) as gateway:
            under_way = await ask(gateway, one)
        found = await under_way
        assert found.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in found
