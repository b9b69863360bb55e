"""The seats of a numbered section: columns for what is asked for a seat, bits for what is asked for a row.

A row's bits go from its first seat to its last. Between two seats that are not neighbours (an aisle) is a bit that is
no seat and never free, so whatever is adjacent in the bits is adjacent in the hall.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import IntFlag
from itertools import pairwise
from math import hypot
from statistics import median
from typing import NamedTuple

AISLE = 1.75
"""Seats of a row that are further apart than this many times the section's usual spacing have an aisle between them."""

UNITS = 64
"""Distances are whole numbers of this part of a plan's unit (a pixel), so that sums are exact everywhere."""

FURTHEST = 16_000_000
"""What is further from the focal point than so many units is as far as this: a plan may say that the stage is there."""


class Flags(IntFlag):
    """What is special about a seat."""

    NONE = 0
    WHEELCHAIR = 1
    COMPANION = 2
    RESTRICTED_VIEW = 4


ACCESSIBLE = int(Flags.WHEELCHAIR | Flags.COMPANION)
"""Seats that go only to a party that asks for them. A plain number: it is asked of every seat that is named."""


class Seat(NamedTuple):
    """A seat: its id (unique in the plan), number in its row, place (y grows downwards), category, flags."""

    id: str
    number: str
    x: float
    y: float
    category: str
    flags: Flags = Flags.NONE


class Row(NamedTuple):
    """Where a row's seats are: the first one's index in the section, how many, and the first one's bit and so on."""

    label: str
    first: int
    length: int
    bits: "array[int]"
    """The bit of each seat, from the row's first seat on: rising, with one left out at an aisle."""
    at: "array[int]"
    """The seat's index in the section for each bit; -1 for an aisle."""


class Layout:
    """A section's rows, from the first on (the next in order is the one behind), and the focal point of the view.

    Seats are told by their index, 0 for the first seat of the first row. `rows` and the columns are not to be changed.
    `spacing` is how far neighbours are apart; none given: the median of the section's.
    """

    def __init__(
        self,
        rows: Iterable[tuple[str, Sequence[Seat]]],
        *,
        focus: tuple[float, float],
        spacing: float | None = None,
    ) -> None:
        self.focus = focus
        self.ids: list[str] = []
        self.numbers: list[str] = []
        self.x, self.y = array("d"), array("d")
        self.flags, self.category = bytearray(), array("H")
        self.categories: list[str] = []
        self.row_of = array("H")
        self.rows: list[Row] = []
        known: dict[str, int] = {}
        shared: dict[str, str] = {}
        rows = list(rows)
        gaps = [gap for _, seats in rows for gap in _gaps(seats)]
        usual = spacing if spacing is not None else median(gaps) if gaps else 0.0
        for label, seats in rows:
            self.rows.append(_row(label, len(self.ids), seats, usual))
            for seat in seats:
                self.ids.append(seat.id)
                self.numbers.append(shared.setdefault(seat.number, seat.number))
                self.x.append(seat.x)
                self.y.append(seat.y)
                self.flags.append(seat.flags)
                self.category.append(known.setdefault(seat.category, len(known)))
                self.row_of.append(len(self.rows) - 1)
        self.categories = list(known)
        self._by_id = array("H", sorted(range(len(self.ids)), key=self.ids.__getitem__))
        if any(self.ids[a] == self.ids[b] for a, b in pairwise(self._by_id)):
            raise ValueError("a seat's id is there twice")

    def __len__(self) -> int:
        return len(self.ids)

    def seat(self, index: int) -> Seat:
        """The seat with this index, with all that is known of it."""
        return Seat(
            self.ids[index],
            self.numbers[index],
            self.x[index],
            self.y[index],
            self.categories[self.category[index]],
            Flags(self.flags[index]),
        )

    def row_bits(self) -> list[int]:
        """Every seat of each row as a bit: what is free when nothing is taken."""
        return [sum(1 << bit for bit in row.bits) for row in self.rows]

    def place(self, index: int) -> tuple[int, int]:
        """The seat's row (its index) and bit."""
        row = self.row_of[index]
        return row, self.rows[row].bits[index - self.rows[row].first]

    def index_of(self, id: str) -> int | None:
        """The index of the seat with this id, None if there is none."""
        at = bisect_left(self._by_id, id, key=self.ids.__getitem__)
        found = self._by_id[at] if at < len(self._by_id) else -1
        return found if found >= 0 and self.ids[found] == id else None

    def distance(self, index: int) -> int:
        """From the focal point, in whole 1/64 of the plan's unit."""
        return _whole(hypot(self.x[index] - self.focus[0], self.y[index] - self.focus[1]))

    def distances(self) -> list[int]:
        """That of every seat."""
        x, y = self.focus
        return [_whole(hypot(a - x, b - y)) for a, b in zip(self.x, self.y, strict=True)]


def _whole(distance: float) -> int:
    return round(min(distance, FURTHEST) * UNITS)


def _gaps(seats: Sequence[Seat]) -> list[float]:
    return [hypot(b.x - a.x, b.y - a.y) for a, b in pairwise(seats)]


def _row(label: str, first: int, seats: Sequence[Seat], usual: float) -> Row:
    gaps = _gaps(seats)
    bits, at = array("H"), array("i")
    for number in range(len(seats)):
        if number and gaps[number - 1] > AISLE * usual:
            at.append(-1)
        bits.append(len(at))
        at.append(first + number)
    return Row(label, first, len(seats), bits, at)
