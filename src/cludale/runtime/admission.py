"""Admission control: limits how many requests are served at once, so that those that are admitted are served fast.

The others wait in a queue, in order. It is as long as the measured admission rate can serve in time, and no longer than
its limit: the next request is refused at once. So the limit says how long one waits where much is served, and the time
where little is. Each admitted request leaves events to deliver: while that backlog is over its limit, no new request is
admitted.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from cludale.kernel.refusals import Busy

PATROL_SECONDS = 0.05
PACE_SECONDS = 1.0
"""Window over which the admission rate is averaged, at the least: requests are admitted in batches."""
PACE_SHARE = 0.5
"""Share of the longest wait that the window has where that is more: a pause between two batches is no reason to refuse
anybody who can be served in time all the same."""
LEAST_PACE_SECONDS = 0.25
LEAST_PACE_SHARE = 0.25
"""A shorter time, or a smaller share of the longest wait, gives no usable rate."""
EXPECTED_SHARE = 0.5
"""Share of the longest wait that the last in the queue is expected to need: a reserve, because the rate varies."""
LEAST_WAITING = 64
"""The least that may wait, however low the rate of admission is: it may rise."""

TOO_MANY = "More buyers are waiting than can be served in time."


class AdmissionControl:
    """Admits at most `inside_limit` requests at once; `waiting_limit` may wait, each for about `waiting_seconds`.

    `backlog` returns the number of events still to deliver; none is admitted while that is `backlog_limit` or more.
    Who delivers them calls `let_in`.
    """

    def __init__(
        self,
        *,
        inside_limit: int = 512,
        waiting_limit: int = 1_000,
        waiting_seconds: float = 1.0,
        backlog: Callable[[], int] = lambda: 0,
        backlog_limit: int = 4_000,
    ) -> None:
        self._inside_limit = inside_limit
        self._waiting_limit = waiting_limit
        self._waiting_seconds = waiting_seconds
        self._window = max(PACE_SECONDS, waiting_seconds * PACE_SHARE)
        self._least_window = max(LEAST_PACE_SECONDS, waiting_seconds * LEAST_PACE_SHARE)
        self._backlog = backlog
        self._backlog_limit = backlog_limit
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._patrol: asyncio.TimerHandle | None = None
        self._entered = 0
        self._looks: deque[tuple[float, int]] = deque()
        """Times within its window at which the rate was measured, and how many had been admitted by then."""
        self._room_outside = waiting_limit
        self._is_closing = False
        self.inside = 0
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def turns_away(self) -> bool:
        """Would a request be refused at once now? Cheaper than raising Busy; counts as one that was turned away."""
        if not self._waiting and self._has_room():
            return False
        if len(self._waiting) < self._room_outside:
            return False
        self.turned_away += 1
        return True

    async def enter(self) -> None:
        """Wait to be admitted; call `leave` when done. Raises Busy."""
        if not self._waiting and self._has_room():
            self.inside += 1
            self._entered += 1
            return
        if self.turns_away():
            raise Busy(TOO_MANY)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((loop.time() + self._waiting_seconds, future))
        if self._patrol is None:
            self._look(loop.time())
            self._patrol = loop.call_later(PATROL_SECONDS, self._go_round)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.leave()  # let in, and gone in the same moment
            raise

    def leave(self) -> None:
        """End an admitted request, and admit the next."""
        self.inside -= 1
        if self._waiting:
            self.let_in()

    def let_in(self) -> None:
        """Admit as many of those that wait as the limits allow."""
        while self._waiting and self._has_room():
            _, future = self._waiting.popleft()
            if not future.done():
                self.inside += 1
                self._entered += 1
                future.set_result(None)

    def close(self) -> None:
        """The process ends: admit those that wait, whatever the backlog is.

        The backlog is stored, and other replicas or the next start deliver it; this process does not any more.
        """
        self._is_closing = True
        self.let_in()

    def _has_room(self) -> bool:
        return self.inside < self._inside_limit and (self._is_closing or self._backlog() < self._backlog_limit)

    def _look(self, now: float) -> None:
        """Measure the admission rate, and from it how many may wait."""
        looks = self._looks
        looks.append((now, self._entered))
        while now - looks[0][0] > self._window:
            looks.popleft()
        since, entered = looks[0]
        room = self._waiting_limit
        if now - since >= self._least_window:
            pace = (self._entered - entered) / (now - since)
            room = min(room, max(LEAST_WAITING, int(pace * self._waiting_seconds * EXPECTED_SHARE)))
        self._room_outside = room

    def _go_round(self) -> None:
        """Admit, refuse those that have waited too long, and measure the rate."""
        self._patrol = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.let_in()
        self._look(now)
        while self._waiting and self._waiting[0][0] <= now:
            _, future = self._waiting.popleft()
            if not future.done():
                self.turned_away += 1
                future.set_exception(Busy("The request could not be served in time."))
        if self._waiting:
            self._patrol = loop.call_later(PATROL_SECONDS, self._go_round)
