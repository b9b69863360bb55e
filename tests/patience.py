"""Waiting for what comes about by itself, with an end to the patience.

The end is far off: it costs nothing where all is well, and a machine that others use may stall for seconds.
"""

import asyncio
from collections.abc import Callable
from time import monotonic, sleep


async def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Return once `condition` holds. TimeoutError if it doesn't within `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.002)


def eventually(condition: Callable[[], bool], *, seconds: float = 30, every_seconds: float = 0.05) -> bool:
    """Does it come true in time?"""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(every_seconds)
    return True
