"""The log with its segments over every kind of store: one chain to whoever verifies, asks, replays or exports it."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from tests.fakes import NOON, ManualClock
from tests.product.adapters.cosmos.double import KEY, running_double
from tests.product.services.audit.samples import CODEC, delivered, placed, reserved

from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.adapters.postgres import PostgresStore
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Envelope
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import Records
from cludale.services.audit import export
from cludale.services.audit.export import Reached, read_on
from cludale.services.audit.replay import AuditLog, Redelivery
from cludale.services.audit.segments import heads
from cludale.services.audit.service import Audit
from cludale.services.audit.store import KINDS, Filter
from cludale_proof.simulator.memory import Disk, MemoryStore

LIMIT = 5
EVENTS = 13

Connect = Callable[[], Awaitable[Records]]
"""Opens another connection to the store, as another replica has one. SQLite's file takes only one."""


def the_same(store: Records) -> Connect:
    async def connect() -> Records:
        return store

    return connect


@pytest.fixture(params=["sqlite", "apart", "postgres", "cosmos"])
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """What kind of store, and the address of its database where it has one."""
    return request.param, request.getfixturevalue("database_url") if request.param == "postgres" else ""


@pytest.fixture
async def connect(place: tuple[str, str], tmp_path: Path) -> AsyncIterator[Connect]:
    kind, url = place
    opened: list[SqliteStore | PostgresStore | CosmosStore] = []
    if kind == "sqlite":
        opened.append(SqliteStore(tmp_path / "cludale.db", KINDS, CODEC))
        yield the_same(opened[0])
    elif kind == "apart":
        yield the_same(MemoryStore(Disk(KINDS, CODEC, apart=True)))
    elif kind == "postgres":

        async def connect_to_postgres() -> Records:
            opened.append(await PostgresStore.open(url, KINDS, CODEC, schema="audit"))
            return opened[-1]

        yield connect_to_postgres
    else:
        async with running_double() as double:

            async def connect_to_cosmos() -> Records:
                container = Container("audit", ("dueAt", "time"))
                store = CosmosStore(double.endpoint, KEY, CODEC, container, database="d", has_outbox=False)
                await store.start()
                opened.append(store)
                return store

            yield connect_to_cosmos
            for store in opened:
                await store.close()
            opened.clear()
    for store in opened:
        await store.close()


def audit_over(records: Records) -> Audit:
    return Audit(records, ManualClock(), patience=1, attempts=5, wait_seconds=60, segment_entries=LIMIT)


def number(at: int) -> Envelope:
    return placed(f"e{at:02}", f"order-{at}", NOON + timedelta(seconds=at))


@pytest.fixture
async def records(connect: Connect) -> Records:
    """A store with 13 entries in three segments, recorded by two replicas in turns."""
    one, other = audit_over(await connect()), audit_over(await connect())
    for at in range(1, EVENTS + 1):
        assert await (one if at % 2 else other).handle(delivered(number(at))) == [Acknowledgement.SUCCESS]
    return await connect()


async def test_the_chain_is_verified_over_all_segments(records: Records) -> None:
    verdict = await audit_over(records).verify()
    assert (verdict.ok, verdict.events) == (True, EVENTS)
    assert [head.sequence async for head in heads(records)] == [5, 10, 13]


async def test_a_head_noted_in_an_earlier_segment_is_found(records: Records) -> None:
    first = await anext(heads(records))
    noted = (await audit_over(records).verify(noted=first.hash)).noted
    assert noted is not None
    assert noted.sequence == LIMIT


async def test_pages_go_on_from_segment_to_segment_by_number_and_by_time(records: Records) -> None:
    audit = audit_over(records)
    for wanted in (Filter(), Filter(since=NOON), Filter(concert_id="concert-1")):
        for descending in (False, True):
            shown: list[int] = []
            after: str | None = None
            while not shown or after is not None:
                items, page = await audit.events(wanted, after=after, limit=4, descending=descending)
                shown += [each.sequence for each in items]
                after = page.next
            assert shown[:: -1 if descending else 1] == list(range(1, EVENTS + 1))
    assert [each.event_id for each in await audit.story("order-2")] == ["e02"]


async def test_a_story_that_spans_segments_is_told_whole(records: Records) -> None:
    audit = audit_over(records)
    assert await audit.handle(delivered(reserved("effect", "e01", "order-1"))) == [Acknowledgement.SUCCESS]
    assert [each.sequence for each in await audit.story("order-1")] == [1, EVENTS + 1]


async def test_what_is_in_a_sealed_segment_is_not_recorded_again_by_a_new_replica(records: Records) -> None:
    audit = audit_over(records)
    again = [number(at) for at in range(1, EVENTS + 1)]
    assert await audit.handle(delivered(*again)) == [Acknowledgement.SUCCESS] * EVENTS
    assert (await audit.verify()).events == EVENTS


async def test_the_log_is_replayed_and_delivered_again_over_all_segments(records: Records) -> None:
    ids = [f"e{at:02}" for at in range(1, EVENTS + 1)]
    assert [event.id async for events in AuditLog(records, CODEC).read() for event in events] == ids
    heard: list[str] = []

    async def deliver(_: str, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        heard.extend(each.event.id for each in deliveries)
        return [Acknowledgement.SUCCESS] * len(deliveries)

    redelivery = Redelivery(records, CODEC, deliver=deliver, hears={"payments": frozenset({"OrderPlaced"})})
    await redelivery.by_filter(Filter(type="OrderPlaced"), None)
    assert heard == ids
    await redelivery.by_ids(["e12", "e01"], None)
    assert heard[EVENTS:] == ["e01", "e12"]


async def test_an_export_is_read_on_from_anywhere(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 3)
    ends = [reached async for _, reached in read_on(records, Reached())]
    for reached in [Reached(), *ends]:
        read = [line.sequence async for lines, _ in read_on(records, reached) for line in lines]
        assert read == list(range(reached.sequence + 1, EVENTS + 1))
    assert ends[-1].hash == (await audit_over(records).verify()).head


async def test_a_cursor_of_another_store_is_as_good_as_none(records: Records) -> None:
    first = await anext(heads(records))
    reached = Reached(first.sequence, first.hash, "nobody's")
    lines, _ = await anext(read_on(records, reached))
    assert lines[0].sequence == LIMIT + 1


async def test_a_replica_whose_clock_is_behind_goes_on_after_the_seal(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the order of coming goes by stamps, those of the next segment have to come after all in the last one."""
    ahead = audit_over(await connect())
    for at in range(1, LIMIT + 1):
        await ahead.handle(delivered(number(at)))
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600 * 10**9)
    behind = audit_over(await connect())
    for at in range(LIMIT + 1, EVENTS + 1):
        await behind.handle(delivered(number(at)))
    shown, _ = await behind.events(Filter(), limit=50)
    assert [each.sequence for each in shown] == list(range(1, EVENTS + 1))
    assert (await behind.verify()).ok
