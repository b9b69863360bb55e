"""Work that runs beside its owner: kept until it ends, stopped in order, and said when it breaks."""

import asyncio

from cludale.runtime.tasks import Tasks


async def test_what_breaks_one_is_told_and_costs_no_other() -> None:
    told: list[BaseException] = []
    done: list[str] = []
    tasks = Tasks(told.append)

    async def breaks() -> None:
        raise ValueError("broken")

    async def works() -> None:
        await asyncio.sleep(0)
        done.append("works")

    tasks.start(breaks())
    tasks.start(works())
    assert len(tasks) == 2
    await tasks.stop(finish_seconds=5)
    assert [str(each) for each in told] == ["broken"]
    assert done == ["works"]
    assert len(tasks) == 0


async def test_what_has_not_ended_in_time_is_cancelled_and_that_is_no_fault() -> None:
    told: list[BaseException] = []
    ended: list[str] = []
    tasks = Tasks(told.append)

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    tasks.start(endless())
    await tasks.stop(finish_seconds=0.01)
    assert ended == ["cancelled"]
    assert told == []
    assert len(tasks) == 0


async def test_none_is_stopped_at_once() -> None:
    await Tasks(lambda _: None).stop(finish_seconds=60)
