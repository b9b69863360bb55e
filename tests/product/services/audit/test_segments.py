"""The chain goes on from partition to partition: none grows without bound, and the log is one to whoever asks."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.fakes import NOON, ManualClock
from tests.product.services.audit.samples import CODEC, delivered, placed, reserved

from cludale.kernel.events import Envelope
from cludale.ports.bus import Acknowledgement
from cludale.ports.records import Commit, Key
from cludale.services.audit import store
from cludale.services.audit.replay import AuditLog, Redelivery
from cludale.services.audit.segments import heads
from cludale.services.audit.service import SKEW, Audit
from cludale.services.audit.store import ENTRY, HEAD, KINDS, Filter
from cludale_proof.simulator.memory import Disk, MemoryStore

LIMIT = 5


def audit_over(disk: Disk) -> Audit:
    """A replica: what others record it learns from the store alone."""
    return Audit(MemoryStore(disk), ManualClock(), patience=1, attempts=5, wait_seconds=60, segment_entries=LIMIT)


@pytest.fixture
def disk() -> Disk:
    """A store in which partitions know nothing of each other, like Cosmos DB."""
    return Disk(KINDS, CODEC, apart=True)


def orders(first: int, last: int) -> Sequence[Envelope]:
    return [placed(f"e{number:02}", f"order-{number}") for number in range(first, last + 1)]


async def recorded(disk: Disk, count: int) -> Audit:
    audit = audit_over(disk)
    for event in orders(1, count):
        assert await audit.handle(delivered(event)) == [Acknowledgement.SUCCESS]
    return audit


def entries_in(disk: Disk, segment: int) -> int:
    return sum(row.partition == store.partition_of(segment) for row in disk.tables[ENTRY].values())


async def test_a_full_segment_is_sealed_and_the_chain_goes_on_in_the_next_partition(disk: Disk) -> None:
    audit = await recorded(disk, 12)
    assert [entries_in(disk, segment) for segment in range(3)] == [5, 5, 2]
    verdict = await audit_over(disk).verify()
    assert (verdict.ok, verdict.events, verdict.head) == (True, 12, (await audit.verify()).head)


async def test_a_seal_is_where_the_chain_goes_on_after_a_restart(disk: Disk) -> None:
    await recorded(disk, LIMIT)
    await audit_over(disk).handle(delivered(*orders(6, 6)))
    assert [head.sequence async for head in heads(MemoryStore(disk))] == [5, 6]
    assert (await audit_over(disk).verify()).ok


async def test_an_event_in_a_sealed_segment_is_not_recorded_again(disk: Disk) -> None:
    await recorded(disk, 12)
    again = audit_over(disk)
    assert await again.handle(delivered(*orders(1, 12))) == [Acknowledgement.SUCCESS] * 12
    assert (await again.verify()).events == 12


async def test_a_later_event_is_not_looked_for_in_sealed_segments(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = await recorded(disk, 6)
    asked: list[Key] = []
    get = MemoryStore.get

    async def noted(self: MemoryStore, kind: object, keys: Sequence[Key]) -> object:
        asked.extend(keys)
        return await get(self, kind, keys)  # type: ignore[arg-type] # handed on as it came

    monkeypatch.setattr(MemoryStore, "get", noted)
    await audit.handle(delivered(placed("late", "order-99", NOON + SKEW + timedelta(seconds=1))))
    assert asked == []


async def test_a_cause_in_a_sealed_segment_is_found(disk: Disk) -> None:
    await recorded(disk, 6)
    effect = delivered(reserved("effect", "e01", "order-1"))
    assert await audit_over(disk).handle(effect) == [Acknowledgement.SUCCESS]
    assert (await audit_over(disk).verify()).waiting == 0


async def test_two_replicas_seal_a_segment_once_and_go_on_in_one_chain(disk: Disk) -> None:
    one, other = audit_over(disk), audit_over(disk)
    for number in range(1, 14):
        replica = one if number % 3 else other
        assert await replica.handle(delivered(*orders(number, number))) == [Acknowledgement.SUCCESS]
        assert await (other if replica is one else one).handle(delivered(*orders(number, number)))
    verdict = await audit_over(disk).verify()
    assert (verdict.ok, verdict.events) == (True, 13)


async def test_a_replica_that_waits_for_a_cause_records_nothing_that_another_sealed_with_it_meanwhile(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = reserved("effect", "cause", "order-50")
    slow, other, commit = audit_over(disk), audit_over(disk), MemoryStore.commit

    async def overtaken(self: MemoryStore, commits: Sequence[Commit]) -> object:
        monkeypatch.setattr(MemoryStore, "commit", commit)
        await other.handle(delivered(placed("cause", "order-50"), effect, *orders(1, LIMIT - 2)))
        return await commit(self, commits)

    monkeypatch.setattr(MemoryStore, "commit", overtaken)
    assert await slow.handle(delivered(effect)) == [Acknowledgement.SUCCESS]
    assert [entries_in(disk, segment) for segment in range(2)] == [LIMIT, 0]
    assert (await audit_over(disk).verify()).events == LIMIT


async def test_no_segment_is_sealed_while_an_event_waits_in_it_for_its_cause(disk: Disk) -> None:
    audit = audit_over(disk)
    await audit.handle(delivered(reserved("effect", "cause", "order-50")))
    await audit.handle(delivered(*orders(1, 6)))
    assert [head.sealed_at async for head in heads(MemoryStore(disk))] == [None]
    assert await audit.handle(delivered(reserved("other", "unknown", "order-51"))) == [Acknowledgement.RETRY]
    await audit.handle(delivered(placed("cause", "order-50")))
    await audit.handle(delivered(*orders(7, 7)))
    assert [entries_in(disk, segment) for segment in range(2)] == [8, 1]
    assert (await audit_over(disk).verify()).ok


async def test_questions_and_replay_go_over_all_segments(disk: Disk) -> None:
    audit = await recorded(disk, 12)
    shown, page = await audit.events(Filter(), limit=8)
    more, _ = await audit.events(Filter(), after=page.next, limit=8)
    assert [each.sequence for each in (*shown, *more)] == list(range(1, 13))
    read = [event.id async for events in AuditLog(MemoryStore(disk), CODEC).read() for event in events]
    assert read == [event.id for event in orders(1, 12)]
    assert (await audit.story("order-2"))[0].sequence == 2


async def test_an_event_of_any_segment_is_delivered_again(disk: Disk) -> None:
    await recorded(disk, 12)
    heard: list[str] = []

    async def deliver(service: str, deliveries: Sequence[object]) -> list[Acknowledgement]:
        heard.extend(each.event.id for each in deliveries)  # type: ignore[attr-defined] # deliveries they are
        return [Acknowledgement.SUCCESS] * len(deliveries)

    hears = {"payments": frozenset({"OrderPlaced"})}
    redelivery = Redelivery(MemoryStore(disk), CODEC, deliver=deliver, hears=hears)
    await redelivery.by_ids(["e11", "e02"], None)
    assert heard == ["e02", "e11"]


async def forged(disk: Disk, segment: int, **changed: object) -> None:
    """Write a segment's head with something else in it."""
    at = Key(store.partition_of(segment), store.head_id(segment))
    stored = (await MemoryStore(disk).get(HEAD, [at]))[at.id]
    head = store.head_of(stored).head
    values = {field: getattr(head, field) for field in head.__struct_fields__} | changed
    put = store.put_head(type(head)(**values), stored.version)
    await MemoryStore(disk).commit([Commit(at.partition, [put])])


async def test_a_forged_seal_is_found(disk: Disk) -> None:
    await recorded(disk, 7)
    await forged(disk, 0, hash="f" * 64)
    broken = (await audit_over(disk).verify()).broken
    assert broken is not None
    assert broken.sequence == LIMIT


async def test_a_lost_seal_is_found(disk: Disk) -> None:
    await recorded(disk, 7)
    await forged(disk, 0, sealed_at=None)
    broken = (await audit_over(disk).verify()).broken
    assert broken is not None
    assert broken.what == "past the head stands entry 7"
