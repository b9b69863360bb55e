"""Relay: takes committed events from the outbox to the bus. The only way by which events leave a service.

Events come from memory as soon as they are durable; after a restart, or when more wait than memory should
hold, they are read from the outbox in pages. One that the bus does not take is published again. Every so often
the outbox is looked through for what nobody told of: commits whose answer was lost, what a dead replica left.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from cludale.kernel.backoff import Backoff
from cludale.ports.bus import EventBus
from cludale.ports.clock import Clock, IdSource
from cludale.ports.outbox import Outbox, Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime.recent import Recent
from cludale.runtime.tasks import Tasks

_log = logging.getLogger(__name__)

READ_REMEMBERED = 20_000
"""How many positions read from the outbox are remembered: a later announcement of one of them is ignored."""


class Relay:
    """Publishes everything in the outbox, in order where nothing fails, with at most `limit` events under way."""

    def __init__(
        self,
        outbox: Outbox,
        bus: EventBus,
        *,
        clock: Clock,
        ids: IdSource,
        backoff: Backoff,
        limit: int = 20_000,
        page: int = 500,
        look_again_seconds: float = 5.0,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._backoff = backoff
        self._limit = limit
        self._page = page
        self._look_again_seconds = look_again_seconds
        self._on_progress = on_progress
        self.behind = True
        """Does it have to read the outbox, because memory does not have all that waits there?"""
        self._cursor = 0
        self._newest = 0
        self._left = 0
        """Events announced while memory was full, and not read from the outbox yet."""
        self._read: Recent[int, None] = Recent(READ_REMEMBERED)
        self._stopped = False
        self._tasks = Tasks(lambda error: _log.critical("the relay stopped: %s", error, exc_info=error))
        self._room = asyncio.Event()
        self._publishing: dict[int, Sequence[Outgoing]] = {}
        self._began: dict[int, datetime] = {}
        """Batch that is being published → when it was tried first; the oldest stands first."""
        self._batches = 0
        self.under_way = 0
        """Events handed to the bus and not yet taken."""
        self.published = 0

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._outbox.listen(self._fresh)
        self._tasks.start(self._catch_up())
        self._tasks.start(self._look_again())

    async def stop(self) -> None:
        """Leave the rest in the outbox for the next start."""
        self._stopped = True
        await self._tasks.stop()

    @property
    def lag(self) -> int:
        """Events committed and not yet taken by the bus, as far as this process knows."""
        return self.under_way + self._left

    @property
    def oldest_seconds(self) -> float:
        """For how long the bus has not taken the event that it was given first; 0 where it has taken all."""
        began = next(iter(self._began.values()), None)
        return 0.0 if began is None else (self._clock.now() - began).total_seconds()

    def _fresh(self, entries: Sequence[Outgoing]) -> None:
        if self._stopped:
            return
        self._newest = max(self._newest, entries[-1].position)
        if entries[0].position <= self._cursor:
            # Read from the outbox, durable, before we were told of it; or from a partition that was slower than others.
            late = [e for e in entries if e.position <= self._cursor and e.position not in self._read]
            entries = [entry for entry in entries if entry.position > self._cursor]
            if late:
                self._send(late)
            if not entries:
                return
        if self.behind:
            self._left += len(entries)
            return
        if self.under_way + len(entries) > self._limit:
            self.behind = True
            self._left = len(entries)
            self._tasks.start(self._catch_up())
            return
        self._send(entries)

    async def _catch_up(self) -> None:
        failed = 0
        while True:
            while self.under_way >= self._limit // 2:
                self._room.clear()
                await self._room.wait()
            newest = self._newest
            try:
                entries = await self._outbox.pending(self._cursor, self._page)
            except StoreUnavailable as away:
                failed += 1
                wait = self._backoff.seconds(failed, self._ids.jitter())
                _log.warning("the outbox can't be read: %s; again in %.1f s", away, wait)
                await self._clock.sleep(wait)
                continue
            failed = 0
            if entries:
                self._left = max(0, self._left - len(entries))
                self._read.remember(dict.fromkeys(entry.position for entry in entries))
                self._send(entries)
            elif newest == self._newest:  # nothing was committed while we looked: from here on, memory tells
                break
        self.behind = False
        self._left = 0

    async def _look_again(self) -> None:
        """Publish what two looks at the outbox in a row find there, and that is not being published."""
        idle: set[int] = set()
        while True:
            await asyncio.sleep(self._look_again_seconds)
            try:
                entries = await self._outbox.pending(0, self._page)
            except StoreUnavailable as away:
                _log.warning("the outbox can't be looked through: %s", away)
                continue
            under_way = {entry.position for batch in self._publishing.values() for entry in batch}
            end = self._cursor if self.behind else entries[-1].position if entries else 0
            # What catching up is about to read is not overlooked.
            resting = [entry for entry in entries if entry.position not in under_way and entry.position <= end]
            overlooked = [entry for entry in resting if entry.position in idle]
            idle = {entry.position for entry in resting}
            if overlooked:
                _log.warning("%d events lay in the outbox unseen and are published now", len(overlooked))
                self._send(overlooked)

    def _send(self, entries: Sequence[Outgoing]) -> None:
        self._cursor = max(self._cursor, entries[-1].position)
        self.under_way += len(entries)
        self._batches += 1
        self._tasks.start(self._publish(self._batches, entries))

    async def _publish(self, batch: int, entries: Sequence[Outgoing]) -> None:
        attempt = 0
        self._began[batch] = self._clock.now()
        while entries:
            attempt += 1
            self._publishing[batch] = entries
            try:
                taken = await self._bus.publish(entries)
            except Exception as error:  # noqa: BLE001 - whatever stopped the bus, the events stay in the outbox
                _log.warning("the bus took none of %d events: %s", len(entries), error, exc_info=error)
                taken = [False] * len(entries)
            done = [entry.position for entry, ok in zip(entries, taken, strict=True) if ok]
            if len(done) == len(entries):
                entries = ()
            else:
                entries = [entry for entry, ok in zip(entries, taken, strict=True) if not ok]
            self._outbox.delivered(done)
            self.published += len(done)
            self.under_way -= len(done)
            self._room.set()
            self._on_progress()
            if entries:
                self._publishing[batch] = entries
                await self._clock.sleep(self._backoff.seconds(attempt, self._ids.jitter()))
            else:
                del self._publishing[batch], self._began[batch]
