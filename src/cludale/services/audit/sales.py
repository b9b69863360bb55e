"""Sales as the log tells them: read once for each concert that somebody looks at, and from then on only what is new."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import msgspec

from cludale.kernel.refusals import NotFound
from cludale.ports.records import Records
from cludale.runtime.recent import Recent
from cludale.services.audit import store
from cludale.services.audit.sale import Happened, Sale, SaleThen
from cludale.services.audit.store import ENTRY, Filter

KEPT = 2
"""Concerts whose sales are kept in memory, or twice as many: some 100 bytes an order."""
PAGE = 500
READ_SECONDS = 2.0
"""How long one question reads on; the next goes on from there."""


class _Reading:
    """One concert's sale, and how far the log is read for it."""

    def __init__(self) -> None:
        self.sale = Sale()
        self.page: str | None = None
        """The cursor of the page that was the last one, and may have grown."""
        self.read_up_to = 0
        self.one_at_a_time = asyncio.Lock()


class Sales:
    """Sales by concert."""

    def __init__(self, records: Records, *, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self._records = records
        self._clock = clock
        self._kept: Recent[str, _Reading] = Recent(KEPT)

    async def at(self, concert_id: str, moment: datetime) -> SaleThen:
        """The sale as it stood at that moment. Raises NotFound for a concert of which nothing is told."""
        reading = self._kept.get(concert_id) or _Reading()
        self._kept.remember({concert_id: reading})
        async with reading.one_at_a_time:
            complete = await self._read_on(concert_id, reading)
        if not reading.sale.events:
            self._kept.pop(concert_id, None)
            raise NotFound("concert", concert_id)
        return reading.sale.at(concert_id, moment, complete=complete)

    async def _read_on(self, concert_id: str, reading: _Reading) -> bool:
        """Read what the log has more by now, for a while; is it read to its end?"""
        until = self._clock() + READ_SECONDS
        while True:
            query = Filter(concert_id=concert_id).query(after=reading.page, limit=PAGE)
            page = await self._records.find(ENTRY, query)
            for stored in page.items:
                sequence, body = store.numbered_event(stored)
                if sequence > reading.read_up_to:
                    reading.sale.tell(msgspec.json.decode(body, type=Happened))
                    reading.read_up_to = sequence
            if page.next is None:
                return True
            reading.page = page.next
            if self._clock() > until:
                return False
