"""A numbered section as its pages show it: rows of seats that can be named, and its map. Pure.

A seat is told by its place: 0 for the first one of the first row, as in `GET /concerts/{id}/seats`.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from cludale.pages import forms

WHEELCHAIR, COMPANION, RESTRICTED_VIEW = 1, 2, 4
ACCESSIBLE = WHEELCHAIR | COMPANION
"""Seats that are only for who asks for them."""
FLAGS = {"wheelchair": WHEELCHAIR, "companion": COMPANION, "restricted view": RESTRICTED_VIEW}
GROUP_SEATS = 1_000
"""A page has rows with as many seats, or one row that has more."""
_TAG = 12
MOST_NAMED = 300
"""As many seats are named in one order of the shop."""


class At(msgspec.Struct, frozen=True):
    """A place in the plan's unit, relative to what holds it."""

    x: float = 0
    y: float = 0


class PlanSeat(msgspec.Struct, frozen=True):
    """A seat of a plan, as the API has it."""

    seat_guid: str
    seat_number: str
    position: At
    category: str = ""


class PlanRow(msgspec.Struct, frozen=True):
    """A row of a plan, as the API has it."""

    row_number: str
    seats: tuple[PlanSeat, ...]
    position: At = At()


class Zone(msgspec.Struct, frozen=True):
    """A zone of a plan, as the API has it."""

    name: str
    rows: tuple[PlanRow, ...]
    position: At = At()
    areas: tuple[dict[str, Any], ...] = ()


class Size(msgspec.Struct, frozen=True):
    """How large a plan is."""

    width: float
    height: float


class Plan(msgspec.Struct, frozen=True):
    """A seating plan, as the API has it."""

    zones: tuple[Zone, ...]
    size: Size


class Seat(NamedTuple):
    """A seat of a section."""

    at: int
    id: str
    row: str
    number: str
    category: str
    flags: int

    @property
    def name(self) -> str:
        """What people call it: `C 12`."""
        return f"{self.row} {self.number}"

    @property
    def is_accessible(self) -> bool:
        """Is it for who asks for a wheelchair place?"""
        return bool(self.flags & ACCESSIBLE)


class Row(NamedTuple):
    """A row of a section."""

    label: str
    seats: Sequence[Seat]


class Hall:
    """The seats of a section, and its map."""

    def __init__(self, rows: Sequence[Row], drawn: bytes) -> None:
        self.rows = rows
        self.drawn = drawn
        """SVG, compressed with gzip."""
        self._seats = [seat for row in rows for seat in row.seats]
        self.has_categories = len({seat.category for seat in self._seats}) > 1
        self.groups = list(_groups(rows))

    def seats(self, places: Iterable[int]) -> list[Seat] | None:
        """The seats at these places, in the order of the plan; None if one of the places has no seat."""
        wanted = sorted(set(places))
        if wanted and not 0 <= wanted[0] <= wanted[-1] < len(self._seats):
            return None
        return [self._seats[at] for at in wanted]

    def named(self, ids: Collection[str]) -> list[Seat]:
        """The seats with these ids."""
        return [seat for seat in self._seats if seat.id in ids]

    def accessible(self) -> list[Seat]:
        """The seats for people in wheelchairs and for who comes with them."""
        return [seat for seat in self._seats if seat.is_accessible]


def rows_of(zone: Zone) -> list[Row]:
    """A zone's rows."""
    rows: list[Row] = []
    at = 0
    for row in zone.rows:
        seats = []
        for each in row.seats:
            category, flags = _category_and_flags(each.category)
            seats.append(Seat(at, each.seat_guid, row.row_number, each.seat_number, category, flags))
            at += 1
        rows.append(Row(row.row_number, seats))
    return rows


def _groups(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    group: list[Row] = []
    count = 0
    for row in rows:
        if group and count + len(row.seats) > GROUP_SEATS:
            yield group
            group, count = [], 0
        group.append(row)
        count += len(row.seats)
    if group:
        yield group


def _category_and_flags(name: str) -> tuple[str, int]:
    """`Stalls [wheelchair]` → `Stalls`, WHEELCHAIR."""
    base, bracket, rest = name.rpartition(" [")
    names = [each.strip() for each in rest.removesuffix("]").split(",")]
    if not bracket or not rest.endswith("]") or not all(each in FLAGS for each in names):
        return name, 0
    return base, sum(FLAGS[each] for each in set(names))


def is_free(free: bytes, at: int) -> bool:
    """Can the seat at this place be had? `free`: a bit a seat, as the API says it."""
    return at >> 3 < len(free) and bool(free[at >> 3] >> (at & 7) & 1)


def plan_tag(digest: str | None) -> str:
    """What an address has of a plan, so that seats that were chosen by another one are not taken for its own."""
    return (digest or "")[:_TAG]


def places(text: str) -> list[int] | None:
    """`12.13` → 12, 13; None for what are no places."""
    found = [forms.whole(each, most_digits=5) for each in text.split(".")] if text else []
    if len(found) > MOST_NAMED or None in found:
        return None
    return sorted({each for each in found if each is not None})


def packed(seats: Iterable[int]) -> str:
    """The other way round."""
    return ".".join(map(str, seats))
