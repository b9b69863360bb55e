"""The log as it is read for rebuilding, and events delivered again to those who hear them."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.fakes import NOON, ManualClock
from tests.product.services.audit.samples import CODEC, delivered, paid, placed, reserved, told
from tests.stored_log import replacing, spoil

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Envelope
from cludale.kernel.refusals import Invalid, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.services.audit import replay
from cludale.services.audit.replay import AuditLog, Redelivery, RepeatedNumber, UnreadableEntry
from cludale.services.audit.service import Audit
from cludale.services.audit.store import KINDS, Filter

LIFE = delivered(
    placed("e1"),
    reserved("e2", "e1", at=NOON + timedelta(seconds=1)),
    paid("e3", "e2", at=NOON + timedelta(seconds=2)),
    told("e4", "e3", at=NOON + timedelta(seconds=3)),
)


async def read(log: AuditLog) -> list[str]:
    return [event.id async for page in log.read() for event in page]


async def test_the_log_is_read_in_pages_and_goes_on_where_it_ended(
    audit: Audit, records: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "LOG_PAGE", 2)
    log = AuditLog(records, CODEC)
    assert await read(log) == []
    await audit.handle(LIFE[:3])
    assert await read(log) == ["e1", "e2", "e3"]
    assert await read(log) == []
    await audit.handle(LIFE[3:])
    assert await read(log) == ["e4"]


async def test_the_log_until_an_instant_ends_before_it(audit: Audit, records: SqliteStore) -> None:
    await audit.handle(LIFE)
    assert await read(AuditLog(records, CODEC, until=NOON + timedelta(seconds=2))) == ["e1", "e2"]


async def test_the_log_gives_the_events_as_they_came(audit: Audit, records: SqliteStore) -> None:
    await audit.handle(LIFE)
    events = [event async for page in AuditLog(records, CODEC).read() for event in page]
    assert events == [delivery.event for delivery in LIFE]


async def test_an_entry_that_is_no_event_any_more_is_named(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    await Audit(store, ManualClock()).handle(LIFE)
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        spoil(connection, replacing("OrderPaid", "OrderPayed", id="e3"))
    store = SqliteStore(path, KINDS, CODEC)
    with pytest.raises(UnreadableEntry, match="e3"):
        await read(AuditLog(store, CODEC))
    await store.close()


@pytest.mark.parametrize("page", [1, 2, 1_000])
async def test_a_repeated_sequence_number_is_called_that(
    path: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "LOG_PAGE", page)
    store = SqliteStore(path, KINDS, CODEC)
    await Audit(store, ManualClock()).handle(LIFE)
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        spoil(connection, replacing('"sequence":3', '"sequence":2', id="e3"))
    store = SqliteStore(path, KINDS, CODEC)
    with pytest.raises(RepeatedNumber, match="sequence number repeated: it is a second entry 2"):
        await read(AuditLog(store, CODEC))
    await store.close()


class Services:
    """Services that note what they are handed."""

    def __init__(self) -> None:
        self.handed: list[tuple[str, list[str]]] = []
        self.bodies: list[bytes] = []
        self.events: list[Envelope] = []

    async def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        self.handed.append((service, [delivery.event.id for delivery in deliveries]))
        self.bodies += [delivery.body for delivery in deliveries]
        self.events += [delivery.event for delivery in deliveries]
        return [Acknowledgement.SUCCESS] * len(deliveries)


HEARS = {
    "orders": frozenset({"SeatsReserved"}),
    "notifications": frozenset({"OrderPaid"}),
    "audit": frozenset(CODEC.catalogue.types),
}


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
async def redelivery(audit: Audit, records: SqliteStore, services: Services) -> Redelivery:
    await audit.handle(LIFE)
    return Redelivery(records, CODEC, deliver=services.deliver, hears=HEARS)


async def test_events_are_delivered_again_to_all_that_hear_them(redelivery: Redelivery, services: Services) -> None:
    delivered_again = await redelivery.by_ids(["e3", "e2"], None)
    assert services.handed == [("orders", ["e2"]), ("notifications", ["e3"]), ("audit", ["e2", "e3"])]
    assert [(each.event_id, each.service) for each in delivered_again.items] == [
        ("e2", "orders"),
        ("e3", "notifications"),
        ("e2", "audit"),
        ("e3", "audit"),
    ]
    assert {each.answer for each in delivered_again.items} == {Acknowledgement.SUCCESS}


async def test_events_come_again_byte_for_byte(redelivery: Redelivery, services: Services) -> None:
    await redelivery.by_filter(Filter(), ["audit"])
    assert services.bodies == [delivery.body for delivery in LIFE]


async def test_a_fact_that_was_told_again_comes_as_any_other_and_asks_for_no_answer(
    redelivery: Redelivery, services: Services, audit: Audit
) -> None:
    first = LIFE[-1]
    again = msgspec.structs.replace(first.event, id="again", repeated=True)
    await audit.handle([Delivery(again, CODEC.encode(again))])
    await redelivery.by_ids(["again"], None)
    assert services.bodies[-1] == CODEC.encode(again)
    assert services.events[-1] == msgspec.structs.replace(again, repeated=False)


async def test_events_are_delivered_again_only_to_the_services_asked_for(
    redelivery: Redelivery, services: Services
) -> None:
    await redelivery.by_filter(Filter(order_id="order-1"), ["notifications", "notifications"])
    assert services.handed == [("notifications", ["e3"])]


async def test_many_events_are_delivered_in_batches_and_pages(
    redelivery: Redelivery, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "REDELIVER_BATCH", 2)
    monkeypatch.setattr(replay, "REDELIVER_LIMIT", 3)
    first = await redelivery.by_filter(Filter(), ["audit"])
    assert first.next is not None
    second = await redelivery.by_filter(Filter(), ["audit"], after=first.next)
    assert second.next is None
    assert [handed for _, handed in services.handed] == [["e1", "e2"], ["e3"], ["e4"]]
    with pytest.raises(Invalid):
        await redelivery.by_ids(["e1"] * 4, None)


async def test_an_unknown_event_or_service_is_refused_before_anything_is_delivered(
    redelivery: Redelivery, services: Services
) -> None:
    with pytest.raises(NotFound):
        await redelivery.by_ids(["e1", "e99"], None)
    with pytest.raises(Invalid, match="shipping"):
        await redelivery.by_ids(["e1"], ["audit", "shipping"])
    assert services.handed == []


@pytest.mark.parametrize(
    ("hears", "known"),
    [
        ({"orders": HEARS["orders"], "notifications": HEARS["notifications"]}, "notifications, orders"),
        ({}, "nobody here"),
    ],
)
async def test_who_may_be_delivered_to_again_is_said_and_nothing_of_what_the_others_hear(
    records: SqliteStore, services: Services, hears: dict[str, frozenset[str]], known: str
) -> None:
    """Where all runs in one process, audit hears everything and is delivered nothing again."""
    redelivery = Redelivery(records, CODEC, deliver=services.deliver, hears=hears)
    with pytest.raises(Invalid) as refusal:
        await redelivery.by_filter(Filter(), ["audit"])
    message = f"events are delivered again to {known}; not to 'audit'"
    assert refusal.value.values["errors"] == [{"field": "to", "message": message}]


async def test_what_the_audit_hears_again_changes_nothing(audit: Audit, records: SqliteStore) -> None:
    await audit.handle(LIFE)
    before = await audit.verify()

    async def deliver(service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        return await audit.handle(deliveries)

    again = Redelivery(records, CODEC, deliver=deliver, hears={"audit": HEARS["audit"]})
    await again.by_filter(Filter(), None)
    assert await audit.verify() == before
