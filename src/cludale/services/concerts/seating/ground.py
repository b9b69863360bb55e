"""Where parties can sit at all, and how near each place is: what of a section never changes, for all its pickers.

A *line* is what is sold alike: a row's ordinary seats of one category. A *stretch* is a part of a line that no aisle
and no other seat interrupts; who sits together sits in one stretch. A *shape* is which places of a stretch come before
which others, for each size of a party. Most stretches of a hall share a few shapes, and what is the best place in a
stretch of this shape with these seats free is remembered for all of them.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import sub
from typing import NamedTuple

from cludale.services.concerts.seating.layout import ACCESSIBLE, Flags, Layout

MAX_PARTY = 20
"""The largest party that is looked for together."""

ORPHAN = 1 << 44
"""What a seat that is left alone counts for in a key: more than the way of any party, which is below 2 ** 41."""

REMEMBERED = 1_024
"""How many shapes with their free seats are remembered, and how many places, which many shapes share."""
_RESTRICTED_VIEW = int(Flags.RESTRICTED_VIEW)
_NUMBER = 16  # bits for the number of a shape
_SIZE = 5  # and for the size of a party


class Place(NamedTuple):
    """The best place in a stretch: what its orphans count for, and where it begins, from the stretch's first seat on.

    There are two candidates where the nearest place of all is not free: the nearest before it, and from it on.
    """

    orphans: int
    before: int
    after: int


Places = Sequence[Place | None]
"""The best place for each size of a party from 1 on. The last is None where there is none for more, either."""


class Remembered:
    """The best places for shapes with some of their seats free, in bounded memory: equal ones are kept once."""

    def __init__(self) -> None:
        self.places: dict[int, Places] = {}
        self.single: dict[int, Place | None] = {}
        """The best place for one size alone."""
        self._alike: dict[Place | None, Place | None] = {}

    def keep(self, known: int, places: Iterable[Place | None]) -> Places:
        """Remember these; returns them."""
        if len(self.places) >= REMEMBERED:
            self.places.clear()
        if len(self._alike) >= REMEMBERED:
            self._alike.clear()
        kept = self.places[known] = tuple([self._alike.setdefault(place, place) for place in places])
        return kept

    def keep_one(self, known: int, place: Place | None) -> Place | None:
        """Remember this one; returns it."""
        if len(self.single) >= REMEMBERED:
            self.single.clear()
        self.single[known] = place
        return place


class Shape:
    """Which places of a stretch are nearer than others.

    Most often they are the further the further they are from one of them, which `middles` has for each size from 1 on.
    Where they aren't, that is -1, and `orders` has the places of this size, the nearest first.
    """

    __slots__ = ("_remembered", "bits", "middles", "number", "orders")

    def __init__(
        self,
        number: int,
        length: int,
        middles: tuple[int, ...],
        orders: tuple[Sequence[int], ...],
        remembered: Remembered,
    ) -> None:
        self.number, self.middles, self.orders = number, middles, orders
        self.bits = (1 << length) - 1
        self._remembered = remembered

    def places(self, free: int, most: int) -> Places:
        """The best place for each size of a party, up to `most` at least, when these seats of the stretch are free."""
        known, most = free << _NUMBER | self.number, min(most, len(self.middles))
        places = self._remembered.places.get(known)
        if places is None or (len(places) < most and places[-1] is not None):
            places = self._remembered.keep(known, self._find(free, most))
        return places

    def place(self, free: int, size: int) -> Place | None:
        """The best place for one size."""
        known, remembered = free << _NUMBER | self.number, self._remembered
        places = remembered.places.get(known)
        if places is not None:
            if size <= len(places):
                return places[size - 1]
            if places[-1] is None:
                return None
        one = known << _SIZE | size
        if one in remembered.single:
            return remembered.single[one]
        starts = adjacent(free, size)
        place = self._best(starts, _left(free), free >> size, size) if starts else None
        return remembered.keep_one(one, place)

    def nearest(self, starts: int, size: int) -> tuple[int, int]:
        """The nearest of these places: those before and from the middle on, as in a Place."""
        middle = self.middles[size - 1]
        if middle < 0:
            for bit in self.orders[size - 1]:
                if starts >> bit & 1:
                    return bit, -1
        after = starts >> middle
        at = middle + (after & -after).bit_length() - 1 if after else -1
        return (starts & ((1 << middle) - 1)).bit_length() - 1, at

    def _find(self, free: int, most: int) -> Iterator[Place | None]:
        left, starts, shifted = _left(free), free, free
        for size in range(1, most + 1):
            if not starts:
                yield None
                return
            shifted >>= 1
            yield self._best(starts, left, shifted, size)
            starts &= shifted

    def _best(self, starts: int, left: int, after: int, size: int) -> Place:
        """The best of the places that begin at these bits; `after` has what is free behind each."""
        right = after & ~(after >> 1)
        orphans, among = 0, starts & ~(left | right)
        if not among:
            orphans, among = ORPHAN, starts & (left ^ right)
        if not among:
            orphans, among = 2 * ORPHAN, starts
        return Place(orphans, *self.nearest(among, size))


class Line:
    """A row's ordinary seats of one category: `mask` has their bits, `sums` the distances before each bit."""

    __slots__ = ("category", "mask", "number", "row", "stretches", "sums")

    def __init__(self, number: int, row: int, category: int, mask: int, sums: "array[int]") -> None:
        self.number, self.row, self.category, self.mask, self.sums = number, row, category, mask, sums
        self.stretches: list[Stretch] = []

    def cost(self, start: int, size: int) -> int:
        """How far the seats from this bit on are from the focal point, all together."""
        return self.sums[start + size] - self.sums[start]

    def nearest(self, starts: int, size: int) -> tuple[int, int]:
        """The nearest of the places for so many that begin at these bits: how far it is, and its bit."""
        found = []
        for stretch in self.stretches:
            here = starts >> stretch.first & stretch.shape.bits
            if here:
                bits = stretch.shape.nearest(here, size)
                found += [(self.cost(stretch.first + bit, size), stretch.first + bit) for bit in bits if bit >= 0]
        return min(found)


