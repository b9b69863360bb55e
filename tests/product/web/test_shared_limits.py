"""Limits of several processes: all requests count, whoever takes them; without a store each goes by its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from cludale.ports.records import StoreUnavailable
from cludale.ports.request_counts import CountKey, Total, Totals
from cludale.web.limits import TooManyRequests
from cludale.web.shared_limits import UNHEARD_LEAST, Exchange, SharedLimit

NEARLY_20 = range(20, 20 + UNHEARD_LEAST + 1)
"""By two processes."""


class Counts:
    """Counters in memory, as a store would have them."""

    def __init__(self) -> None:
        self.counters: dict[CountKey, int] = {}
        self.is_away = False

    async def add(self, added: Sequence[tuple[CountKey, int]], process: CountKey) -> Totals:
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("away")
        for key, number in [*added, (process, 1)]:
            self.counters[key] = self.counters.get(key, 0) + number
        before = {key: self.counters.get(key._replace(window=key.window - 1), 0) for key, _ in added}
        processes = {key.who for key in self.counters if key.policy == process.policy}
        return Totals({key: Total(self.counters[key], before[key]) for key, _ in added}, len(processes))

    async def forget(self, before: Collection[tuple[str, int]]) -> None:
        for policy, window in before:
            self.counters = {k: n for k, n in self.counters.items() if k.policy != policy or k.window >= window}

    async def close(self) -> None:
        pass


class World:
    def __init__(self, counts: Counts) -> None:
        self.now = 1_000.0
        self.counts = counts
        self.limits: list[SharedLimit] = []
        self.exchanges: list[Exchange] = []

    async def asked(self, times: int, who: str = "a") -> int:
        """How many of so many requests, taken by one process after the other, were let in."""
        answers = await asyncio.gather(*(self._may(number, who) for number in range(times)))
        return sum(answers)

    async def _may(self, number: int, who: str) -> bool:
        try:
            await self.limits[number % len(self.limits)].admit(who)
        except TooManyRequests:
            return False
        return True


@asynccontextmanager
async def processes(number: int, *, most: int = 20) -> AsyncIterator[World]:
    world = World(Counts())
    async with AsyncExitStack() as stack:
        for _ in range(number):
            limit = SharedLimit("address", most=most, seconds=10, clock=lambda: world.now, secret=b"s")
            exchange = Exchange(world.counts, [limit], group="orders", clock=lambda: world.now)
            world.limits.append(limit)
            world.exchanges.append(exchange)
            await exchange.start()
            stack.push_async_callback(exchange.stop)
        world.now += 1.0  # all have heard of each other
        await until(lambda: all(each.processes == number for each in world.exchanges), world)
        yield world


async def until(what: Callable[[], bool], world: World) -> None:
    async with asyncio.timeout(5):
        while not what():
            world.now += 0.05
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_many_processes_let_in_as_many_as_one_and_hardly_more(number: int) -> None:
    async with processes(number) as world:
        for who in "ab":
            assert 0 <= await world.asked(100, who) - 20 <= UNHEARD_LEAST * (number - 1)


async def test_the_window_slides_for_all_together() -> None:
    async with processes(2) as world:
        world.now = 1_019.0
        assert await world.asked(40) in NEARLY_20
        await asyncio.sleep(0.2)  # what was refused is told, too
        world.now = 1_020.5
        assert await world.asked(10) <= UNHEARD_LEAST
        world.now = 1_041.0
        assert await world.asked(40) in NEARLY_20


async def test_who_asks_seldom_is_told_to_nobody_and_waits_for_nobody() -> None:
    async with processes(2) as world:
        world.counts.is_away = True
        assert await asyncio.wait_for(world.asked(2, "seldom"), 0.05) == 2
        world.counts.is_away = False
        await asyncio.sleep(0.25)
        assert not [key for key in world.counts.counters if key.policy.startswith("address")]


async def test_neither_addresses_nor_keys_are_told() -> None:
    async with processes(2) as world:
        await world.asked(50, "198.51.100.1")
        assert world.counts.counters
        assert not [key for key in world.counts.counters if b"198" in key.who]


async def test_without_the_store_each_counts_for_itself_and_with_it_they_do_it_together_again() -> None:
    async with processes(2) as world:
        world.counts.is_away = True
        await until(lambda: not any(each.works for each in world.exchanges), world)
        began = asyncio.get_running_loop().time()
        assert await world.asked(100) == 40
        assert asyncio.get_running_loop().time() - began < 0.2
        world.counts.is_away = False
        await until(lambda: all(each.works for each in world.exchanges), world)
        assert await world.asked(100, "b") in NEARLY_20


async def test_a_store_that_does_not_answer_keeps_nobody_waiting_for_long() -> None:
    async with processes(2) as world:

        async def never(*_: object) -> Totals:
            await asyncio.sleep(60)
            raise AssertionError

        world.counts.add = never  # type: ignore[assignment] # it hangs
        assert await asyncio.wait_for(world.asked(30), 2) <= 40
