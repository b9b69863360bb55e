"""Every event once, whole, causes first."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from tests.fakes import ManualClock
from tests.product.services.audit.samples import CODEC, delivered, paid, placed, reserved, told

from cludale.adapters.sqlite import SqliteStore
from cludale.ports.bus import Acknowledgement
from cludale.ports.records import Commit, Outcome, StoreUnavailable
from cludale.services.audit.domain import Arrival, causes_first
from cludale.services.audit.service import Audit
from cludale.services.audit.store import KINDS, Filter

DONE = Acknowledgement.SUCCESS
LATER = Acknowledgement.RETRY


async def ids(audit: Audit) -> list[str]:
    entries, _ = await audit.events(Filter(), limit=200)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert (await audit.verify()).ok
    return [entry.event_id for entry in entries]


async def test_events_are_recorded_in_order_with_hashes_that_anyone_can_compute(audit: Audit) -> None:
    life = delivered(placed("e1"), reserved("e2", "e1"), paid("e3", "e2"))
    assert await audit.handle(life) == [DONE] * 3
    entries, page = await audit.events(Filter())
    assert page.next is None
    hash_ = "0" * 64
    for number, (entry, delivery) in enumerate(zip(entries, life, strict=True), start=1):
        hash_ = sha256(hash_.encode() + delivery.body).hexdigest()
        assert (entry.sequence, entry.event_id, entry.hash) == (number, delivery.event.id, hash_)


async def test_an_entry_is_shown_with_everything_the_event_said(audit: Audit, clock: ManualClock) -> None:
    clock.advance(5)
    (delivery,) = delivered(reserved("e2", None))
    await audit.handle([delivery])
    (entry,), _ = await audit.events(Filter())
    shown = msgspec.json.decode(msgspec.json.encode(entry))
    assert shown == {
        "sequence": 1,
        "eventId": "e2",
        "eventType": "SeatsReserved",
        "timestamp": "2026-11-22T12:00:00Z",
        "source": "concerts",
        "subject": "reservation-of-order-1",
        "correlationId": "order-1",
        "causationId": None,
        "payload": msgspec.json.decode(delivery.body)["data"],
        "hash": entry.hash,
        "receivedAt": "2026-11-22T12:00:05Z",
        "causeMissing": False,
        "late": False,
        "repeated": False,
    }


async def test_an_event_delivered_again_is_recorded_once(audit: Audit) -> None:
    life = delivered(placed("e1"), reserved("e2", "e1"))
    assert await audit.handle([life[0], life[1], life[0], life[1]]) == [DONE] * 4
    assert await audit.handle(life) == [DONE] * 2
    assert await ids(audit) == ["e1", "e2"]


async def test_an_event_delivered_again_after_a_restart_is_recorded_once(
    records: SqliteStore, clock: ManualClock
) -> None:
    life = delivered(placed("e1"), reserved("e2", "e1"), paid("e3", "e2"))
    await Audit(records, clock).handle(life[:2])
    after = Audit(records, clock)
    assert await after.handle(life) == [DONE] * 3
    assert await ids(after) == ["e1", "e2", "e3"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_a_batch_in_any_order_is_recorded_causes_first(audit: Audit, order: Sequence[int]) -> None:
    life = delivered(placed("e1"), reserved("e2", "e1"), paid("e3", "e2"), told("e4", "e3"))
    assert await audit.handle([life[at] for at in order]) == [DONE] * 4
    assert await ids(audit) == ["e1", "e2", "e3", "e4"]


async def test_an_event_waits_for_its_cause_and_so_do_its_effects(audit: Audit) -> None:
    first, second, third, fourth = delivered(placed("e1"), reserved("e2", "e1"), paid("e3", "e2"), told("e4", "e3"))
    assert await audit.handle([first, fourth, third, third]) == [DONE, LATER, LATER, LATER]
    assert await ids(audit) == ["e1"]
    assert await audit.handle([third, fourth, second]) == [DONE] * 3
    assert await ids(audit) == ["e1", "e2", "e3", "e4"]


async def test_a_cause_that_was_recorded_long_ago_is_found_in_the_store(
    records: SqliteStore, clock: ManualClock
) -> None:
    audit = Audit(records, clock, recent_limit=1)
    await audit.handle(delivered(placed("e1")))
    await audit.handle(delivered(placed("e2", "order-2")))
    await audit.handle(delivered(placed("e3", "order-3")))
    assert await audit.handle(delivered(reserved("e4", "e1"))) == [DONE]


async def test_two_replicas_make_one_chain(records: SqliteStore, clock: ManualClock) -> None:
    one, other = Audit(records, clock), Audit(records, clock)
    for number in range(1, 10, 3):
        assert await one.handle(delivered(placed(f"e{number}"), placed(f"e{number + 1}"))) == [DONE] * 2
        assert await other.handle(delivered(placed(f"e{number + 1}"), placed(f"e{number + 2}"))) == [DONE] * 2
    assert await ids(one) == [f"e{number}" for number in range(1, 10)]


class Failing(SqliteStore):
    """A store that is away for a while."""

    away = False

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        if self.away:
            raise StoreUnavailable("locked")
        return await super().commit(commits)


async def test_while_the_store_is_away_events_are_delivered_later(path: Path, clock: ManualClock) -> None:
    store = Failing(path, KINDS, CODEC)
    audit = Audit(store, clock)
    life = delivered(placed("e1"), reserved("e2", "e1"))
    await audit.handle(life[:1])
    store.away = True
    with pytest.raises(StoreUnavailable):
        await audit.handle(life)
    store.away = False
    assert await audit.handle(life) == [DONE] * 2
    assert await ids(audit) == ["e1", "e2"]
    await store.close()


def test_events_that_cause_each_other_wait_until_their_patience_ends() -> None:
    circle: list[Arrival] = [("a", "b", True), ("b", "a", True)]
    assert causes_first(circle, lambda _: False).waiting == [0, 1]
    order = causes_first([("a", "b", False), ("b", "a", True)], lambda _: False)
    assert (order.ready, order.orphans, order.waiting) == ([0, 1], frozenset({0}), [])


@pytest.mark.parametrize("batch", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_of_a_chain_whose_first_cause_never_came_only_the_first_is_late(batch: Sequence[str]) -> None:
    causes = {"a": "never came", "b": "a", "c": "b"}
    order = causes_first([(event, causes[event], False) for event in batch], lambda _: False)
    assert [batch[at] for at in order.ready] == ["a", "b", "c"]
    assert order.orphans == {batch.index("a")}
