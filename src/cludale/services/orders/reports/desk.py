"""Schedules at work: made, listed, ended, and brought under another master key. What is due is in `mailing.py`."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.records import Query
from cludale.ports.seals import CannotOpen, Seals
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates
from cludale.runtime.due import DueWork
from cludale.services.orders.reports import links, schedules
from cludale.services.orders.reports.links import Link
from cludale.services.orders.reports.mailing import AT_ONCE, ATTEMPT_SECONDS, Mailing
from cludale.services.orders.reports.schedules import MOST, Schedule, TooManySchedules
from cludale.services.orders.reports.store import SCHEDULES, live

PAGE = 200
LOOK = timedelta(seconds=60)
"""How often a replica looks for reports that are due: they are due to the minute, and each look is a query."""

_log = logging.getLogger(__name__)


class Schedules:
    """The schedules of all organizers."""

    def __init__(self, updates: Updates, seals: Seals, mailing: Mailing, *, takes_work: Callable[[], bool]) -> None:
        self._updates = updates
        self._seals = seals
        self._rewraps = seals.has_two_masters
        self._takes_work = takes_work
        self._look_at = updates.clock.now() + LOOK
        self.due = DueWork(
            updates, SCHEDULES, mailing, at_once=AT_ONCE, attempt_seconds=ATTEMPT_SECONDS, takes_work=takes_work
        )

    async def add(self, schedule: Schedule, to: str) -> Schedule:
        """Keep a new one, whose reports go to this address. Raises TooManySchedules, Busy."""
        if len(await self.of(schedule.organizer)) >= MOST:
            raise TooManySchedules
        id, now = self._updates.ids.new("schedule"), self._updates.clock.now()
        new = schedules.begin(replace(schedule, id=id, created_at=now, to=self._seals.seal(to.encode(), id)), now=now)

        def decide(_: Schedule | None, __: datetime) -> Decision[Schedule]:
            return Decision(new)

        ((result, _),) = await self._updates.update([Change(SCHEDULES, id, decide, Cause(), known=NEW)])
        if result is not ChangeResult.CHANGED:
            raise Busy("The schedule could not be kept; ask again.")
        return new

    async def of(self, organizer: str) -> Sequence[Schedule]:
        """Those of this organizer that have not ended, as they were made."""
        found, _ = await SCHEDULES.find(self._updates.records, live(organizer, limit=MOST))
        return [each.state for each in found]

    async def one(self, id: str) -> Schedule:
        """The schedule. Raises NotFound."""
        found = await SCHEDULES.load(self._updates.records, (id,))
        if id not in found:
            raise NotFound("schedule", id)
        return found[id].state

    async def end(self, id: str) -> Schedule:
        """Send no more of it. Raises NotFound, Busy."""
        return await self._updates.change(SCHEDULES, id, lambda kept, now: schedules.end(kept, now=now), Cause())

    def address(self, schedule: Schedule) -> str | None:
        """Where its reports go; None once it has ended, and where the address can't be read here."""
        try:
            return None if schedule.to is None else self._seals.open(schedule.to, schedule.id).decode()
        except CannotOpen as error:
            _log.error("%s: set CLUDALE_PRIVACY_KEY, or CLUDALE_PRIVACY_KEY_TOO, to the key that it was under", error)
            return None

    async def linked(self, token: str) -> tuple[Schedule, Link]:
        """The report that this link leads to. Raises NotFound: nobody learns why it leads nowhere."""
        link = links.opened(token, self._seals, now=self._updates.clock.now())
        schedule = None if link is None else await self.one(link.schedule_id)
        if link is None or schedule is None or schedule.ended_at is not None:
            raise NotFound("report", token)
        return schedule, link

    async def sweep(self) -> int:
        """See to what is due, if it is time to look; returns how many were claimed or changed."""
        now = self._updates.clock.now()
        if now < self._look_at:
            return 0
        self._look_at = now + LOOK
        return await self.rewrap() + await self.due.sweep()

    async def rewrap(self) -> int:
        """Bring all addresses under the master key that is used now, once in a process; returns how many were not."""
        if not self._rewraps or not self._takes_work():
            return 0
        changed, after = 0, None
        while True:
            found, page = await SCHEDULES.find(self._updates.records, Query(after=after, limit=PAGE))
            old = [each for each in found if self._is_old(each.state)]
            changes = [Change(SCHEDULES, each.state.id, self._rewrapped, Cause(), known=each) for each in old]
            updated = await self._updates.update(changes) if changes else []
            changed += sum(result is ChangeResult.CHANGED for result, _ in updated)
            after = page.next
            if after is None:
                self._rewraps = False
                return changed

    def _is_old(self, schedule: Schedule) -> bool:
        return schedule.to is not None and schedule.to.master != self._seals.master

    def _rewrapped(self, kept: Schedule | None, _: datetime) -> Decision[Schedule] | None:
        if kept is None or kept.to is None or not self._is_old(kept):
            return None
        return Decision(replace(kept, to=self._seals.rewrap(kept.to, kept.id)))
