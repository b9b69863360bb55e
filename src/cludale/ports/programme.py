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
    """When it is over, in the same form, where it goes on after `date`."""


class ProgrammeUnreachable(Exception):
    """Concerts gave no answer in time; try again."""


class Programme(Protocol):
    """The concerts service, seen from others."""

    async def of(self, concert_ids: Sequence[str], /) -> Mapping[str, ConcertDetails]:
        """Those of the concerts that there are. Raises ProgrammeUnreachable."""
        ...
