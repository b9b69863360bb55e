"""The audit log in a state store, behind the real sidecar. What `Records` promises: tests/product/contracts/."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.events import delivered
from tests.fakes import NOON, ManualClock
from tests.parts import need
from tests.product.adapters.cosmos.double import running_double
from tests.product.adapters.dapr.state.parts import (
    STORES,
    StateComponent,
    StateSidecar,
    component_over,
    in_double,
    in_postgres,
    running_state_sidecar,
    state_sidecar,
)
from tests.product.contracts.samples import CODEC, KINDS, ORDER, key, noted, of, order

from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.adapters.dapr.state import DIALECTS, NoOutbox, StateStore
from cludale.kernel.events import Cause
from cludale.kernel.wire import Codec
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import COMMITTED, Query, StoreUnavailable
from cludale.services.audit import store as audit_store
from cludale.services.audit.service import Audit
from cludale.services.audit.store import Filter
from cludale.services.catalogue import CATALOGUE
from cludale.services.orders.events import OrderPlaced
from cludale.web.http1 import ClientResponse as HttpAnswer
from cludale.wiring.stores import sorted_by
from cludale_operations.local.daprd import COMPONENTS, Broker, Daprd
from cludale_operations.local.nats import Nats
from cludale_operations.local.services import ServiceProcess

pytestmark = pytest.mark.slow

KEY = "organizer-key"


@pytest.fixture(params=STORES)
def component(request: pytest.FixtureRequest) -> StateComponent | None:
    return component_over(request.param, request)


@pytest.fixture
async def daprd(component: StateComponent | None, tmp_path: Path) -> AsyncIterator[StateSidecar]:
    async with running_state_sidecar(tmp_path, component) as sidecar:
        yield sidecar


@pytest.fixture
async def durable(tmp_path: Path, database_url: str) -> AsyncIterator[StateSidecar]:
    async with state_sidecar(tmp_path, in_postgres(database_url)).running() as sidecar:
        yield sidecar


def log_in(daprd: StateSidecar) -> StateStore:
    return StateStore(
        Sidecar(daprd.http_port, None),
        "state",
        audit_store.KINDS,
        Codec(CATALOGUE),
        ranged=sorted_by(audit_store.KINDS),
        type=daprd.type,
    )


def placed(number: int) -> Delivery:
    event = OrderPlaced(order_id=f"o{number % 7}", concert_id="c1", user_id="u", quantity=1, section=None)
    # A sidecar delivers in any order; a story goes by time.
    return delivered(event, f"e{number}", at=NOON + timedelta(seconds=number))


async def recorded(audit: Audit) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        entries, page = await audit.events(Filter(), after=after)
        found += [entry.event_id for entry in entries]
        if (after := page.next) is None:
            return found


async def test_a_commit_with_events_is_refused_whole(daprd: StateSidecar) -> None:
    store = StateStore(Sidecar(daprd.http_port, None), "state", KINDS, CODEC, type=daprd.type)
    with pytest.raises(NoOutbox, match="no outbox, and this commit has events: OrderNoted"):
        await store.commit([of(order("a"), events=(noted("e"),))])
    assert await store.get(ORDER, [key("a")]) == {}
    assert list(await store.pending(0, 10)) == []
    await store.close()


async def test_two_replicas_record_everything_once_in_one_chain(daprd: StateSidecar) -> None:
    stores = [log_in(daprd), log_in(daprd)]
    audits = [Audit(store, ManualClock(), commit_limit=DIALECTS[daprd.type].sure_operations) for store in stores]

    async def record(audit: Audit, numbers: Sequence[int]) -> None:
        for at in range(0, len(numbers), 8):
            waiting = [placed(number) for number in numbers[at : at + 8]]
            while waiting:
                answers = await audit.handle(waiting)
                waiting = [
                    each for each, said in zip(waiting, answers, strict=True) if said is not Acknowledgement.SUCCESS
                ]

    # half of what each hears the other hears, too
    await asyncio.gather(record(audits[0], range(80)), record(audits[1], range(40, 120)))
    assert sorted(await recorded(audits[0])) == sorted(f"e{number}" for number in range(120))
    verdict = await audits[1].verify()
    assert (verdict.ok, verdict.events) == (True, 120)
    for store in stores:
        await store.close()


async def test_the_log_is_asked_by_type_order_concert_and_time(daprd: StateSidecar) -> None:
    store = log_in(daprd)
    audit = Audit(store, ManualClock(), commit_limit=DIALECTS[daprd.type].sure_operations)
    await audit.handle([placed(number) for number in range(40)])
    of_one, _ = await audit.events(Filter(type="OrderPlaced", order_id="o3", concert_id="c1"))
    assert [each.event_id for each in of_one] == [f"e{number}" for number in range(3, 40, 7)]
    first, page = await audit.events(Filter(since=NOON), limit=30)
    rest, _ = await audit.events(Filter(since=NOON), after=page.next, limit=30)
    assert len({each.event_id for each in [*first, *rest]}) == 40
    assert (await audit.events(Filter(until=NOON)))[0] == []
    assert len(await audit.story("o3")) == 6
    await store.close()


class Forgetful(Sidecar):
    """Passes everything on, and loses the answers to the first transactions."""

    def __init__(self, port: int, *, lost: int) -> None:
        super().__init__(port, None)
        self.lost = lost

    async def ask(self, method: str, path: str, body: bytes = b"", **how: Any) -> HttpAnswer:
        answer = await super().ask(method, path, body, **how)
        if path.endswith("/transaction") and self.lost:
            self.lost -= 1
            raise SidecarAway("lost")
        return answer


async def test_a_transaction_whose_answer_was_lost_is_known_again(daprd: StateSidecar) -> None:
    store = StateStore(Forgetful(daprd.http_port, lost=1), "state", KINDS, CODEC, type=daprd.type)
    assert list(await store.commit([of(order("a"))])) == [COMMITTED]
    assert (await store.get(ORDER, [key("a")]))["a"].version == 1
    await store.close()


async def test_a_probe_writes_and_changes_no_record(daprd: StateSidecar) -> None:
    one, two = log_in(daprd), log_in(daprd)
    await asyncio.gather(*(store.probe() for store in (one, two) * 3))
    assert (await one.find(audit_store.KINDS[0], Query())).items == []
    await daprd.kill()
    with pytest.raises(StoreUnavailable, match="sidecar"):
        await one.probe()
    await one.close()
    await two.close()


async def test_a_state_store_that_is_not_there_is_said(daprd: StateSidecar) -> None:
    store = StateStore(Sidecar(daprd.http_port, None), "stat", KINDS, CODEC, type=daprd.type)
    with pytest.raises(StoreUnavailable, match="ERR_STATE_STORE_NOT_FOUND"):
        await store.get(ORDER, [key("a")])
    await store.close()


async def test_a_sidecar_that_is_killed_loses_nothing_and_doubles_nothing(durable: StateSidecar) -> None:
    store = log_in(durable)
    audit = Audit(store, ManualClock(), commit_limit=DIALECTS[durable.type].sure_operations)
    ended = asyncio.Event()

    async def trouble() -> None:
        for _ in range(2):
            await asyncio.sleep(0.5)
            await durable.kill()
            await durable.start()
        ended.set()

    async def record() -> int:
        number = 0
        while not ended.is_set():
            waiting = [placed(each) for each in range(number, number + 5)]
            while waiting:
                with contextlib.suppress(StoreUnavailable):  # the bus delivers again
                    answers = await audit.handle(waiting)
                    waiting = [
                        each for each, said in zip(waiting, answers, strict=True) if said is not Acknowledgement.SUCCESS
                    ]
            number += 5
        return number

    _, count = await asyncio.gather(trouble(), record())
    assert count > 10
    assert sorted(await recorded(audit)) == sorted(f"e{number}" for number in range(count))
    verdict = await audit.verify()
    assert (verdict.ok, verdict.events) == (True, count)
    await store.close()


@contextlib.asynccontextmanager
async def behind_sidecars(
    nats: Nats, component: StateComponent, tmp_path: Path
) -> AsyncIterator[tuple[Daprd, ServiceProcess]]:
    """Audit in a process of its own over the state store, and the sidecar of an app that publishes as orders does."""
    need("daprd")
    secrets = {"broker-url": nats.url, **component.secrets}
    shutil.copytree(COMPONENTS / "common", common := tmp_path / "common")
    (common / "state.yaml").write_text(component.yaml)
    resources = [common, COMPONENTS / Broker.NATS]
    audit_sidecar = Daprd(
        "audit", tmp_path / "audit", resources=resources, secrets=secrets, api_token="asked", app_token="shown"
    )
    environment = audit_sidecar.environment | {
        "CLUDALE_DAPR": "1",
        "CLUDALE_AUDIT_STATE": "state",
        "CLUDALE_STATE_TYPE": component.type,
        "CLUDALE_DATA_DIR": str(tmp_path / "data"),
        "CLUDALE_ORGANIZER_KEY": KEY,
    }
    service = ServiceProcess("audit", "audit", tmp_path / "audit.log", environment)
    audit_sidecar.app_port = service.port
    orders_sidecar = Daprd("orders", tmp_path / "orders", resources=resources, secrets=secrets)
    async with orders_sidecar.running(), audit_sidecar.running(), service.running():
        yield orders_sidecar, service


async def publish(sidecar: Daprd, deliveries: Sequence[Delivery]) -> None:
    async with httpx.AsyncClient(base_url=sidecar.url, timeout=20) as publisher:
        for each in deliveries:
            answer = await publisher.post(
                "/v1.0/publish/events/order-events?metadata.rawPayload=true",
                content=each.body,
                headers={"content-type": "application/cloudevents+json"},
            )
            assert answer.status_code == 204, answer.text


async def verdict_of(http: httpx.AsyncClient, *, events: int, waiting: int = 0) -> dict[str, Any]:
    """What verifying says, once so many events are recorded and so many wait."""
    async with asyncio.timeout(30):
        while True:
            verdict: dict[str, Any] = (await http.get("/audit/verify")).json()
            if verdict["events"] == events and verdict["waiting"] == waiting:
                return verdict
            await asyncio.sleep(0.05)


async def test_a_backlog_behind_a_broker_is_recorded_causes_first(
    nats: Nats, database_url: str, tmp_path: Path
) -> None:
    async with (
        behind_sidecars(nats, in_postgres(database_url), tmp_path) as (orders, audit),
        httpx.AsyncClient(base_url=audit.url, headers={"authorization": f"Bearer {KEY}"}, timeout=20) as http,
    ):
        await publish(orders, [after(number, f"e{number}", attempt=1) for number in range(200)])
        assert (await verdict_of(http, events=0, waiting=200))["ok"]
        await publish(orders, [placed(number) for number in range(200)])
        verdict = await verdict_of(http, events=400)
        assert (verdict["ok"], verdict["late"]) == (True, 0)
        place: dict[str, int] = {}
        cursor = None
        while True:
            page = (
                await http.get("/audit/events", params={"limit": 100} | ({"after": cursor} if cursor else {}))
            ).json()
            place |= {each["eventId"]: each["sequence"] for each in page["items"]}
            if (cursor := page["next"]) is None:
                break
        assert all(place[f"e{number}"] < place[f"f{number}"] for number in range(200))
        assert (await http.get("/audit/-/dead-letters")).json()["items"] == []


async def test_audit_runs_on_it_behind_its_sidecar_and_answers_its_routes(
    nats: Nats, component: StateComponent | None, tmp_path: Path
) -> None:
    async with (
        running_double() as double,
        behind_sidecars(nats, component or in_double(double), tmp_path) as (orders, service),
    ):
        await publish(orders, [placed(number) for number in range(20)])
        async with httpx.AsyncClient(
            base_url=service.url, headers={"authorization": f"Bearer {KEY}"}, timeout=20
        ) as http:
            assert (await verdict_of(http, events=20))["ok"] is True
            page = (await http.get("/audit/events", params={"type": "OrderPlaced", "limit": 15})).json()
            rest = (
                await http.get("/audit/events", params={"type": "OrderPlaced", "limit": 15, "after": page["next"]})
            ).json()
            assert [each["sequence"] for each in [*page["items"], *rest["items"]]] == list(range(1, 21))
            timed = await http.get("/audit/events", params={"since": NOON.isoformat()})
            assert len(timed.json()["items"]) == 20, timed.text
            story = (await http.get("/audit/orders/o3")).json()
            assert [each["eventId"] for each in story["items"]] == ["e3", "e10", "e17"]
            assert (await http.get("/audit/orders/nobody")).status_code == 404
            assert (await http.get("/audit/-/dead-letters")).json()["items"] == []


def after(number: int, cause: str, *, attempt: int) -> Delivery:
    event = OrderPlaced(order_id=f"o{number}", concert_id="c1", user_id="u", quantity=1, section=None)
    return msgspec.structs.replace(delivered(event, f"f{number}", cause=Cause(cause)), attempt=attempt)


async def test_what_comes_before_its_cause_waits_in_the_state_store(daprd: StateSidecar) -> None:
    clock = ManualClock()
    audit = Audit(log_in(daprd), clock, wait_seconds=60)
    effects = [after(number, f"e{number}", attempt=2) for number in range(4)]
    assert await audit.handle(effects) == [Acknowledgement.SUCCESS] * 4
    assert await audit.handle([placed(1), placed(2)]) == [Acknowledgement.SUCCESS] * 2
    assert await audit.sweep() == 0
    assert await recorded(audit) == ["e1", "e2", "f1", "f2"]
    clock.advance(61)
    assert await audit.sweep() == 2
    assert sorted((await recorded(audit))[4:]) == ["f0", "f3"]
    verdict = await audit.verify()
    assert (verdict.ok, verdict.late, verdict.waiting) == (True, 2, 0)
