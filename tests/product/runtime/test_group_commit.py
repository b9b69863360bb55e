"""Group commit over a store that the tests decide: what rides along, who is told, and what the pulse says."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.patience import until

from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED, Commit, Kind, StoreUnavailable
from cludale.runtime.group_commit import GroupCommit
from cludale.runtime.planning import Plan, Rows

THINGS = Kind("shop", "thing")


class Store:
    """Writes batches, unless it is away. A commit with events leaves one entry, at the next position."""

    def __init__(self) -> None:
        self.group = GroupCommit(self.write, batch_limit=100, waiting_limit=3, delivered_limit=100)
        self.batches: list[tuple[int, list[int]]] = []
        self.away: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.has_rows = True
        self.told: list[int] = []
        self.group.listeners.add(lambda entries: self.told.extend(entry.position for entry in entries))

    async def write(self, commits: Sequence[Commit], delivered: Sequence[int]) -> Plan:
        await self.open.wait()
        if self.away is not None:
            raise self.away
        self.batches.append((len(commits), list(delivered)))
        plan = Plan()
        if self.has_rows:
            plan.rows[THINGS] = Rows()
        plan.entries = [Outgoing(len(self.batches), "things", b"{}")] if self.has_rows else []
        plan.outcomes = [COMMITTED] * len(commits)
        return plan


@pytest.fixture
def store() -> Store:
    return Store()


async def test_what_waits_is_written_together_and_each_has_its_outcomes(store: Store) -> None:
    store.open.clear()
    first = store.group.submit(None, [Commit("a")])
    await asyncio.sleep(0.01)
    later = [store.group.submit(None, commits) for commits in ([Commit("b")] * 2, [Commit("c")])]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="3 commits wait already"):
        await store.group.submit(None, [Commit("d")])
    store.open.set()
    assert [len(each) for each in await asyncio.gather(first, *later)] == [1, 2, 1]
    assert store.batches == [(1, []), (3, [])]


async def test_no_commits_are_no_batch(store: Store) -> None:
    assert await store.group.submit(None, []) == ()
    assert store.batches == []


async def test_whoever_listens_is_told_before_the_commit_is_answered(store: Store) -> None:
    await store.group.submit(None, [Commit("a")])
    assert store.told == [1]


async def test_delivered_rows_ride_along_with_the_next_batch(store: Store) -> None:
    store.group.delivered.add([7, 8])
    await store.group.submit(None, [Commit("a")])
    assert store.batches == [(1, [7, 8])]


async def test_delivered_rows_have_a_batch_of_their_own_where_none_comes(store: Store) -> None:
    store.group.delivered.add([7])
    await until(lambda: bool(store.batches))
    assert store.batches == [(1, [7])]


async def test_delivered_rows_of_a_batch_that_failed_ride_along_with_another(store: Store) -> None:
    store.away = StoreUnavailable("locked")
    store.group.delivered.add([7])
    with pytest.raises(StoreUnavailable):
        await store.group.submit(None, [Commit("a")])
    store.away = None
    await store.group.submit(None, [Commit("a")])
    assert store.batches == [(1, [7])]


async def test_the_pulse_tells_of_what_was_written_and_of_a_store_that_is_away(store: Store) -> None:
    await store.group.submit(None, [Commit("a")])
    worked_at = store.group.pulse.worked_at
    assert worked_at > 0
    store.has_rows = False  # a row that is changed in its place can be written to a disk that is full
    await store.group.nothing()
    assert store.group.pulse.worked_at == worked_at
    store.away = ValueError("nothing that can be stored")
    with pytest.raises(ValueError, match="stored"):
        await store.group.submit(None, [Commit("a")])
    assert store.group.pulse.failures == 0
    store.away = StoreUnavailable("locked")
    with pytest.raises(StoreUnavailable):
        await store.group.submit(None, [Commit("a")])
    assert store.group.pulse.failures == 1


async def test_closing_writes_what_waits_and_what_was_delivered(store: Store) -> None:
    store.group.delivered.add([7])
    committing = store.group.submit(None, [Commit("a")])
    await asyncio.sleep(0)
    await store.group.close()
    assert committing.done()
    assert [row for _, delivered in store.batches for row in delivered] == [7]
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.group.submit(None, [Commit("b")])
