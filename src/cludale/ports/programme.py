"""Programme: how other services learn what a concert is, and whose. Most events say no more than the concert's id."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from cludale.kernel.principals import DEFAULT_ORGANIZER


class ConcertDetails(msgspec.Struct, frozen=True, gc=False):
    """A concert as a buyer knows it."""

    artist: str
    date: str
    """A date, or a time with its offset, as the organizer wrote it."""
    venue: str | None = None
    sections: Mapping[str, str] = {}
    """The names of its sections, by id."""
    organizer: str = DEFAULT_ORGANIZER
    ends_at: str | None = None
    """When it is over, where it goes on after `date`: a day or a time."""
    title: str | None = None
    """What it is called, if not by its artist."""
    place: str | None = None
    zone: str | None = None
    """The IANA name of its time zone, if it is known."""
    doors_at: str | None = None
    """When its doors open, if that is said: a day or a time."""
    is_postponed: bool = False
    """Its new date is not known yet; `date` and `doors_at` are those of before."""


class ProgrammeUnreachable(Exception):
    """Concerts gave no answer in time; try again."""


class Programme(Protocol):
    """The concerts service, seen from others."""

    async def of(self, concert_ids: Sequence[str], /) -> Mapping[str, ConcertDetails]:
        """The details of those concerts that exist, by id. Raises ProgrammeUnreachable."""
        ...
