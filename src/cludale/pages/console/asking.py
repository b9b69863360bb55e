"""What the console's pages have in common: pages that go on by themselves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from cludale.pages.api import Quota, Refused, Unreachable
from cludale.pages.staff.signing import Forbidden, SignedOut, Staff
from cludale.web.responses import Stream, event

LONGEST_STREAM_SECONDS = 3_600.0
"""After that the browser asks again, and it is looked anew who asks."""

Render = Callable[[], Awaitable[bytes | None]]


def pause_seconds(every_seconds: float, quota: Quota | None, *, cost: int) -> float:
    """How long to wait before the next look, if one costs so many requests.

    By itself a page takes half of what may be asked, at the most; and nothing while only a quarter is left, as where
    several are open.
    """
    if quota is None or not cost:
        return every_seconds
    pause = max(every_seconds, cost * quota.window_seconds * 2 / max(quota.most, 1))
    return pause if quota.left * 4 > quota.most else max(pause, quota.reset_seconds)


def stream(staff: Staff, render: Render, *, every_seconds: float) -> Stream:
    """Server-sent events: what `render` gives, again and again; None: nothing new. Ends with the session.

    Where requests are limited it looks less often, so that a page that is open leaves the most to who sits there.
    """

    async def frames() -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        until = clock() + LONGEST_STREAM_SECONDS
        while clock() < until:
            before = staff.asked
            try:
                made = await render()
            except (SignedOut, Forbidden):
                return
            except (Refused, Unreachable):
                made = None  # the page keeps what it has; the next look may get an answer
            yield b": still here\n\n" if made is None else event(made.decode())
            await asyncio.sleep(pause_seconds(every_seconds, staff.quota, cost=staff.asked - before))

    return Stream(frames())
