"""The batching queue: what waits is done together, everybody gets their own, nothing is unbounded, no error is lost."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cludale.kernel.refusals import Busy
from cludale.ports.records import StoreUnavailable
from cludale.runtime.batching import BatchingQueue, a_round

"""Longer than a few rounds of the loop take on a machine that is busy with other work."""

Queue = BatchingQueue[str, int, int]


class Work:
    """Doubles each item, as slowly as the test wants, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.under_way: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.keys_at_once = 0
        self.open = asyncio.Event()
        self.open.set()
        self.broken: Exception | None = None
        self.poison: set[int] = set()
        self.tries = 0

    async def do(self, key: str, items: Sequence[int]) -> Sequence[int]:
        self.tries += 1
        self.under_way[key] = self.under_way.get(key, 0) + 1
        self.most_at_once[key] = max(self.most_at_once.get(key, 0), self.under_way[key])
        self.keys_at_once = max(self.keys_at_once, sum(1 for each in self.under_way.values() if each))
        try:
            await self.open.wait()
            await asyncio.sleep(0)
            if self.broken is not None:
                raise self.broken
            if self.poison & set(items):
                raise ValueError(f"can't do {sorted(self.poison & set(items))}")
            self.batches.append((key, list(items)))
            return [2 * item for item in items]
        finally:
            self.under_way[key] -= 1

    @property
    def sizes(self) -> list[int]:
        return [len(items) for _, items in self.batches]


@pytest.fixture
def work() -> Work:
    return Work()


def queue_of(work: Work, **limits: Any) -> Queue:
    return BatchingQueue(work.do, of="commands", **limits)


