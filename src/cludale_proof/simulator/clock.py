"""The clocks of the simulated machines, and ids from the run's random generator."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

from cludale.kernel.ids import time_ordered

MORNING = datetime(2027, 1, 9, 10, tzinfo=UTC)
"""When every run begins: ten o'clock, the on-sale."""

_RANDOM_BITS = 74


class MachineClock:
    """A machine's clock: virtual time, ahead or behind by `offset_seconds`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time = loop.time
        self.offset_seconds = 0.0

    def now(self) -> datetime:
        """The time as this machine has it."""
        return MORNING + timedelta(seconds=self._time() + self.offset_seconds)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of virtual time, whatever the clock says."""
        await asyncio.sleep(seconds)


class SimulatedIds:
    """Ids like those of a running server, made from a clock and the run's random generator."""

    def __init__(self, clock: MachineClock, choices: random.Random) -> None:
        self._clock = clock
        self._choices = choices

    def new(self, prefix: str) -> str:
        """A fresh id, `prefix-…`."""
        milliseconds = int(self._clock.now().timestamp() * 1_000)
        return time_ordered(prefix, milliseconds=milliseconds, random_bits=self._choices.getrandbits(_RANDOM_BITS))

    def jitter(self) -> float:
        """A random share in [0, 1)."""
        return self._choices.random()
