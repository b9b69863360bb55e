"""Which seats a party gets that names none: the best that are free. What is free is a row's bits.

A party gets the first of these that there is; each but SPLIT and ANYWHERE (which are greedy) is the
best of its kind:

1. TOGETHER: adjacent, leaves no seat alone that was not alone before, nearest to the focal point.
2. ORPHAN: adjacent, leaves as few alone as can be, then nearest.
3. BEHIND: in halves, adjacent each, in two rows behind one another, one's places before the other's, nearest.
4. SPLIT: in groups, none of one: the largest that there is room for, placed as in 1 and 2, then the rest likewise.
5. ANYWHERE: as 4, with groups of one.

Nearness is the sum of the seats' distances. A seat of restricted view counts for more than any way. What is equal
is decided by row, then by seat: the same seats and parties give the same picks.

Wheelchair and companion seats are given to no party that asks for no wheelchair seat, and are no one's neighbours: an
ordinary seat beside a free companion seat is alone. A party that asks gets as many wheelchair seats as it says, its
others beside them (`accessible`). A party of more than MAX_PARTY is placed from step 4 on.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from copy import copy
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from cludale.services.concerts.seating.accessible import Windows
from cludale.services.concerts.seating.ground import MAX_PARTY, NOWHERE, ORPHAN, Ground, alone
from cludale.services.concerts.seating.halves import NO_HALVES, Halves, seats_of
from cludale.services.concerts.seating.index import EVER, Index
from cludale.services.concerts.seating.layout import Layout


class Step(StrEnum):
    """How a party is placed."""

    TOGETHER = "together"
    ORPHAN = "orphan"
    BEHIND = "behind"
    SPLIT = "split"
    ANYWHERE = "anywhere"


class Party(NamedTuple):
    """Who wants seats: how many in all, of which category (None: of any), how many of them in wheelchairs."""

    size: int
    category: str | None = None
    wheelchairs: int = 0


class Pick(NamedTuple):
    """Seats (their indexes, rising), and how they were found."""

    seats: tuple[int, ...]
    step: Step


class NotEnoughSeats(ValueError):
    """Fewer are free than are wanted: of the category, or of wheelchair seats."""

    def __init__(self, wanted: int, left: int, *, of: str) -> None:
        super().__init__(f"{wanted} {of} wanted, {left} left")
        self.wanted, self.left, self.of = wanted, left, of


class Picker:
    """The seats of a section that are free, and where the next party goes. `take`, `give_back` and `toggle` change it.

    `free` has the free bits of each row; none given: all are free.
    """

    def __init__(self, layout: Layout, free: Iterable[int] | None = None) -> None:
        self.layout = layout
        self.free = layout.row_bits() if free is None else list(free)
        self._ground = Ground(layout)
        self._indexes = {each: Index(same, self.free) for each, same in self._ground.of_category.items()}
        self._begin()

    def _begin(self) -> None:
        self._all = list(range(len(self.layout.categories)))
        self._left = dict.fromkeys(self._all, 0)
        """How many ordinary seats of each category are free."""
        for line in self._ground.lines:
            self._left[line.category] += (self.free[line.row] & line.mask).bit_count()
        self._changes = {category: index.changes for category, index in self._indexes.items()}
        self._halves: dict[int, Halves] = {}
        self._windows = Windows(self._ground, self.free)

    def copy(self) -> "Picker":
        """Another picker with the same seats free, which shares what never changes."""
        picker = copy(self)
        picker.free = self.free.copy()
        picker._indexes = {each: index.copy(picker.free) for each, index in self._indexes.items()}  # noqa: SLF001 - its own
        picker._begin()  # noqa: SLF001
        return picker

    def settle(self) -> None:
        """Compute now what the next parties would have to wait for."""
        for index in self._indexes.values():
            index.settle()

    def take(self, seats: Iterable[int]) -> None:
        """These seats are not free any more. Raises ValueError, and changes nothing, if one is not free."""
        self._toggle_all(seats, are_free=True)

    def give_back(self, seats: Iterable[int]) -> None:
        """These seats are free again. Raises ValueError, and changes nothing, if one is."""
        self._toggle_all(seats, are_free=False)

    def _toggle_all(self, seats: Iterable[int], *, are_free: bool) -> None:
        seats, bits = list(seats), 0
        first = min(seats, default=0)
        for seat in seats:
            if bits >> seat - first & 1:
                raise ValueError("a seat is there twice")
            if self.is_free(seat) is not are_free:
                raise ValueError(f"a seat is {'taken' if are_free else 'free'} already")
            bits |= 1 << seat - first
        self.toggle(first, bits)

    def toggle(self, first: int, bits: int) -> None:
        """What was free of these seats is taken, and the other way round. The lowest bit is the seat `first`."""
        pieces, piece_of, free = self._ground.pieces, self._ground.piece_of, self.free
        while bits:
            seat, row, bit, stretch = pieces[piece_of[first + bits.bit_length() - 1]]
            start = seat - first
            if start > 0:
                its = bits >> start
                bits ^= its << start
            else:
                its, bits = bits << -start, 0
            its <<= bit
            free[row] ^= its
            if stretch is not None:
                category = stretch.category
                self._left[category] += 2 * (its & free[row]).bit_count() - its.bit_count()
                changes = self._changes[category]
                changes[stretch.at] = changes.get(stretch.at, 0) & EVER
                if category in self._halves:
                    self._halves[category].changed(stretch.row)

    def is_free(self, seat: int) -> bool:
        """Whether this seat is free."""
        row, bit = self.layout.place(seat)
        return bool(self.free[row] >> bit & 1)

    def best(self, party: Party) -> Pick:
        """The best seats for the party, which stay free. Raises NotEnoughSeats, or ValueError for no such party."""
        if party.size < 1 or not 0 <= party.wheelchairs <= party.size:
            raise ValueError("a party has one person or more, and no more in wheelchairs than there are")
        categories = self._categories(party.category)
        if party.wheelchairs:
            return self._with_wheelchairs(party, categories)
        return self._ordinary(party.size, categories)

    def _categories(self, name: str | None) -> Sequence[int]:
        return self._all if name is None else [n for n in self._all if self.layout.categories[n] == name]

    def _together(self, size: int, categories: Sequence[int]) -> Pick | None:
        found = NOWHERE
        for category in categories:
            index = self._indexes.get(category)
            if index is not None:
                found = min(found, index.best(size))
        if found is NOWHERE:
            return None
        first = self.layout.rows[self._ground.stretches[found.stretch].row].at[found.start]
        return Pick(tuple(range(first, first + size)), Step.ORPHAN if found.key >= ORPHAN else Step.TOGETHER)

    def _behind(self, size: int, categories: Sequence[int]) -> Pick | None:
        key = min((self._halves_of(each).best(size) for each in categories), default=NO_HALVES)
        return None if key == NO_HALVES else Pick(seats_of(key, size), Step.BEHIND)

    def _halves_of(self, category: int) -> Halves:
        halves = self._halves.get(category)
        if halves is None:
            halves = self._halves[category] = Halves(self._ground, self.free, category)
        return halves

    def _ordinary(self, size: int, categories: Sequence[int]) -> Pick:
        found = self._together(size, categories)
        if found is not None:
            return found
        left = sum(self._left[category] for category in categories)
        if left < size:
            raise NotEnoughSeats(size, left, of="seats")
        room = self._room(min(size - 1, MAX_PARTY), categories)
        if 2 * room >= size:
            found = self._behind(size, categories)
            if found is not None:
                return found
        for step, smallest in ((Step.SPLIT, 2), (Step.ANYWHERE, 1)):
            seats = self._in_groups(size, categories, smallest, room)
            if seats is not None:
                return Pick(seats, step)
        raise AssertionError("as many are free as are wanted")

    def _room(self, most: int, categories: Sequence[int]) -> int:
        """The largest party of so many at most that can sit together."""
        indexes = [self._indexes[each] for each in categories if each in self._indexes]
        for index in indexes:
            index.settle()
        return bisect_left(range(1, most + 1), x=True, key=lambda size: not any(index.has(size) for index in indexes))

    def _in_groups(self, size: int, categories: Sequence[int], smallest: int, room: int) -> tuple[int, ...] | None:
        """The largest group first, no larger than there is room for; takes each to look for the next, and gives all
        back.
        """
        groups: list[tuple[int, ...]] = []
        rest = size
        while rest:
            sizes = (n for n in range(min(rest, room), smallest - 1, -1) if n == rest or rest - n >= smallest)
            group = next((pick for n in sizes if (pick := self._together(n, categories))), None)
            if group is None:
                break
            room = len(group.seats)
            self.toggle(group.seats[0], (1 << room) - 1)
            groups.append(group.seats)
            rest -= room
        for seats in groups:
            self.toggle(seats[0], (1 << len(seats)) - 1)
        return None if rest else tuple(sorted(chain.from_iterable(groups)))

    def orphans(self, seats: Sequence[int]) -> tuple[int, ...]:
        """The ordinary seats that would be alone without these, and are not so now."""
        found: list[int] = []
        for number in sorted({self.layout.row_of[seat] for seat in seats}):
            bits = sum(1 << bit for row, bit in map(self.layout.place, seats) if row == number)
            for line in self._ground.in_row[number]:
                free = self.free[number] & line.mask
                new = alone(free & ~bits) & ~alone(free)
                found += [self.layout.rows[number].at[bit] for bit in range(new.bit_length()) if new >> bit & 1]
        return tuple(sorted(found))

    def _with_wheelchairs(self, party: Party, categories: Sequence[int]) -> Pick:
        left = self._windows.left(categories)
        if left < party.wheelchairs:
            raise NotEnoughSeats(party.wheelchairs, left, of="wheelchair seats")
        whole = self._windows.best(party.size, party.wheelchairs, categories)
        if whole is not None:
            return Pick(whole, Step.ORPHAN if self.orphans(whole) else Step.TOGETHER)
        taken: list[int] = []
        try:
            seats, wheelchairs = party.size, party.wheelchairs
            while wheelchairs:
                group, asked = self._part(seats, wheelchairs, categories)
                self.take(group)
                taken += group
                seats, wheelchairs = seats - len(group), wheelchairs - asked
            if seats:
                taken += self._take_ordinary(seats, categories)
        finally:
            self.give_back(taken)
        return Pick(tuple(sorted(taken)), Step.SPLIT)

    def _take_ordinary(self, size: int, categories: Sequence[int]) -> tuple[int, ...]:
        seats = self._ordinary(size, categories).seats
        self.take(seats)
        return seats

    def _part(self, seats: int, wheelchairs: int, categories: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """As many wheelchairs beside one another as there are places for, with as many of the others as can be.

        Where some wheelchairs have to be elsewhere, each takes one of the others along at most.
        """
        for asked in range(wheelchairs, 0, -1):
            others = seats - wheelchairs if asked == wheelchairs else min(seats - wheelchairs, asked)
            for size in range(asked + others, asked - 1, -1):
                found = self._windows.best(size, asked, categories)
                if found is not None:
                    return found, asked
        raise AssertionError("a free wheelchair seat is a window of one")
