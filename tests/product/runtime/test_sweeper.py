"""The sweeper comes round, whatever one of the services does."""

import asyncio
from datetime import datetime

import pytest
from tests.fakes import NOON

from cludale.runtime.sweeper import Sweeper


class StepClock:
    """A clock whose sleepers wait until the test lets them go on."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._steps = asyncio.Semaphore(0)

    def now(self) -> datetime:
        return NOON

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._steps.acquire()

    async def step(self) -> None:
        self._steps.release()
        await asyncio.sleep(0.001)


class Broom:
    """A sweep that counts, and fails when it is told to."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.swept = 0
        self.fails = fails

    async def sweep(self) -> int:
        self.swept += 1
        if self.fails is not None:
            raise self.fails
        return 1


async def test_it_sweeps_at_once_and_then_every_so_often() -> None:
    clock, broom = StepClock(), Broom()
    sweeper = Sweeper({"concerts": broom.sweep}, every_seconds=2.5, clock=clock)
    sweeping = asyncio.create_task(sweeper.run())
    await asyncio.sleep(0.001)
    assert broom.swept == 1
    await clock.step()
    await clock.step()
    assert broom.swept == 3
    assert set(clock.slept) == {2.5}
    sweeping.cancel()
    await clock.step()
    assert broom.swept == 3


async def test_one_services_trouble_keeps_no_other_from_being_swept(caplog: pytest.LogCaptureFixture) -> None:
    clock, broken, sound = StepClock(), Broom(OSError("disk")), Broom()
    sweeper = Sweeper({"payments": broken.sweep, "concerts": sound.sweep}, every_seconds=1, clock=clock)
    sweeping = asyncio.create_task(sweeper.run())
    await clock.step()
    await clock.step()
    assert broken.swept == sound.swept == 3
    assert "sweep of payments" in caplog.text
    sweeping.cancel()


async def test_nothing_is_swept_while_another_release_does_the_work() -> None:
    clock, broom, takes_work = StepClock(), Broom(), False
    sweeper = Sweeper({"orders": broom.sweep}, every_seconds=1, clock=clock, takes_work=lambda: takes_work)
    sweeping = asyncio.create_task(sweeper.run())
    await clock.step()
    await clock.step()
    assert broom.swept == 0
    takes_work = True
    await clock.step()
    assert broom.swept == 1
    sweeping.cancel()
