"""Changes of a concert at work: what it is, its seats and prices, moved, called off. Decided in domain.py."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Invalid
from cludale.ports.calling_off import CallOffs, Progress
from cludale.ports.seats import SectionNotFound
from cludale.runtime.aggregates import Updates
from cludale.services.concerts.blocks.domain import BlockCommand
from cludale.services.concerts.blocks.service import BlockService
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.directory import ConcertSnapshot, Directory
from cludale.services.concerts.domain import BlockSeats, ChangeSection, Close, SectionCommand
from cludale.services.concerts.events import ConcertFields, ConcertStatus
from cludale.services.concerts.seat_plans.changing import prepared
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.seating.plans import Plan
from cludale.services.concerts.stock import Section
from cludale.services.concerts.store import CONCERTS, SectionKey

AskSection = Callable[[SectionKey, SectionCommand | BlockCommand | ChangePlan, Cause], Awaitable[Section]]
"""Puts a command about the section itself into its queue; gives the section as that left it."""


class SectionWish(NamedTuple):
    """What is to become of a section; None: as it is."""

    id: str
    total: int | None = None
    price: Money | None = None


class Changes:
    """What becomes of concerts."""

    def __init__(
        self,
        updates: Updates,
        directory: Directory,
        ask_section: AskSection,
        seat_plans: SeatPlans,
        blocks: BlockService,
        call_offs: CallOffs | None,
    ) -> None:
        """`call_offs`: says how far the orders of a concert have come; None: nobody does."""
        self._updates = updates
        self._directory = directory
        self._ask_section = ask_section
        self._seat_plans = seat_plans
        self._blocks = blocks
        self._call_offs = call_offs

    async def change(
        self,
        concert_id: str,
        fields: Callable[[Concert], ConcertFields],
        sections: Sequence[SectionWish],
        *,
        tags: Collection[str] | None,
        by: str,
        cause: Cause,
        plan: Plan | None = None,
    ) -> ConcertSnapshot:
        """Say anew what a concert is, and how many seats its sections have at what price, and where.

        `plan`: the seating plan of its numbered sections from now on. `fields` says it of the concert as it is then.
        `tags`: those of the snapshots that whoever asks has seen, of which one has to be that of now; None: whatever it
        is. Sections come first, one after the other; a refusal ends it there. Raises ConcertNotFound, ChangedMeanwhile,
        SectionNotFound, SeatsInUse, SeatsKept, CalledOff, StatusRefused, Invalid, Busy.
        """
        concert = await self._directory.fresh(concert_id)
        (seen,) = await self._directory.standings([concert])
        if tags is not None and seen.tag not in tags:
            raise changes.ChangedMeanwhile(concert_id)
        by_id = {section.id: section for section in seen.sections}
        missing = [wish.id for wish in sections if wish.id not in by_id]
        if missing:
            raise SectionNotFound(concert_id, missing[0])
        # What would be refused is refused before a seat is moved.
        changes.change(concert, fields(concert), expected=None, by=by)
        counts = {id: section.changes for id, section in by_id.items()}
        if plan is not None:
            expected_of = None if tags is None else counts
            for id, change in await prepared(self._seat_plans, seen.sections, plan, by=by, expected=expected_of):
                counts[id] = (await self._ask_section(SectionKey(concert_id, id), change, cause)).changes
                self._seat_plans.changed(concert_id)
        for wish in sections:
            command = ChangeSection(by, None if tags is None else counts[wish.id], wish.total, wish.price)
            await self._ask_section(SectionKey(concert_id, wish.id), command, cause)
        expected = None if tags is None else concert.revision

        def decide(stored: Concert, _: datetime) -> Decision[Concert]:
            return changes.change(stored, fields(stored), expected=expected, by=by)

        return await self._moved(concert_id, decide, cause)

    async def _moved(
        self, concert_id: str, decide: Callable[[Concert, datetime], Decision[Concert]], cause: Cause
    ) -> ConcertSnapshot:
        """As it is after a change by which it may begin at another time: blocks that end by that follow."""
        standing = await self._change(concert_id, decide, cause)
        if all(section.blocks is UNSET for section in standing.sections):
            return standing
        await self._blocks.retime(standing.concert, cause)
        (standing,) = await self._directory.standings([standing.concert])
        return standing

    async def postpone(
        self,
        concert_id: str,
        decide: Callable[[Concert, datetime], Decision[Concert]],
        cause: Cause,
    ) -> ConcertSnapshot:
        """Move it. Raises ConcertNotFound, CalledOff, StatusRefused, Invalid, Busy."""
        return await self._moved(concert_id, decide, cause)

    async def call_off(self, concert_id: str, *, reason: str, by: str, cause: Cause) -> ConcertSnapshot:
        """Call it off; again changes nothing. Raises ConcertNotFound, Busy."""

        def decide(stored: Concert, _: datetime) -> Decision[Concert]:
            return changes.cancel(stored, reason=reason, expected=None, by=by)

        standing = await self._change(concert_id, decide, cause)
        await self.close(concert_id)
        return standing

    async def _change(
        self, concert_id: str, decide: Callable[[Concert, datetime], Decision[Concert]], cause: Cause
    ) -> ConcertSnapshot:
        await self._directory.fresh(concert_id)  # 404 is a concert's own
        concert = await self._updates.change(CONCERTS, concert_id, decide, cause)
        self._directory.remember(concert, self._updates.clock.now())
        (standing,) = await self._directory.standings([concert])
        return standing

    async def close(self, concert_id: str) -> None:
        """From here on nobody gets seats of this concert, if it is called off; again changes nothing.

        Raises ConcertNotFound, Busy, StoreUnavailable.
        """
        concert = await self._directory.fresh(concert_id)
        if concert.status is not ConcertStatus.CANCELLED:
            raise Busy(f"Concert {concert_id!r} is not called off yet, as far as is known here.")
        await asyncio.gather(
            *(self._ask_section(SectionKey(concert_id, plan.id), Close(), Cause()) for plan in concert.sections)
        )

    async def block_seats(
        self, concert_id: str, seats: Sequence[str], *, reason: str | None, by: str, cause: Cause
    ) -> None:
        """Nobody gets these seats of one section, or (without a reason) they can be had again.

        Raises ConcertNotFound, Invalid, SeatsNotFree, CalledOff, Busy.
        """
        concert = await self._directory.fresh(concert_id)
        section = await self._seat_plans.section_with(concert, seats[0])
        if section is None:
            raise Invalid(("seats[0]", f"concert {concert_id!r} has no such seat"))
        await self._ask_section(SectionKey(concert_id, section), BlockSeats(by, tuple(seats), reason), cause)

    async def progress(self, concert_id: str) -> Progress | None:
        """How far the orders of a concert have come that is called off or was moved last; None: orders has yet to hear.

        Raises ConcertNotFound, ProgressUnknown.
        """
        concert = await self._directory.fresh(concert_id)
        return None if self._call_offs is None else await self._call_offs.progress(concert_id, concert.revision)
