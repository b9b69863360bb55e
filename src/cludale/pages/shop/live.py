"""A concert's availability as it changes: one frame of bytes a version, shared by all who watch or ask."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from datetime import datetime

import msgspec

from cludale.pages.api import Refused, Unreachable
from cludale.pages.shop.availability import level, sale
from cludale.pages.shop.programme import FreshAnswer, Programme
from cludale.pages.shop.views import Concert
from cludale.pages.site import Missing
from cludale.web.feeds import Feed
from cludale.web.responses import JSON, Response

LOOK_SECONDS = 0.5
"""How often a concert that somebody watches is looked at: what they see is not a second old …"""
FRESH_SECONDS = 0.05
"""… though what was asked for that recently is not asked for again, and to tell all of them takes a moment, too."""


class Frame(msgspec.Struct, frozen=True):
    """What viewers are told: the sale, and each section's level with its seats where few are left."""

    sale: str
    sections: dict[str, tuple[str, int]]


class ShownFrame:
    """The frame of now, as it goes out."""

    def __init__(self, frame: Frame, version: int) -> None:
        body = msgspec.json.encode(frame)
        self.frame = frame
        self.version = version
        self.event = b"data: " + body + b"\n\n"
        headers = (("etag", f'"{hashlib.sha256(body).hexdigest()[:16]}"'), ("cache-control", "no-cache"))
        self.response = Response(200, body, JSON, headers)


class Live:
    """Frames by concert."""

    def __init__(self, programme: Programme, *, now: Callable[[], datetime]) -> None:
        self._programme = programme
        self._now = now
        self._shown: dict[str, ShownFrame] = {}
        self._feeds: dict[str, Feed] = {}
        self._looking: set[asyncio.Task[None]] = set()

    async def shown(self, id: str) -> ShownFrame:
        """What is shown of the concert now. Raises Missing, Refused, Unreachable."""
        return self.made(id, await self._programme.concert(id))

    def made(self, id: str, kept: FreshAnswer[Concert]) -> ShownFrame:
        """What is shown of it; whoever watches it is told, if that is new."""
        concert = kept.value
        levels = ((each, level(each)) for each in concert.sections)
        sections = {each.id: (said, each.available_seats if said == "few" else 0) for each, said in levels}
        frame = Frame(sale(concert, self._now()).value, sections)
        before = self._shown.get(id)
        if before is not None and before.frame == frame:
            return before
        if len(self._shown) >= 1_024:
            self._shown.pop(next(iter(self._shown)))
        shown = self._shown[id] = ShownFrame(frame, 1 if before is None else before.version + 1)
        feed = self._feeds.get(id)
        if feed is not None:
            feed.tell(shown.event)
        return shown

    async def feed(self, id: str) -> Feed:
        """The frame, and each that follows, while somebody reads. Raises Missing, Refused, Unreachable."""
        shown = await self.shown(id)
        feed = self._feeds.get(id)
        if feed is None:
            feed = self._feeds[id] = Feed()
            feed.tell(shown.event)
            looking = asyncio.get_running_loop().create_task(self._look(id, feed))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
        return feed

    async def _look(self, id: str, feed: Feed) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not feed:
                del self._feeds[id]
                return
            with contextlib.suppress(Missing, Refused, Unreachable):
                self.made(id, await self._programme.concert(id, within_seconds=FRESH_SECONDS))

    def stop(self) -> None:
        """Look no more."""
        for looking in self._looking:
            looking.cancel()
