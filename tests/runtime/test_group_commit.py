"""Group commit over stores that the tests decide."""

import asyncio
from collections.abc import Sequence

import pytest

from cludale.ports.records import StoreUnavailable
from cludale.runtime import group_commit
from cludale.runtime.group_commit import ENOUGH_ITEMS, GroupCommit

LONG_SECONDS = 0.2
"""Longer than a few turns of the loop take on a machine that is busy with other work."""


class Ledger:
    """A store that writes when it is told to, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.refusing: Exception | None = None
        self.poison: set[int] = set()

    async def write(self, items: Sequence[int]) -> Sequence[str]:
        await self.open.wait()
        if self.refusing is not None:
            raise self.refusing
        if self.poison & set(items):
            raise ValueError(f"can't write {sorted(self.poison & set(items))}")
        self.batches.append(list(items))
        return [f"wrote {item}" for item in items]


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_each_call_gets_the_results_of_its_own_items_in_order() -> None:
    group = GroupCommit(Ledger().write)
    results = await asyncio.gather(group.submit([1, 2]), group.submit([]), group.submit([3]))
    assert [list(each) for each in results] == [["wrote 1", "wrote 2"], [], ["wrote 3"]]


async def test_calls_of_the_same_moment_are_written_together() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    await asyncio.gather(*(group.submit([n]) for n in range(100)))
    assert ledger.batches == [list(range(100))]


async def test_what_comes_while_a_batch_is_written_makes_the_next_batch() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    ledger.open.clear()
    first = asyncio.create_task(group.submit([1]))
    await turns()
    later = [asyncio.create_task(group.submit([n])) for n in (2, 3)]
    await turns()
    assert group.queued == 2
    ledger.open.set()
    await asyncio.gather(first, *later)
    assert ledger.batches == [[1], [2, 3]]
    assert group.queued == 0


async def test_a_batch_takes_calls_up_to_its_limit_and_splits_none() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write, batch_limit=4)
    await asyncio.gather(*(group.submit([n] * 3) for n in range(4)))
    assert ledger.batches == [[0, 0, 0, 1, 1, 1], [2, 2, 2, 3, 3, 3]]


async def test_what_would_wait_beyond_the_limit_is_refused_and_there_is_room_again_later() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write, queue_limit=3)
    ledger.open.clear()
    writing = asyncio.create_task(group.submit([0]))
    await turns()
    waiting = [asyncio.create_task(group.submit([n])) for n in (1, 2, 3)]
    await turns()
    with pytest.raises(StoreUnavailable, match="3 commits wait already"):
        await group.submit([4])
    ledger.open.set()
    await asyncio.gather(writing, *waiting)
    assert list(await group.submit([5])) == ["wrote 5"]


async def test_a_call_that_could_never_wait_is_a_mistake() -> None:
    group = GroupCommit(Ledger().write, queue_limit=3)
    with pytest.raises(ValueError, match="4 commits in one call"):
        await group.submit([1, 2, 3, 4])


async def test_an_unavailable_store_fails_the_whole_batch_and_the_next_is_tried() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    ledger.refusing = StoreUnavailable("full")
    results = await asyncio.gather(group.submit([1]), group.submit([2]), return_exceptions=True)
    assert [type(each) for each in results] == [StoreUnavailable, StoreUnavailable]
    ledger.refusing = None
    assert list(await group.submit([3])) == ["wrote 3"]
    assert ledger.batches == [[3]]


async def test_whoever_waits_for_an_unavailable_store_waits_for_one_timeout_not_for_each_before() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    ledger.open.clear()
    first = asyncio.create_task(group.submit([1]))
    await turns()
    later = asyncio.create_task(group.submit([2]))
    await turns()
    ledger.refusing = StoreUnavailable("locked")
    ledger.open.set()
    await asyncio.gather(first, later, return_exceptions=True)
    assert [type(each.exception()) for each in (first, later)] == [StoreUnavailable, StoreUnavailable]
    assert later.exception() is first.exception()
    assert group.queued == 0
    ledger.refusing = None
    assert list(await group.submit([3])) == ["wrote 3"]


async def test_a_call_that_can_not_be_written_fails_alone() -> None:
    ledger = Ledger()
    ledger.poison = {2}
    group = GroupCommit(ledger.write)
    results = await asyncio.gather(*(group.submit([n, n]) for n in range(4)), return_exceptions=True)
    assert isinstance(results[2], ValueError)
    assert [each for each in results if not isinstance(each, BaseException)] == [[f"wrote {n}"] * 2 for n in (0, 1, 3)]
    assert ledger.batches == [[0, 0], [1, 1], [3, 3]]


async def test_a_caller_that_gives_up_harms_no_other() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    ledger.open.clear()
    staying, leaving = (asyncio.create_task(group.submit([n])) for n in (1, 2))
    await turns()
    leaving.cancel()
    await turns()
    ledger.open.set()
    assert list(await staying) == ["wrote 1"]
    assert leaving.cancelled()
    assert ledger.batches == [[1, 2]]


async def test_closing_writes_what_waits_and_refuses_what_comes() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    ledger.open.clear()
    calls = [asyncio.create_task(group.submit([1]))]
    await turns()
    calls.append(asyncio.create_task(group.submit([2])))
    await turns()
    closing = asyncio.create_task(group.close())
    await turns()
    assert not closing.done()
    with pytest.raises(StoreUnavailable, match="closed"):
        await group.submit([3])
    ledger.open.set()
    await closing
    assert ledger.batches == [[1], [2]]
    assert all(call.done() for call in calls)
    await group.close()


async def test_a_busy_store_gathers_for_a_moment_and_an_idle_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", LONG_SECONDS)
    ledger = Ledger()
    group = GroupCommit(ledger.write)
    await group.submit(list(range(100)))
    late = asyncio.create_task(group.submit([1]))
    await turns(10)
    joining = asyncio.create_task(group.submit([2]))
    await asyncio.gather(late, joining)
    assert ledger.batches[1:] == [[1, 2]]
    await group.submit([3])
    alone = asyncio.create_task(group.submit([4]))
    await turns(10)
    assert alone.done()


async def test_a_busy_store_for_which_enough_waits_does_not_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", LONG_SECONDS)
    group = GroupCommit(Ledger().write)
    await group.submit(list(range(100)))
    enough = asyncio.create_task(group.submit(list(range(ENOUGH_ITEMS))))
    await turns(10)
    assert enough.done()
