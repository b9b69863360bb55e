"""Who has just signed in or was just paired: a process hears of a new key within a second, and each at its own time."""

import asyncio
from collections.abc import Awaitable, Callable

from cludale.pages.api import Answer

NEW_SECONDS = 5
"""A key that was made so lately may not be known to all processes."""
CLOCKS_SECONDS = 1
"""How much two machines' clocks may differ. What says that it is of a later time is made up."""
KNOWN_AFTER_SECONDS = (0.3, 0.5, 0.7)
"""Between two looks whether it is."""


async def known_soon(ask: Callable[[], Awaitable[Answer]], *, age_seconds: Callable[[], float]) -> Answer:
    """The answer; asked again for a moment where a key of this age is not known. Nobody new is sent away for that."""
    for seconds in KNOWN_AFTER_SECONDS:
        answer = await ask()
        if answer.status != 401 or not -CLOCKS_SECONDS <= age_seconds() < NEW_SECONDS:
            return answer
        await asyncio.sleep(seconds)
    return await ask()
