"""What several ask for at the same time is asked for once."""

import asyncio

import pytest

from cludale.runtime.shared import Shared


async def test_all_who_ask_at_the_same_time_get_one_answer() -> None:
    shared: Shared[str, int] = Shared()
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        number = asked
        await asyncio.sleep(0)
        return number

    assert await asyncio.gather(*(shared.get("a", ask) for _ in range(5)), shared.get("b", ask)) == [1, 1, 1, 1, 1, 2]
    assert await shared.get("a", ask) == 3


async def test_who_stops_waiting_takes_the_answer_from_nobody_else() -> None:
    shared: Shared[str, str] = Shared()
    go = asyncio.Event()

    async def ask() -> str:
        await go.wait()
        return "there"

    impatient = asyncio.create_task(shared.get("a", ask))
    patient = asyncio.create_task(shared.get("a", ask))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await patient == "there"
    assert impatient.cancelled()


async def test_a_failure_reaches_all_who_wait_and_the_next_asks_anew() -> None:
    shared: Shared[str, str] = Shared()
    answers = ["", "there"]

    async def ask() -> str:
        if not (answer := answers.pop(0)):
            raise LookupError("away")
        return answer

    both = await asyncio.gather(shared.get("a", ask), shared.get("a", ask), return_exceptions=True)
    assert [type(each) for each in both] == [LookupError, LookupError]
    assert await shared.get("a", ask) == "there"


async def test_what_is_stopped_is_answered_no_more() -> None:
    shared: Shared[str, None] = Shared()

    async def ask() -> None:
        await asyncio.Event().wait()

    waiting = asyncio.create_task(shared.get("a", ask))
    await asyncio.sleep(0)
    shared.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting
