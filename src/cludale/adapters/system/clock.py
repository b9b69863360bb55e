"""The machine's clock and ids made of it."""

import asyncio
import random
import time
from datetime import UTC, datetime
from functools import partial

from cludale.kernel.ids import VARIANT, beginning

_STEP_BITS = 32


class SystemClock:
    """The Clock of a running server."""

    now = staticmethod(partial(datetime.now, UTC))
    """The time, aware, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)


class SystemIds:
    """The IdSource of a running server: UUIDv7, rising also within one millisecond and when the clock goes back.

    Each millisecond starts at 73 fresh random bits and each id in it steps on by up to 2^32 (RFC 9562, 6.2,
    method 2), so replicas don't collide. Ids are no secrets, so the generator need not be a cryptographic one;
    it is seeded by the operating system.
    """

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - ids name things, they don't protect them
        self._bits = self._random.getrandbits
        self._millisecond = 0
        self._begin = ""
        """The first half of all ids of this millisecond."""
        self._last = 0
        """The second half of the last one."""

    def new(self, prefix: str) -> str:
        """A fresh id, `prefix-…`, later ids sorting after earlier ones."""
        now = time.time_ns() // 1_000_000
        if now > self._millisecond:
            self._millisecond = now
            self._begin = beginning(milliseconds=now, random_bits=self._bits(12))
            self._last = VARIANT | self._bits(61)  # the top one of the 62 stays free for stepping on
        else:
            self._last += 1 + self._bits(_STEP_BITS)
        return f"{prefix}-{self._begin}{self._last:x}"  # 16 digits, by its variant

    def jitter(self) -> float:
        """A random share in [0, 1)."""
        return self._random.random()
