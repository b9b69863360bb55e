"""Turns: one at a time for each key, everyone who waits taken along, nothing unbounded, no error lost."""

import asyncio
from collections.abc import Sequence

import pytest

from cludale.kernel.refusals import Busy
from cludale.runtime.turns import Turns


class Counter:
    """Takes turns that answer each command with its double, as slowly as the test wants."""

    def __init__(self) -> None:
        self.turns: list[tuple[str, list[int]]] = []
        self.under_way: dict[str, int] = {}
        self.at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: Exception | None = None

    async def take(self, key: str, commands: Sequence[int]) -> Sequence[int]:
        self.under_way[key] = self.under_way.get(key, 0) + 1
        assert self.under_way[key] == 1, "two turns of one key at once"
        self.at_once = max(self.at_once, sum(self.under_way.values()))
        self.turns.append((key, list(commands)))
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if self.broken is not None:
                raise self.broken
            return [2 * command for command in commands]
        finally:
            self.under_way[key] -= 1


@pytest.fixture
def counter() -> Counter:
    return Counter()


async def test_everyone_who_waits_is_taken_along_in_one_turn(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take)
    counter.gate.clear()
    first = asyncio.create_task(turns.submit("a", [1]))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(turns.submit("a", [i, 10 * i])) for i in range(2, 5)]
    await asyncio.sleep(0.01)
    assert turns.waiting == 6
    counter.gate.set()
    assert await first == [2]
    assert await asyncio.gather(*later) == [[4, 40], [6, 60], [8, 80]]
    assert counter.turns == [("a", [1]), ("a", [2, 20, 3, 30, 4, 40])]
    assert turns.waiting == 0


async def test_one_key_never_waits_for_another(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take)
    one, other = await asyncio.gather(turns.submit("a", [1]), turns.submit("b", [2]))
    assert (one, other) == ([2], [4])
    assert counter.at_once == 2


async def test_a_turn_takes_no_more_than_its_limit_and_no_command_is_torn_from_its_own(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take, turn_limit=4)
    answers = await asyncio.gather(*(turns.submit("a", [i, i, i]) for i in range(3)), turns.submit("a", [7] * 6))
    assert answers == [[0] * 3, [2] * 3, [4] * 3, [14] * 6]
    assert [len(commands) for _, commands in counter.turns] == [3, 3, 3, 6]


async def test_when_too_many_wait_the_next_is_told_to_come_back(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take, waiting_limit=3)
    counter.gate.clear()
    taken = asyncio.create_task(turns.submit("a", [1]))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(turns.submit("a", [2, 3]))
    await asyncio.sleep(0.01)
    with pytest.raises(Busy):
        await turns.submit("a", [4, 5])
    counter.gate.set()
    assert await taken == [2]
    assert await waiting == [4, 6]
    assert await turns.submit("a", [4, 5]) == [8, 10]


async def test_an_exception_reaches_everyone_who_waited_and_the_next_turn_goes_on(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take)
    counter.broken = OSError("the store is away")
    waiters = [asyncio.create_task(turns.submit("a", [i])) for i in range(3)]
    answers = await asyncio.gather(*waiters, return_exceptions=True)
    assert answers == [counter.broken] * 3
    counter.broken = None
    assert await turns.submit("a", [4]) == [8]
    assert turns.waiting == 0


async def test_whoever_gives_up_waiting_holds_up_nobody(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take)
    counter.gate.clear()
    impatient = asyncio.create_task(turns.submit("a", [1]))
    patient = asyncio.create_task(turns.submit("a", [2]))
    await asyncio.sleep(0.01)
    impatient.cancel()
    counter.gate.set()
    assert await patient == [4]
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await turns.submit("a", [3]) == [6]


async def test_a_key_that_nobody_wants_any_more_is_forgotten(counter: Counter) -> None:
    turns: Turns[str, int, int] = Turns(counter.take)
    await asyncio.gather(*(turns.submit(f"section-{i}", [i]) for i in range(100)))
    await asyncio.sleep(0)
    assert not turns._queues
    assert not turns._tasks
