"""Both ends of an outbox, for stores: the listeners to commits, and the delivered rows to delete.

A row of an outbox may hold several events. It goes when all of them were delivered.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import StoreUnavailable


class Listeners:
    """Who is told of each group of events as soon as it is durable."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Tell this one, too."""
        self._listeners.append(listener)

    def tell(self, entries: Sequence[Outgoing]) -> None:
        """These are committed. Raises nothing: a listener's failure is reported to the event loop."""
        for listener in self._listeners:
            try:
                listener(entries)
            except Exception as error:  # noqa: BLE001 - what is committed is committed, and stays in the outbox
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a listener of the outbox failed", "exception": error}
                )


class Delivered:
    """Delivered rows, deleted by one of the next commits, or by a commit of their own when none comes."""

    def __init__(self, write: Callable[[], Awaitable[object]], *, seconds: float, limit: int) -> None:
        """`write` makes an empty commit for it to ride along with, after `seconds` or when over `limit` wait."""
        self._write = write
        self._seconds = seconds
        self._limit = limit
        self._waiting: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._is_over = False

    def add(self, positions: Sequence[int]) -> None:
        """Delete these; also called again when the commit that should have deleted them failed."""
        self._waiting += positions
        if self._waiting and self._timer is None and not self._is_over:
            soon = 0.0 if len(self._waiting) > self._limit else self._seconds
            self._timer = asyncio.get_running_loop().call_later(soon, self._begin)

    def take(self) -> list[int]:
        """All that wait, for the commit that is being written."""
        waiting, self._waiting = self._waiting, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return waiting

    async def close(self) -> None:
        """Have what waits written, once more."""
        if self._timer is not None:
            self._timer.cancel()
            self._begin()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self.end()

    def end(self) -> None:
        """Write nothing more by itself: what waits is published again by whoever opens the store next."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._timer = None
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_now())

    async def _write_now(self) -> None:
        try:
            with suppress(StoreUnavailable):  # then they wait for the next commit, or the next time
                await self._write()
        finally:
            self._writing = None
            self.add(())  # what came meanwhile: its time may have passed during this write


class Undelivered:
    """The positions in an outbox that nobody has taken, by row. Used from one thread."""

    def __init__(self) -> None:
        self._lasts: list[int] = []
        self._left: dict[int, set[int]] = {}

    def add(self, last: int, events: int) -> None:
        """There is a row with so many events, the last of them at this position. Positions in a row have no gaps.

        Of one that is known already nothing changes.
        """
        if last in self._left:
            return
        insort(self._lasts, last)
        self._left[last] = set(range(last - events + 1, last + 1))

    def take(self, positions: Sequence[int]) -> Sequence[int]:
        """These were delivered; the rows of which nothing is left now, by their last positions."""
        done = []
        ordered = sorted(positions)
        at = 0
        while at < len(ordered):
            row = bisect_left(self._lasts, ordered[at])
            if row == len(self._lasts):
                break
            last = self._lasts[row]
            end = bisect_right(ordered, last, at)
            left = self._left[last]
            left.difference_update(ordered[at:end])
            at = end
            if not left:
                done.append(last)
                del self._lasts[row], self._left[last]
        return done

    def waits(self, position: int) -> bool:
        """Has nobody taken it?"""
        row = bisect_left(self._lasts, position)
        return row < len(self._lasts) and position in self._left[self._lasts[row]]
