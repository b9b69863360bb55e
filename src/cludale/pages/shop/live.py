"""A concert's availability as it changes: one frame of bytes a version, shared by all who watch or ask."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import msgspec

from cludale.pages.api import Refused, Unreachable
from cludale.pages.shop.availability import level, sale
from cludale.pages.shop.programme import Kept, Programme
from cludale.pages.shop.views import Concert
from cludale.pages.site import Missing
from cludale.web.responses import JSON, Response

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a concert that somebody watches is looked at."""


class Frame(msgspec.Struct, frozen=True):
    """What viewers are told: the sale, and each section's level with its seats where few are left."""

    sale: str
    sections: dict[str, tuple[str, int]]


class Shown:
    """The frame of now, as it goes out."""

    def __init__(self, frame: Frame, version: int) -> None:
        body = msgspec.json.encode(frame)
        self.frame = frame
        self.version = version
        self.event = b"data: " + body + b"\n\n"
        headers = (("etag", f'"{hashlib.sha256(body).hexdigest()[:16]}"'), ("cache-control", "no-cache"))
        self.response = Response(200, body, JSON, headers)


class _Watch:
    """One concert that is watched."""

    def __init__(self) -> None:
        self.viewers = 0
        self.changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.looking: asyncio.Task[None] | None = None


class Live:
    """Frames by concert."""

    def __init__(self, programme: Programme, *, now: Callable[[], datetime]) -> None:
        self._programme = programme
        self._now = now
        self._shown: dict[str, Shown] = {}
        self._watches: dict[str, _Watch] = {}

    async def shown(self, id: str) -> Shown:
        """What is shown of the concert now. Raises Missing, Refused, Unreachable."""
        return self._made(id, await self._programme.concert(id))

    def _made(self, id: str, kept: Kept[Concert]) -> Shown:
        concert = kept.value
        sections = {
            each.id: (level(each), each.available_seats if level(each) == "few" else 0) for each in concert.sections
        }
        frame = Frame(sale(concert, self._now()).value, sections)
        before = self._shown.get(id)
        if before is not None and before.frame == frame:
            return before
        if len(self._shown) >= 1_024:
            self._shown.pop(next(iter(self._shown)))
        shown = self._shown[id] = Shown(frame, 1 if before is None else before.version + 1)
        watch = self._watches.get(id)
        if watch is not None:
            watch.changed.set_result(None)
            watch.changed = asyncio.get_running_loop().create_future()
        return shown

    async def events(self, id: str) -> AsyncIterator[bytes]:
        """The frame, and each that follows, until nobody reads. `shown` has to have succeeded before."""
        watch = self._watches.setdefault(id, _Watch())
        watch.viewers += 1
        if watch.looking is None:
            watch.looking = asyncio.get_running_loop().create_task(self._look(id))
        sent = None
        try:
            while True:
                shown, changed = self._shown.get(id), watch.changed
                if shown is not None and shown is not sent:
                    sent = shown
                    yield shown.event
                else:
                    await asyncio.shield(changed)
        finally:
            watch.viewers -= 1
            if not watch.viewers and watch.looking is not None:
                watch.looking.cancel()
                self._watches.pop(id, None)

    async def _look(self, id: str) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(Missing, Refused, Unreachable):
                await self.shown(id)

    def stop(self) -> None:
        """Look no more."""
        for watch in self._watches.values():
            if watch.looking is not None:
                watch.looking.cancel()
