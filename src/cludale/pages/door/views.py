"""What the door's page reads of the API's answers: as much as it shows."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec


class Key(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that a device has just got."""

    key: str
    name: str
    concert_id: str | None
    ends_at: datetime | None


class Section(msgspec.Struct, frozen=True):
    """A section's name."""

    id: str
    name: str


class Concert(msgspec.Struct, frozen=True, kw_only=True):
    """What is on."""

    artist: str
    date: str
    venue: str | None = None
    zone: str | None = None
    sections: tuple[Section, ...] = ()

    @property
    def zone_info(self) -> ZoneInfo | None:
        """Its time zone; None: it says none, and times are shown in UTC."""
        try:
            return ZoneInfo(self.zone) if self.zone else None
        except (ZoneInfoNotFoundError, ValueError):
            return None

    def section(self, claim: str | None) -> str:
        """The name of the section whose id begins so."""
        return next((each.name for each in self.sections if claim and each.id.startswith(claim)), claim or "")


class Seat(msgspec.Struct, frozen=True):
    """A seat with a number."""

    row: str
    number: str


class Admission(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the door says."""

    result: str
    ticket_id: str | None = None
    number: int | None = None
    quantity: int | None = None
    section: str | None = None
    at: datetime | None = None
    door: str | None = None
    moved_to: Seat | None = None

    @property
    def moved(self) -> str:
        """The seat that whoever shows it was moved to, in no language: `C 12`; empty: they were not."""
        return "" if self.moved_to is None else f"{self.moved_to.row} {self.moved_to.number}"


class Minute(msgspec.Struct, frozen=True):
    """What went through a door in a minute."""

    came: int
    left: int


class Through(msgspec.Struct, frozen=True):
    """What went through the doors of a concert."""

    tickets: int
    admitted: int
    inside: int
    minutes: tuple[Minute, ...]

    @property
    def totals(self) -> dict[str, int]:
        """As the page shows it."""
        came, left = sum(each.came for each in self.minutes), sum(each.left for each in self.minutes)
        return {"tickets": self.tickets, "came": came, "left": left, "inside": self.inside}


class Passage(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody was let in."""

    at: datetime
    door: str


class Conflict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody was let in who should not have been, or who does not know of their seat."""

    kind: str
    ticket_id: str
    section: str
    entered: Passage
    earlier: Passage | None = None
    moved_to: Seat | None = None


class Conflicts(msgspec.Struct, frozen=True):
    """All of them."""

    items: tuple[Conflict, ...]


class PublicKeys(msgspec.Struct, frozen=True):
    """The keys that sign tickets."""

    keys: tuple[dict[str, Any], ...]
