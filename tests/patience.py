"""Waiting for what comes about by itself, with an end to the patience."""

import asyncio
from collections.abc import Callable
from time import monotonic, sleep


async def until(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    """Return once `condition` holds. TimeoutError if it doesn't within `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.002)


def eventually(condition: Callable[[], bool], *, seconds: float = 20, every_seconds: float = 0.05) -> bool:
    """Does it come true in time?"""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(every_seconds)
    return True
