"""Seats as people name them, by row and number: `C 12-14; D 3`. No I/O.

A row is told by its label, its seats by their numbers, with commas or blanks between; `12-14` are those from the one to
the other, as they stand in the row. After a comma another row may follow, too: `C 12, D 3`. Case and space around do
not matter.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property

from cludale.pages.shop.halls import Row, Seat

_GROUP = re.compile(r"[;\n]")
_BLANKS = re.compile(r"\s+")
_DASH = re.compile(r"\s*[-\u2013]\s*")


class SeatNameFault(StrEnum):
    """What is wrong with seats that were typed."""

    NONE = "no-seats"
    """Nothing is named."""
    NO_ROW = "no-row"
    NO_SEAT = "no-seat"
    UNCLEAR = "unclear"
    """It may be seats of two rows."""
    NO_NUMBERS = "no-numbers"
    """The seats of the section have no numbers."""


class NoSuchSeats(ValueError):
    """What was typed names no seats: which words do not, and why."""

    def __init__(self, fault: SeatNameFault, place: str = "", *, after: int = 0) -> None:
        super().__init__(f"{fault.value} {place}".strip())
        self.fault = fault
        self.place = place
        """The words that name none, with the row that they would be in: `C 19`."""
        self.after = after
        """How many seats were understood before."""


class _NamedRow:
    """A row, and where in it each number stands. A hall has many, and few of them are named."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.label = row.label.casefold()

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """In lower case."""
        return {seat.number.casefold(): at for at, seat in enumerate(self.row.seats)}

    def seats(self, text: str) -> list[Seat]:
        """The seats with these numbers. Raises NoSuchSeats."""
        found: list[Seat] = []
        for number in filter(None, _BLANKS.split(_DASH.sub("-", text).strip())):
            found += self._run(number)
        if not found:
            raise NoSuchSeats(SeatNameFault.NO_SEAT, self.row.label)
        return found

    def _run(self, number: str) -> Sequence[Seat]:
        """One seat, or those from the one to the other. A number with a dash in it is looked for as it is first."""
        wanted = number.casefold()
        if wanted in self.numbers:
            return (self.row.seats[self.numbers[wanted]],)
        first, dash, last = wanted.partition("-")
        missing = next((each for each in (first, last) if each not in self.numbers), None)
        if not dash or missing is not None:
            lost = missing if dash and missing else number
            raise NoSuchSeats(SeatNameFault.NO_SEAT, f"{self.row.label} {lost}".strip())
        begin, end = sorted((self.numbers[first], self.numbers[last]))
        return self.row.seats[begin : end + 1]


class SeatNames:
    """The names of a section's seats."""

    def __init__(self, rows: Sequence[Row]) -> None:
        # The longest label first: a row `A box` is no seat `box` of a row `A`.
        self._known = sorted(map(_NamedRow, rows), key=lambda row: -len(row.label))

    def typed(self, text: str) -> list[Seat]:
        """The seats that are typed, each once. Raises NoSuchSeats."""
        found: dict[int, Seat] = {}
        for group in _GROUP.split(text):
            try:
                _take(self._known, group, found)
            except NoSuchSeats as no:
                raise NoSuchSeats(no.fault, no.place, after=len(found)) from None
        if not found:
            raise NoSuchSeats(SeatNameFault.NONE, "")
        return list(found.values())


def _take(known: Sequence[_NamedRow], group: str, found: dict[int, Seat]) -> None:
    """Add the seats of what stands between two semicolons. Raises NoSuchSeats."""
    row: _NamedRow | None = None
    seats: Sequence[Seat] = ()
    for part in filter(None, map(str.strip, group.split(","))):
        row, seats = _part(known, row, part, found)
        found |= {seat.at: seat for seat in seats}
    if row is not None and not seats:
        raise NoSuchSeats(SeatNameFault.NO_SEAT, row.row.label)


def _part(
    known: Sequence[_NamedRow], current: _NamedRow | None, part: str, found: Mapping[int, Seat]
) -> tuple[_NamedRow, Sequence[Seat]]:
    """What stands between two commas: seats of the row before it, or a row and seats of it. Raises NoSuchSeats."""
    named, numbers = _row(known, part)
    if current is None:
        if named is None:
            raise NoSuchSeats(SeatNameFault.NO_ROW, part)
        return (named, named.seats(numbers)) if numbers else (named, ())
    try:
        here: Sequence[Seat] = current.seats(part)
    except NoSuchSeats:
        if named is None or not numbers:
            raise
        return named, named.seats(numbers)
    there = _seats_or_none(named, numbers) if named is not None and numbers else ()
    if there and {seat.at for seat in there} | found.keys() != {seat.at for seat in here} | found.keys():
        raise NoSuchSeats(SeatNameFault.UNCLEAR, part)
    return current, here


def _seats_or_none(row: _NamedRow, numbers: str) -> Sequence[Seat]:
    try:
        return row.seats(numbers)
    except NoSuchSeats:
        return ()


def _row(known: Sequence[_NamedRow], part: str) -> tuple[_NamedRow | None, str]:
    """The row with the longest label with which it begins, and what follows."""
    folded = part.casefold()
    for each in known:
        rest = part[len(each.row.label) :]
        if folded.startswith(each.label) and (not each.label or not rest or rest[0].isspace() or rest[0] == ":"):
            return each, rest.lstrip(" :\t")
    return None, ""
