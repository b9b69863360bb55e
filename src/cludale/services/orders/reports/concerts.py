"""What a report has to know of concerts: what they are called, whose they are, and which day it was there."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cludale.kernel import dates
from cludale.kernel.times import parse_time
from cludale.ports.programme import ConcertDetails, Programme
from cludale.runtime.recent import Recent

REMEMBERED = 5_000


class Concert(NamedTuple):
    """A concert as a report shows it."""

    id: str
    name: str | None = None
    date: str | None = None
    sections: Mapping[str, str] = {}
    """The names of its sections, by id."""
    organizer: str | None = None
    """None: nothing is known of it."""
    place: tzinfo = UTC
    """Its time: the zone that it has, else the offset in which its date is written, else UTC."""

    def day(self, at: datetime) -> dt.date:
        """Which day that moment is there."""
        return at.astimezone(self.place).date()


def concert_of(id: str, details: ConcertDetails | None) -> Concert:
    """The concert, as far as it is known."""
    if details is None:
        return Concert(id)
    name = details.title or details.artist
    return Concert(id, name, details.date, details.sections, details.organizer, _place(details))


def _place(details: ConcertDetails) -> tzinfo:
    if details.zone is not None:
        return ZoneInfo(details.zone)
    if dates.is_day(details.date):
        return UTC
    return parse_time(details.date).tzinfo or UTC


class Concerts:
    """Asks for each concert once. Raises ProgrammeUnreachable where concerts gives no answer."""

    def __init__(self, programme: Programme, is_own: Callable[[Concert], bool]) -> None:
        """`is_own`: is this concert of those that the report is about?"""
        self._programme = programme
        self._is_own = is_own
        self._known: Recent[str, tuple[Concert, bool]] = Recent(REMEMBERED)

    async def own(self, ids: Iterable[str]) -> dict[str, Concert]:
        """The concerts with these ids that the report may show, by id."""
        wanted = list(dict.fromkeys(ids))
        unknown = [id for id in wanted if id not in self._known]
        if unknown:
            found = await self._programme.of(unknown)
            concerts = [concert_of(id, found.get(id)) for id in unknown]
            self._known.remember({each.id: (each, self._is_own(each)) for each in concerts})
        return {id: concert for id in wanted for concert, is_own in (self._known[id],) if is_own}