class Stretch:
    """Neighbours of a line: `first` is the bit of the first of them, `at` which stretch of its category it is."""

    __slots__ = ("_sums", "at", "category", "first", "number", "row", "shape")

    def __init__(self, number: int, at: int, line: Line, first: int, shape: Shape) -> None:
        self.number, self.at, self.row, self.category = number, at, line.row, line.category
        self.first, self.shape = first, shape
        self._sums = line.sums

    def key(self, place: Place, size: int) -> int:
        """What orders places: fewest orphans, then the nearest."""
        orphans, before, after = place
        first, sums = self.first, self._sums
        if before < 0:
            return orphans + sums[first + after + size] - sums[first + after]
        cost = sums[first + before + size] - sums[first + before]
        if after >= 0:
            further = sums[first + after + size] - sums[first + after]
            if further < cost:
                return orphans + further
        return orphans + cost

    def start(self, place: Place, size: int) -> int:
        """The bit of the row where the place begins."""
        _, before, after = place
        if before < 0 or (after >= 0 and self._cost(after, size) < self._cost(before, size)):
            return self.first + after
        return self.first + before

    def _cost(self, start: int, size: int) -> int:
        return self._sums[self.first + start + size] - self._sums[self.first + start]


class Piece(NamedTuple):
    """Seats of a row that follow one another: a stretch, or a wheelchair or companion seat by itself.

    `seat` is the index of the first of them in the section, `first` its bit in the row.
    """

    seat: int
    row: int
    first: int
    stretch: Stretch | None


class FoundPlace(NamedTuple):
    """A place of a section: its key, and where it is. What is equal goes by stretch, so by row, and then by bit."""

    key: int
    stretch: int
    start: int


NOWHERE = FoundPlace(1 << 62, 0, 0)
"""Where there is no place: after every other."""


