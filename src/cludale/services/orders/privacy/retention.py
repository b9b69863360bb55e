"""Retention: what is due for a buyer's address is its erasure, so many days after the concert.

Its time runs so many days behind: an address is due there once its concert is over there. So another number of days
holds from the next start on, for those that are kept already, too.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.ports.clock import Clock
from cludale.ports.programme import Programme, ProgrammeUnreachable
from cludale.runtime.due import Do, DuePolicy, Step
from cludale.services.orders.events import ErasureReason
from cludale.services.orders.privacy import domain as personal
from cludale.services.orders.privacy.domain import Personal

ASK_SECONDS = 10.0
"""How long concerts may take to say when the concerts of a page are."""
LEASE_SECONDS = 60.0
AGAIN = timedelta(minutes=10)
"""When it is looked at again for want of an answer."""

_log = logging.getLogger(__name__)


class RetentionPeriod(NamedTuple):
    """How long after a concert its buyers' addresses are kept."""

    days: float
    programme: Programme
    """Knows when concerts are."""


class Behind:
    """A clock that is so many days behind."""

    def __init__(self, clock: Clock, days: float) -> None:
        self._clock = clock
        self._behind = timedelta(days=days)

    def now(self) -> datetime:
        """The time `days` ago."""
        return self._clock.now() - self._behind

    async def sleep(self, seconds: float) -> None:
        """Sleep for as long as on the real clock."""
        await self._clock.sleep(seconds)


class Retention(DuePolicy[Personal]):
    """Erases whose concert is over, by the time of `Behind`."""

    def __init__(self, programme: Programme, clock: Clock) -> None:
        """`clock`: the true time."""
        self._programme = programme
        self._clock = clock
        self.erased = 0
        """How many."""

    def take_up(self, state: Personal, now: datetime) -> Decision[Personal]:
        """It is claimed."""
        return Decision(personal.claim(state, now=now, until=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, states: Sequence[Personal]) -> Do[Personal]:
        """Concerts is asked when they are, for all at once."""
        ids = list(dict.fromkeys(state.concert_id for state in states))
        try:
            concerts = await self._programme.of(ids)
        except ProgrammeUnreachable as trouble:
            why = str(trouble)

            async def later(state: Personal) -> Step[Personal]:
                return self.no_answer(state, why)

            return later
        over = {id: personal.over_at(concert) for id, concert in concerts.items()}
        at = self._clock.now()

        async def do(state: Personal) -> Step[Personal]:
            # Of a concert that nobody knows there are no tickets: what counts is when the order was placed.
            end = over.get(state.concert_id, state.created_at)

            def step(now_kept: Personal, behind: datetime) -> Decision[Personal]:
                if end > behind:
                    return Decision(personal.look_again(now_kept, due_at=end))
                return personal.erase(now_kept, ErasureReason.RETENTION, at=at)

            return step

        return do

    def no_answer(self, state: Personal, why: str) -> Step[Personal]:
        """It is kept, and looked at again soon."""
        _log.info("when the concert of order %s is can't be known: %s", state.order_id, why)
        return lambda now_kept, behind: Decision(personal.look_again(now_kept, due_at=behind + AGAIN))

    def settled(self, states: Sequence[Personal]) -> None:
        """They are counted, and the log says how many."""
        erased = sum(state.sealed is None for state in states)
        if erased:
            self.erased += erased
            _log.info("addresses of %d orders were erased: their time was over", erased)
