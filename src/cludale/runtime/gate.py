"""Gate: how many buyers are served at once, so that those who are let in are served fast.

Past that they wait outside, in order and not for long; when more wait already than can surely be let in in time, at
the pace of the last moments, the next is turned away at once. What was let in makes work for later (events to deliver):
while too much of that is left, nobody new is let in, so what is sold is what can be finished.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from cludale.kernel.refusals import Busy

PATROL_SECONDS = 0.05
PACE_SECONDS = 1.0
"""The pace is that of so long: people are let in by the batch, so one moment says little."""
LEAST_PACE_SECONDS = 0.25
"""Less than that says nothing."""
EXPECTED_SHARE = 0.5
"""As much of the longest wait is expected of the last in the queue: the pace swings, and who waits should get in."""
LEAST_WAITING = 64
"""So many may wait however slow it goes: who knows how it goes on."""

TOO_MANY = "More buyers are waiting than can be served in time."


class Gate:
    """At most `inside_limit` inside and `waiting_limit` waiting, each for about `waiting_seconds` at most.

    `backlog` tells how much work is left over; nobody is let in while that is `backlog_limit` or more. Whoever
    works it off calls `let_in`.
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
        self._backlog = backlog
        self._backlog_limit = backlog_limit
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._patrol: asyncio.TimerHandle | None = None
        self._entered = 0
        self._looks: deque[tuple[float, int]] = deque()
        """When we looked in the last second, and how many had entered by then."""
        self._room_outside = waiting_limit
        self._is_closing = False
        self.inside = 0
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        """How many wait outside."""
        return len(self._waiting)

    def turns_away(self) -> bool:
        """Would one who comes now be turned away at once? For who can say so for less than a Busy costs; it counts."""
        if not self._waiting and self._has_room():
            return False
        if len(self._waiting) < self._room_outside:
            return False
        self.turned_away += 1
        return True

    async def enter(self) -> None:
        """Be let in; call `leave` when done. Raises Busy."""
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
        """Make room for the next one."""
        self.inside -= 1
        if self._waiting:
            self.let_in()

    def let_in(self) -> None:
        """Let in as many of those who wait as there is room for."""
        while self._waiting and self._has_room():
            _, future = self._waiting.popleft()
            if not future.done():
                self.inside += 1
                self._entered += 1
                future.set_result(None)

    def close(self) -> None:
        """The process ends: serve who waits, whatever is left over. That is durable, and delivered by who goes on.

        Nobody works it off here any more; who waits for that would wait until the connection is cut.
        """
        self._is_closing = True
        self.let_in()

    def _has_room(self) -> bool:
        return self.inside < self._inside_limit and (self._is_closing or self._backlog() < self._backlog_limit)

    def _look(self, now: float) -> None:
        """See how fast it goes, and so for how many it makes sense to wait."""
        looks = self._looks
        looks.append((now, self._entered))
        while now - looks[0][0] > PACE_SECONDS:
            looks.popleft()
        since, entered = looks[0]
        room = self._waiting_limit
        if now - since >= LEAST_PACE_SECONDS:
            pace = (self._entered - entered) / (now - since)
            room = min(room, max(LEAST_WAITING, int(pace * self._waiting_seconds * EXPECTED_SHARE)))
        self._room_outside = room

    def _go_round(self) -> None:
        """Let in, turn away who has waited too long, and look how fast it goes."""
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
