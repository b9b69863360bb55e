"""Behind a real sidecar: what happens when parts are killed, who may come in, and who takes events when."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.parts import need
from tests.patience import until
from tests.product.adapters.dapr.apps import APP_TOKEN, ORGANIZER, App
from tests.product.contracts.test_event_bus import Service, notes

from cludale_operations.local.daprd import Broker
from cludale_operations.local.nats import Nats

SECONDS = 40
ORGANIZERS = {"authorization": f"Bearer {ORGANIZER}"}


@pytest.fixture
async def app(nats: Nats, tmp_path: Path) -> AsyncIterator[App]:
    need("daprd")
    opened = App(tmp_path, Broker.NATS, nats.url, secrets={"organizer-key": "from the store"})
    yield opened
    await opened.stop()


async def test_a_sidecar_that_is_killed_and_comes_back_loses_nothing(app: App) -> None:
    service = Service("one")
    await app.start([service.subscription])
    names = [f"{i}" for i in range(300)]

    async def publish_all() -> None:
        """As the relay does: what is not taken is published again."""
        for start in range(0, 300, 20):
            left = notes(*names[start : start + 20])
            while left:
                taken = await app.bus.publish(left)
                left = [entry for entry, ok in zip(left, taken, strict=True) if not ok]
                await asyncio.sleep(0.05)

    publishing = asyncio.create_task(publish_all())
    for _ in range(2):
        await asyncio.sleep(0.4)
        await app.daprd.kill()
        await app.daprd.start()
    await publishing
    await until(lambda: service.notes == set(names), seconds=SECONDS)
    assert await app.dead() == []


async def test_who_does_not_show_the_tokens_delivers_and_switches_nothing(app: App) -> None:
    service = Service("one")
    await app.start([service.subscription])
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}") as http:
        for headers in ({}, {"dapr-api-token": "wrong"}, ORGANIZERS):
            for method, path in (
                ("GET", "/dapr/subscribe"),
                ("POST", "/dapr/events/order-events"),
                ("POST", "/dapr/dead-letters"),
            ):
                answer = await http.request(method, path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.json()["type"].endswith("/not-from-the-sidecar")
        # says that it comes by invocation, and doesn't
        caller = {**ORGANIZERS, "dapr-caller-app-id": "orders"}
        assert (await http.get("/-/consume", headers=caller)).status_code == 401
        assert (await http.get("/-/consume", headers={**caller, "dapr-api-token": APP_TOKEN})).status_code == 200
        assert (await http.put("/-/consume", json={"consume": False})).status_code == 401
    assert service.notes == set()


async def test_events_wait_until_they_are_wanted(app: App) -> None:
    service = Service("one")
    app.consumption.wanted = False
    await app.start([service.subscription])
    assert all(await app.bus.publish(notes("early")))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}", headers=ORGANIZERS) as http:
        assert (await http.get("/dapr/healthz")).status_code == 503
        assert (await http.get("/readyz")).status_code == 200
        await asyncio.sleep(1.5)
        assert service.notes == set()
        assert (await http.put("/-/consume", json={"consume": True})).json() == {"consume": True}
        await until(lambda: service.notes == {"early"}, seconds=SECONDS)
        assert (await http.put("/-/consume", json={"consume": False})).json() == {"consume": False}
        assert (await http.put("/-/consume", json={"consume": "x"})).status_code == 422
        await asyncio.sleep(5)  # three failed looks, a second apart
        assert all(await app.bus.publish(notes("later")))
        await asyncio.sleep(1)
        assert service.notes == {"early"}
        assert (await http.get("/-/consume")).json() == {"consume": False}


async def test_secrets_come_from_the_store_of_the_sidecar(app: App) -> None:
    await app.start([Service("one").subscription])
    assert await app.sidecar.secret("secrets", "organizer-key") == "from the store"
    assert await app.sidecar.secret("secrets", "token-key") is None
    assert await app.sidecar.secret("secrets", "not-for-apps") is None


async def test_a_sidecar_is_waited_for_and_its_absence_is_said(app: App, caplog: pytest.LogCaptureFixture) -> None:
    waiting = asyncio.create_task(app.sidecar.wait(0.3))
    await asyncio.sleep(1)
    assert "no healthy Dapr sidecar at 127.0.0.1" in caplog.text
    assert not waiting.done()
    await app.start([Service("one").subscription])
    await asyncio.wait_for(waiting, SECONDS)