class Ground:
    """The lines and stretches of a section, and where its wheelchair seats are. Takes 0.1 s for 20,000 seats."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.lines: list[Line] = []
        self.in_row: list[list[Line]] = [[] for _ in layout.rows]
        self.stretches: list[Stretch] = []
        self.of_category: dict[int, list[Stretch]] = {}
        self._shapes: dict[tuple[int, tuple[int, ...]], Shape] = {}
        self._number_of_shapes = 0
        self._remembered = Remembered()
        distances = layout.distances()
        restricted = (max(distances, default=0) + 1) * MAX_PARTY
        for number in range(len(layout.rows)):
            self._add_row(number, distances, restricted)
        self.wheelchairs = _masks(layout, int(Flags.WHEELCHAIR))
        self.accessible = _masks(layout, ACCESSIBLE)
        self.pieces = self._pieces()
        self.piece_of = array("H", bytes(2 * len(layout)))
        """By seat, the number of its piece."""
        for number, piece in enumerate(self.pieces):
            length = 1 if piece.stretch is None else piece.stretch.shape.bits.bit_length()
            for seat in range(piece.seat, piece.seat + length):
                self.piece_of[seat] = number

    def _pieces(self) -> list[Piece]:
        rows = self.layout.rows
        ordinary = [Piece(rows[each.row].at[each.first], each.row, each.first, each) for each in self.stretches]
        special = [seat for seat, flags in enumerate(self.layout.flags) if flags & ACCESSIBLE]
        return ordinary + [Piece(seat, *self.layout.place(seat), None) for seat in special]

    def _add_row(self, number: int, distances: Sequence[int], restricted: int) -> None:
        """One seat of restricted view counts for more than the way to all others of a party."""
        layout = self.layout
        costs, masks = [], dict[int, int]()
        for bit, index in enumerate(layout.rows[number].at):
            cost = 0
            if index >= 0:
                flags = layout.flags[index]
                cost = distances[index] + (restricted if flags & _RESTRICTED_VIEW else 0)
                if not flags & ACCESSIBLE:
                    category = layout.category[index]
                    masks[category] = masks.get(category, 0) | 1 << bit
            costs.append(cost)
        sums = array("q", [0])
        for cost in costs:
            sums.append(sums[-1] + cost)
        for category, mask in sorted(masks.items()):
            line = Line(len(self.lines), number, category, mask, sums)
            self.lines.append(line)
            self.in_row[number].append(line)
            same = self.of_category.setdefault(category, [])
            for first, length in _runs(mask):
                shape = self._shape(costs[first : first + length])
                stretch = Stretch(len(self.stretches), len(same), line, first, shape)
                self.stretches.append(stretch)
                line.stretches.append(stretch)
                same.append(stretch)

    def _shape(self, costs: list[int]) -> Shape:
        length = len(costs)
        middles = tuple(_middle(costs, size) for size in range(1, min(MAX_PARTY, length) + 1))
        shape = self._shapes.get((length, middles))
        if shape is not None:
            return shape
        has_orders = min(middles) < 0
        orders = tuple(_order(costs, size) if middle < 0 else b"" for size, middle in enumerate(middles, 1))
        shape = Shape(self._number_of_shapes, length, middles, orders if has_orders else (), self._remembered)
        self._number_of_shapes += 1
        if not has_orders:  # one with an order of its own is no other's
            self._shapes[length, middles] = shape
        return shape


def adjacent(free: int, size: int) -> int:
    """The bits where `size` free ones begin."""
    starts, so_many = free, 1
    while so_many < size and starts:
        more = min(so_many, size - so_many)
        starts &= starts >> more
        so_many += more
    return starts


def alone(free: int) -> int:
    """The free bits that have no free neighbour."""
    return free & ~(free << 1) & ~(free >> 1)


def _left(free: int) -> int:
    """Where a party would leave the seat before it alone: that is free, and the one before it is not."""
    return (free << 1) & ~(free << 2)


def _middle(costs: list[int], size: int) -> int:
    """The start of the nearest place, if all are the further the further they are from it in the row; else -1."""
    steps = list(map(sub, costs[size:], costs))  # from each place to the next
    nearer = bisect_left(steps, 0)
    if steps and (max(steps[:nearer], default=-1) >= 0 or min(steps[nearer:], default=0) < 0):
        return -1
    return nearer


def _order(costs: list[int], size: int) -> Sequence[int]:
    """The places for so many, the nearest first."""
    starts = range(len(costs) - size + 1)
    order = sorted(starts, key=lambda start: (sum(costs[start : start + size]), start))
    return bytes(order) if len(order) <= 256 else array("H", order)  # bytes are the smallest there is


def _runs(mask: int) -> Iterator[tuple[int, int]]:
    """Bits that are neighbours: the first, and how many."""
    at = 0
    while mask:
        gap = (mask & -mask).bit_length() - 1
        mask >>= gap
        length = (~mask & (mask + 1)).bit_length() - 1
        yield at + gap, length
        mask >>= length
        at += gap + length


def _masks(layout: Layout, flags: int) -> dict[tuple[int, int], int]:
    """The bits of the seats with any of these flags, by row and category."""
    masks: dict[tuple[int, int], int] = {}
    for index, its in enumerate(layout.flags):
        if its & flags:
            row, bit = layout.place(index)
            place = row, layout.category[index]
            masks[place] = masks.get(place, 0) | 1 << bit
    return masks
