"""Virtual time, and processes that die, freeze and are picked at random."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from cludale_proof.simulator.loop import OUTSIDE, Deadlock, Livelock, Owner, SimulatedLoop, inside


def loop(seed: int = 1, *, shuffle: float = 0.0) -> SimulatedLoop:
    return SimulatedLoop(random.Random(seed), shuffle=shuffle)  # type: ignore[abstract] # what is left out is I/O


def test_an_hour_passes_in_no_time() -> None:
    virtual = loop()
    began = time.monotonic()
    virtual.run_until_complete(asyncio.sleep(3600))
    assert virtual.time() == 3600
    assert time.monotonic() - began < 60


def test_a_timeout_is_kept_in_virtual_time() -> None:
    async def late() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(60)

    virtual = loop()
    with pytest.raises(TimeoutError):
        virtual.run_until_complete(late())
    assert virtual.time() == 5


def test_what_belongs_to_a_dead_process_never_runs_again_not_even_a_finally() -> None:
    said: list[str] = []
    virtual, process = loop(), Owner("p")

    async def work() -> None:
        try:
            said.append("begun")
            await asyncio.sleep(1)
            said.append("went on")
        finally:
            said.append("cleaned up")

    async def kill() -> None:
        inside(process, virtual.create_task, work())
        await asyncio.sleep(0.5)
        process.die()
        await asyncio.sleep(10)

    virtual.run_until_complete(kill())
    assert said == ["begun"]
    virtual.close()


def test_what_a_process_begins_belongs_to_it() -> None:
    virtual, process = loop(), Owner("p")
    said: list[str] = []

    async def child() -> None:
        await asyncio.sleep(1)
        said.append("child")

    async def parent() -> None:
        asyncio.get_running_loop().call_later(1, said.append, "timer")
        await asyncio.create_task(child())

    async def kill() -> None:
        inside(process, virtual.create_task, parent())
        await asyncio.sleep(0.5)
        process.die()
        await asyncio.sleep(10)

    virtual.run_until_complete(kill())
    assert said == []
    assert len(process.tasks) == 2
    virtual.close()


def test_a_frozen_process_goes_on_where_it_was() -> None:
    virtual, process = loop(), Owner("p")
    woke: list[float] = []

    async def work() -> None:
        await asyncio.sleep(1)
        woke.append(virtual.time())

    async def freeze() -> None:
        inside(process, virtual.create_task, work())
        await asyncio.sleep(0.5)
        process.paused_until = 7.0
        await asyncio.sleep(10)

    virtual.run_until_complete(freeze())
    assert woke == [7.0]


def test_a_process_dies_after_so_many_steps() -> None:
    virtual, process = loop(), Owner("p")
    steps: list[int] = []

    async def work() -> None:
        for step in range(100):
            steps.append(step)
            await asyncio.sleep(0)

    async def main() -> None:
        process.steps_to_live = 3
        inside(process, virtual.create_task, work())
        await asyncio.sleep(1)

    virtual.run_until_complete(main())
    assert steps == [0, 1, 2]
    assert not process.alive
    assert OUTSIDE.alive
    virtual.close()


async def _race(count: int) -> list[int]:
    order: list[int] = []

    async def runner(number: int) -> None:
        await asyncio.sleep(0)
        order.append(number)

    await asyncio.gather(*(runner(number) for number in range(count)))
    return order


def test_ready_steps_run_in_order_or_in_an_order_that_the_seed_decides() -> None:
    def raced(seed: int, shuffle: float) -> list[int]:
        return loop(seed, shuffle=shuffle).run_until_complete(_race(20))

    assert raced(1, 0.0) == list(range(20))
    assert raced(1, 1.0) == raced(1, 1.0) != list(range(20))
    assert raced(1, 1.0) != raced(2, 1.0)
    assert sorted(raced(3, 1.0)) == list(range(20))


async def _nothing() -> None:
    await asyncio.sleep(0)


def test_waiting_for_what_will_never_be_is_a_deadlock() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    virtual = loop()
    with pytest.raises(Deadlock):
        virtual.run_until_complete(forever())
    virtual.close()


def test_running_in_a_circle_is_a_livelock() -> None:
    async def circle() -> None:
        while virtual.time() == 0:
            await _nothing()

    virtual = loop()
    with pytest.raises(Livelock):
        virtual.run_until_complete(circle())
    virtual.close()


def test_a_failure_ends_the_run_whatever_the_code_makes_of_exceptions() -> None:
    virtual = loop()

    async def swallowing() -> None:
        virtual.fail(RuntimeError("broken"))
        with suppress(Exception):
            await asyncio.sleep(10)

    with pytest.raises(RuntimeError, match="broken"):
        virtual.run_until_complete(swallowing())
    assert virtual.time() == 0
    virtual.close()


@pytest.mark.parametrize("begin", [asyncio.create_task, asyncio.ensure_future])
def test_sets_of_tasks_keep_their_order(begin: Callable[..., Awaitable[None]]) -> None:
    async def main() -> list[str]:
        tasks = {begin(asyncio.sleep(0)) for _ in range(50)}
        names = [task.get_name() for task in tasks if isinstance(task, asyncio.Task)]
        await asyncio.wait({task for task in tasks if isinstance(task, asyncio.Task)})
        return names

    assert loop().run_until_complete(main()) == loop().run_until_complete(main())