async def rounds(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class TestABatch:
    async def test_takes_all_that_was_submitted_in_the_same_moment(self, work: Work) -> None:
        queue = queue_of(work)
        await asyncio.gather(*(queue.submit("a", [n]) for n in range(100)))
        assert work.batches == [("a", list(range(100)))]

    async def test_takes_all_that_came_while_the_one_before_was_done(self, work: Work) -> None:
        queue = queue_of(work)
        work.open.clear()
        first = queue.submit("a", [1])
        await rounds()
        later = [queue.submit("a", [i, 10 * i]) for i in (2, 3, 4)]
        await rounds()
        assert queue.waiting == queue.waiting_for("a") == 6
        work.open.set()
        assert await first == [2]
        assert await asyncio.gather(*later) == [[4, 40], [6, 60], [8, 80]]
        assert work.batches == [("a", [1]), ("a", [2, 20, 3, 30, 4, 40])]
        assert queue.waiting == queue.waiting_for("a") == 0

    async def test_gives_each_call_the_results_of_its_own_items_in_order(self, work: Work) -> None:
        queue = queue_of(work)
        results = await asyncio.gather(*(queue.submit("a", items) for items in ([1, 2], [], [3])))
        assert [list(each) for each in results] == [[2, 4], [], [6]]

    async def test_has_no_more_than_its_limit_and_no_call_is_split(self, work: Work) -> None:
        queue = queue_of(work, batch_limit=4)
        results = await asyncio.gather(*(queue.submit("a", [i, i]) for i in range(3)), queue.submit("a", [7] * 6))
        assert results == [[0] * 2, [2] * 2, [4] * 2, [14] * 6]
        assert work.sizes == [4, 2, 6]

    async def test_is_done_by_what_is_put_around(self, work: Work) -> None:
        queue = queue_of(work)

        def wrap(do: Callable[[str, Sequence[int]], object]) -> Callable[[str, Sequence[int]], object]:
            async def shifted(key: str, items: Sequence[int]) -> Sequence[int]:
                return [item + 1 for item in await work.do(key, items)]

            return shifted

        queue.around(wrap)  # type: ignore[arg-type] # object: all that the test says of it
        assert await queue.submit("a", [1]) == [3]


class TestKeys:
    async def test_never_wait_for_each_other(self, work: Work) -> None:
        queue = queue_of(work)
        assert await asyncio.gather(*(queue.submit(key, [1]) for key in "ab")) == [[2], [2]]
        assert work.keys_at_once == 2

    async def test_have_one_batch_under_way_each(self, work: Work) -> None:
        queue = queue_of(work, batch_limit=1)
        await asyncio.gather(*(queue.submit(key, [i]) for i in range(5) for key in "ab"))
        assert work.most_at_once == {"a": 1, "b": 1}

    async def test_have_more_where_that_is_wanted_and_no_more_than_that(self, work: Work) -> None:
        queue = queue_of(work, batch_limit=1, at_once=3)
        assert await asyncio.gather(*(queue.submit("a", [i]) for i in range(10))) == [[2 * i] for i in range(10)]
        assert work.most_at_once == {"a": 3}

    async def test_that_nobody_wants_any_more_are_forgotten(self) -> None:
        class Section:
            pass

        async def do(section: Section, items: Sequence[int]) -> Sequence[int]:
            return items

        queue: BatchingQueue[Section, int, int] = BatchingQueue(do, of="commands", at_once=2)
        sections = [Section() for _ in range(100)]
        await asyncio.gather(*(queue.submit(section, [1]) for section in sections))
        await rounds()
        left = [weakref.ref(section) for section in sections]
        sections.clear()
        gc.collect()
        assert [section for section in left if section() is not None] == []


class TestTooMany:
    async def test_are_refused_and_there_is_room_again_later(self, work: Work) -> None:
        queue: Queue = BatchingQueue(work.do, of="commands", waiting_limit=3, refuse=Busy)
        work.open.clear()
        taken = queue.submit("a", [1])
        await rounds()
        waiting = [queue.submit(key, [2]) for key in "aab"]
        with pytest.raises(Busy, match="3 commands wait already, 3 may"):
            await queue.submit("c", [4])
        work.open.set()
        await asyncio.gather(taken, *waiting)
        assert await queue.submit("a", [4, 5]) == [8, 10]

    async def test_to_ever_wait_in_one_call_is_a_mistake(self, work: Work) -> None:
        with pytest.raises(ValueError, match="4 commands in one call"):
            await queue_of(work, waiting_limit=3).submit("a", [1, 2, 3, 4])


class TestTrouble:
    async def test_a_store_that_is_away_is_away_for_all_who_wait_for_the_key(self, work: Work) -> None:
        """Or the last of them would wait for all the timeouts before it."""
        queue = queue_of(work)
        work.open.clear()
        first = queue.submit("a", [1])
        await rounds()
        later = queue.submit("a", [2])
        await rounds()
        work.broken = StoreUnavailable("locked")
        work.open.set()
        results = await asyncio.gather(*(first, later), return_exceptions=True)
        assert list(results) == [work.broken] * 2
        assert (work.tries, queue.waiting) == (1, 0)
        work.broken = None
        assert await queue.submit("a", [3]) == [6]
        assert work.batches == [("a", [3])]

    async def test_what_else_says_that_nothing_can_be_done_is_the_owners_to_name(self, work: Work) -> None:
        queue: Queue = BatchingQueue(work.do, of="requests", away=OSError)
        work.open.clear()
        calls = [queue.submit("a", [1])]
        await rounds()
        calls.append(queue.submit("a", [2]))
        await rounds()
        work.broken = OSError("no disk")
        work.open.set()
        assert await asyncio.gather(*calls, return_exceptions=True) == [work.broken] * 2

    async def test_a_refusal_is_for_all_of_the_batch_and_the_next_is_tried(self, work: Work) -> None:
        queue = queue_of(work)
        work.broken = Busy("others are faster")
        calls = (queue.submit("a", [i]) for i in range(3))
        assert await asyncio.gather(*calls, return_exceptions=True) == [work.broken] * 3
        assert work.tries == 1
        work.broken = None
        assert await queue.submit("a", [4]) == [8]

    async def test_a_call_that_can_not_be_done_fails_alone(self, work: Work) -> None:
        queue = queue_of(work)
        work.poison = {2}
        results = await asyncio.gather(*(queue.submit("a", [n, n]) for n in range(4)), return_exceptions=True)
        assert isinstance(results[2], ValueError)
        assert [each for each in results if not isinstance(each, BaseException)] == [[0, 0], [2, 2], [6, 6]]
        assert work.batches == [("a", [0, 0]), ("a", [1, 1]), ("a", [3, 3])]

    async def test_what_breaks_everything_reaches_everybody(self, work: Work) -> None:
        queue = queue_of(work)
        work.broken = OSError("a bug")
        calls = (queue.submit("a", [i]) for i in range(3))
        assert await asyncio.gather(*calls, return_exceptions=True) == [work.broken] * 3
        assert queue.waiting == 0

    async def test_a_store_that_is_away_is_away_for_those_too_who_are_tried_alone(self, work: Work) -> None:
        queue = queue_of(work)
        work.poison = {1}
        calls = [queue.submit("a", [each]) for each in (1, 2, 3)]
        while work.tries < 2:  # noqa: ASYNC110 - all of them came to nothing; then the first is tried by itself
            await asyncio.sleep(0)
        work.broken = StoreUnavailable("locked")
        assert await asyncio.gather(*calls, return_exceptions=True) == [work.broken] * 3
        assert (work.tries, queue.waiting) == (2, 0)

    async def test_whoever_gives_up_waiting_harms_no_other(self, work: Work) -> None:
        queue = queue_of(work)
        work.open.clear()
        leaving, staying = (queue.submit("a", [n]) for n in (1, 2))
        await rounds()
        leaving.cancel()
        await rounds()
        work.open.set()
        assert await staying == [4]
        assert leaving.cancelled()
        assert work.batches == [("a", [1, 2])]
        assert await queue.submit("a", [3]) == [6]


class TestTheEnd:
    async def test_closing_does_what_waits_and_refuses_what_comes(self, work: Work) -> None:
        queue = queue_of(work)
        work.open.clear()
        calls = [queue.submit("a", [1])]
        await rounds()
        calls.append(queue.submit("a", [2]))
        await rounds()
        closing = asyncio.create_task(queue.close())
        await rounds()
        assert not closing.done()
        with pytest.raises(StoreUnavailable, match="closed"):
            await queue.submit("a", [3])
        work.open.set()
        await closing
        assert work.batches == [("a", [1]), ("a", [2])]
        assert all(call.done() for call in calls)
        await queue.close()

    async def test_stopping_breaks_off_and_cancels_all_who_wait(self, work: Work) -> None:
        queue = queue_of(work)
        work.open.clear()
        calls = [queue.submit("a", [1])]
        await rounds()
        calls.append(queue.submit("a", [2]))
        await rounds()
        await queue.stop()
        await asyncio.wait(calls)
        assert all(call.cancelled() for call in calls)
        assert (work.batches, queue.waiting) == ([], 0)
        with pytest.raises(StoreUnavailable, match="closed"):
            await queue.submit("a", [3])

    async def test_stopping_cancels_those_too_who_were_to_be_tried_alone(self, work: Work) -> None:
        queue = queue_of(work)
        work.poison = {1}
        calls = [queue.submit("a", [each]) for each in (1, 2, 3)]
        while work.tries < 2:  # noqa: ASYNC110 - all of them came to nothing; then the first is tried by itself
            await asyncio.sleep(0)
        work.open.clear()
        await queue.stop()
        await asyncio.wait(calls, timeout=1)
        assert [call.cancelled() for call in calls] == [True, True, True]
        assert queue.waiting == 0


class TestGathering:
    async def test_who_asks_in_the_round_after_joins_the_batch_of_a_queue_that_gathers(self, work: Work) -> None:
        for gather, batches in ((a_round, [("a", [1, 2])]), (None, [("a", [1]), ("a", [2])])):
            work.batches.clear()
            queue = queue_of(work, gather=gather)
            first = queue.submit("a", [1])
            await rounds(1)
            await asyncio.gather(first, queue.submit("a", [2]))
            assert work.batches == batches

    async def test_of_several_that_gather_for_one_key_the_last_may_find_nothing_to_do(self, work: Work) -> None:
        queue = queue_of(work, gather=a_round, at_once=3)
        assert await asyncio.gather(*(queue.submit("a", [each]) for each in (1, 2, 3))) == [[2], [4], [6]]
        await queue.close()
        assert work.batches == [("a", [1, 2, 3])]

    async def test_what_is_tried_alone_waits_for_nobody(self, work: Work) -> None:
        work.poison = {1}
        queue = queue_of(work, gather=a_round)
        calls = [queue.submit("a", [each]) for each in (1, 2)]
        while work.tries < 1:  # noqa: ASYNC110 - both came to nothing
            await asyncio.sleep(0)
        joining = queue.submit("a", [3])
        await asyncio.gather(*calls, joining, return_exceptions=True)
        assert work.batches == [("a", [2]), ("a", [3])]
