"""Which concerts there are: put on, remembered for a moment, found, and shown with how many seats are left."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel import dates
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Query, StoreUnavailable
from cludale.ports.seats import ConcertNotFound
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates
from cludale.runtime.recent import Recent
from cludale.services.concerts.concert import Concert, ConcertExists, schedule
from cludale.services.concerts.events import ConcertStatus
from cludale.services.concerts.stock import Section, untouched
from cludale.services.concerts.store import CONCERTS, SECTIONS, SectionKey, folded, searched

SEARCH_PAGES = 100
"""How many pages of the store are gone through for one that has something in it."""
CONCERTS_REMEMBERED = 1_000
FRESH_SECONDS = 0.5
_FRESH = timedelta(seconds=FRESH_SECONDS)
"""For how long a concert is taken as it was read, though another replica may have changed it since."""


class Known(NamedTuple):
    """A concert as it was read at the time `at`, and the price at which each section was put on."""

    concert: Concert
    prices: Mapping[str, Money]
    at: datetime
    until: datetime
    """Until when it is taken for what it is."""


class ConcertSnapshot(NamedTuple):
    """A concert and its sections at the time `at`."""

    concert: Concert
    sections: Sequence[Section]
    at: datetime

    @property
    def prices(self) -> Mapping[str, Money]:
        """What a seat costs, by section."""
        return {section.id: section.price for section in self.sections}

    @property
    def tag(self) -> str:
        """Changes with each change of the concert, of its seats or prices; not with each sale."""
        return f"{self.concert.revision}.{sum(section.changes for section in self.sections)}"


class Search(NamedTuple):
    """What to look for: text within artist and venue, days or times from and to (inclusive), the order, the page.

    A concert is found by a day that is one of its own, there where it is; by a time at which it is.
    """

    artist: str | None = None
    venue: str | None = None
    since: str | None = None
    until: str | None = None
    order_by: str = "date"
    descending: bool = False
    after: str | None = None
    limit: int = 50
    unlisted_of: Principal | None = None
    """Those of its own, too, that are not listed; they come last."""

    def matches(self, concert: Concert) -> bool:
        """Is it among those that are looked for?"""
        return (
            (concert.listed or self._owns(concert))
            and folded(self.artist or "") in folded(concert.artist)
            and folded(self.venue or "") in folded(concert.venue or "")
            and (self.since is None or concert.is_on_from(self.since))
            and (self.until is None or concert.is_on_until(self.until))
        )

    def _owns(self, concert: Concert) -> bool:
        return self.unlisted_of is not None and self.unlisted_of.owns(concert.organizer, concert.id)


class Directory:
    """The concerts that there are."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._remembered: Recent[str, Known] = Recent(CONCERTS_REMEMBERED)

    async def schedule(self, concert: Concert, cause: Cause) -> ConcertSnapshot:
        """Put a concert on. Raises ConcertExists."""

        def decide(stored: Concert | None, _: datetime) -> Decision[Concert]:
            return schedule(concert) if stored is None else Decision(stored)

        ((result, _),) = await self._updates.update((Change(CONCERTS, concert.id, decide, cause, known=NEW),))
        if result is not ChangeResult.CHANGED:
            raise ConcertExists(concert.id)
        sections = [untouched(concert.id, plan) for plan in concert.sections]
        return ConcertSnapshot(concert, sections, self._updates.clock.now())

    async def concert(self, concert_id: str) -> Concert:
        """The concert, as it was FRESH_SECONDS ago at most. Raises ConcertNotFound."""
        return (await self.priced(concert_id, self._updates.clock.now())).concert

    async def priced(self, concert_id: str, now: datetime) -> Known:
        """The concert and its prices, as they were FRESH_SECONDS ago at most. Raises ConcertNotFound."""
        known = self._remembered.get(concert_id)
        if known is not None:
            if known.at <= now < known.until:
                return known
            # One reads it anew, the others go on.
            self._remembered.remember({concert_id: known._replace(at=now, until=now + _FRESH)})
        try:
            return await self._read(concert_id, now)
        except StoreUnavailable:
            if known is not None:
                self._remembered.remember({concert_id: known})
            raise

    async def _read(self, concert_id: str, now: datetime) -> Known:
        found = await CONCERTS.load(self._updates.records, (concert_id,))
        if concert_id not in found:
            raise ConcertNotFound(concert_id)
        return self.remember(found[concert_id].state, now)

    def remember(self, concert: Concert, now: datetime) -> Known:
        """Take it for what the concert is from now on."""
        known = Known(concert, {plan.id: plan.price for plan in concert.sections}, now, now + _FRESH)
        self._remembered.remember({concert.id: known})
        return known

    async def fresh(self, concert_id: str) -> Concert:
        """The concert as it is stored now. Raises ConcertNotFound."""
        return (await self._read(concert_id, self._updates.clock.now())).concert

    async def own(self, concert_id: str, principal: Principal) -> Concert:
        """The concert as it is stored now, if it is the principal's. Raises ConcertNotFound."""
        concert = await self.fresh(concert_id)
        if not principal.owns(concert.organizer, concert.id):
            raise ConcertNotFound(concert_id)
        return concert

    async def details(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """What these concerts are, and whose, as far as there are any."""
        found: dict[str, ConcertDetails] = {}
        for id in concert_ids:
            try:
                concert = await self.concert(id)
            except ConcertNotFound:
                continue
            names = {plan.id: plan.name for plan in concert.sections}
            title, place = concert.more.title, concert.more.place
            found[id] = ConcertDetails(
                concert.artist,
                concert.date,
                concert.venue,
                names,
                concert.organizer,
                concert.ends_at,
                title,
                place,
                concert.zone,
                concert.more.doors_at,
                is_postponed=concert.status is ConcertStatus.POSTPONED,
            )
        return found

    async def standing(self, concert_id: str) -> ConcertSnapshot:
        """The concert and how many seats are left now. Raises ConcertNotFound."""
        (standing,) = await self.standings([await self.concert(concert_id)])
        return standing

    async def search(self, search: Search) -> tuple[Sequence[ConcertSnapshot], str | None]:
        """A page of concerts, and the cursor of the next one.

        It is full while there are more, save where SEARCH_PAGES looks at the store did not fill it.
        """
        query = _query(search)
        wanted: list[Concert] = []
        for _ in range(SEARCH_PAGES):
            found, page = await CONCERTS.find(self._updates.records, query)
            wanted += [each.state for each in found if search.matches(each.state)]
            if page.next is None or len(wanted) == search.limit:
                break
            query = query._replace(after=page.next, limit=search.limit - len(wanted))
        return await self.standings(wanted), page.next

    async def standings(self, concerts: Sequence[Concert]) -> list[ConcertSnapshot]:
        """These concerts and how many seats are left now."""
        keys = [SectionKey(concert.id, plan.id).partition for concert in concerts for plan in concert.sections]
        stored = await SECTIONS.load(self._updates.records, keys)
        now = self._updates.clock.now()
        standings = []
        for concert in concerts:
            sections = []
            for plan in concert.sections:
                found = stored.get(SectionKey(concert.id, plan.id).partition)
                sections.append(found.state if found else untouched(concert.id, plan))
            standings.append(ConcertSnapshot(concert, sections, now))
        return standings


def _query(search: Search) -> Query:
    # of unlisted ones, which have no date in the index, none can be narrowed down
    return searched(
        artist=None if search.unlisted_of else search.artist,
        venue=None if search.unlisted_of else search.venue,
        days=None if search.unlisted_of else dates.days_around(search.since, search.until),
        order_by=search.order_by,
        descending=search.descending,
        after=search.after,
        limit=search.limit,
    )
