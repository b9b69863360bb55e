"""Which seats a party gets: the best that are free, or those that it names. What is free is a row's bits.

A party that names no seats gets the first of these that there is; each but SPLIT and ANYWHERE (which are greedy) is the
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

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from cludale.services.concerts.seating.index import MAX_PARTY, NOWHERE, Index, Line, adjacent, alone, lines_of, told
from cludale.services.concerts.seating.layout import ACCESSIBLE, Flags, Layout


class Step(StrEnum):
    """How a party is placed."""

    TOGETHER = "together"
    ORPHAN = "orphan"
    BEHIND = "behind"
    SPLIT = "split"
    ANYWHERE = "anywhere"
    NAMED = "named"


class Party(NamedTuple):
    """Who wants seats: how many in all, of which category (None: of any), how many of them in wheelchairs."""

    size: int
    category: str | None = None
    wheelchairs: int = 0


class Pick(NamedTuple):
    """Seats (their indexes, rising), how they were found, and which seats would be alone that are not so now."""

    seats: tuple[int, ...]
    step: Step
    orphans: tuple[int, ...] = ()
    avoidable: bool = False
    """The buyer's choice leaves a seat alone, and a party of this size could sit together without."""


class NotEnoughSeats(ValueError):
    """Fewer are free than are wanted: of the category, or of wheelchair seats."""

    def __init__(self, wanted: int, left: int, *, of: str) -> None:
        super().__init__(f"{wanted} {of} wanted, {left} left")
        self.wanted, self.left, self.of = wanted, left, of


class SeatsRefused(ValueError):
    """Seats that were named and can't be had, by reason: each an id."""

    def __init__(
        self, *, unknown: Sequence[str], taken: Sequence[str], accessible: Sequence[str], twice: Sequence[str]
    ) -> None:
        self.unknown, self.taken = tuple(unknown), tuple(taken)
        self.accessible, self.twice = tuple(accessible), tuple(twice)
        reasons = {
            "no seat of this section": unknown,
            "not free": taken,
            "for who needs a wheelchair seat": accessible,
            "named twice": twice,
        }
        super().__init__("; ".join(f"{reason}: {', '.join(ids)}" for reason, ids in reasons.items() if ids))


class Picker:
    """The seats of a section that are free, and where the next party goes. It changes by `take` and `give_back` only.

    `free` has the free bits of each row; none given: all are free.
    """

    def __init__(self, layout: Layout, free: Iterable[int] | None = None) -> None:
        self.layout = layout
        self.free = layout.row_bits() if free is None else list(free)
        self._lines = lines_of(layout)
        self._in_row: list[list[Line]] = [[] for _ in layout.rows]
        by_category: dict[int, list[Line]] = {}
        for line in self._lines:
            self._in_row[line.row].append(line)
            by_category.setdefault(line.category, []).append(line)
        self._indexes = {category: Index(lines, self.free) for category, lines in by_category.items()}
        self._pairs = _Pairs(self, self._lines)
        self._wheelchairs = _masks(layout, Flags.WHEELCHAIR)
        self._accessible = _masks(layout, ACCESSIBLE)

    def take(self, seats: Iterable[int]) -> None:
        """These seats are not free any more. Raises ValueError, and changes nothing, if one is not free."""
        rows = self._bits(seats)
        if any(bits & ~self.free[row] for row, bits in rows.items()):
            raise ValueError("a seat is taken already")
        for row, bits in rows.items():
            self._change(row, self.free[row] & ~bits, bits)

    def give_back(self, seats: Iterable[int]) -> None:
        """These seats are free again. Raises ValueError, and changes nothing, if one is."""
        rows = self._bits(seats)
        if any(bits & self.free[row] for row, bits in rows.items()):
            raise ValueError("a seat is free already")
        for row, bits in rows.items():
            self._change(row, self.free[row] | bits, bits)

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

    def named(self, ids: Sequence[str], *, wheelchairs: int = 0) -> Pick:
        """The seats of these ids, if all can be had. Raises SeatsRefused, which says why of each that can't."""
        known = {id: index for id in ids if (index := self.layout.index_of(id)) is not None}
        unknown = [id for id in ids if id not in known]
        twice = sorted({id for id in ids if ids.count(id) > 1})
        taken = [id for id, index in known.items() if not self.is_free(index)]
        special = [id for id, index in known.items() if self.layout.flags[index] & ACCESSIBLE and not wheelchairs]
        if unknown or twice or taken or special:
            raise SeatsRefused(unknown=unknown, taken=taken, accessible=special, twice=twice)
        seats = tuple(sorted(known.values()))
        orphans = self.orphans(seats)
        return Pick(seats, Step.NAMED, orphans, bool(orphans) and self._without_orphan(seats))

    def _without_orphan(self, seats: tuple[int, ...]) -> bool:
        categories = {self.layout.category[seat] for seat in seats}
        return any(
            told(index.best(len(seats)))[0] == 0
            for category, index in self._indexes.items()
            if category in categories and index.best(len(seats)) != NOWHERE
        )

    def _categories(self, name: str | None) -> list[int]:
        return [n for n, each in enumerate(self.layout.categories) if name is None or each == name]

    def _bits(self, seats: Iterable[int]) -> dict[int, int]:
        rows: dict[int, int] = {}
        for seat in seats:
            row, bit = self.layout.place(seat)
            if rows.get(row, 0) >> bit & 1:
                raise ValueError("a seat is there twice")
            rows[row] = rows.get(row, 0) | 1 << bit
        return rows

    def _change(self, row: int, free: int, changed: int) -> None:
        self.free[row] = free
        for line in self._in_row[row]:
            if line.mask & changed:
                self._indexes[line.category].changed(line, free)
                self._pairs.changed(line)

    def _together(self, size: int, categories: list[int]) -> Pick | None:
        key = min((self._indexes[each].best(size) for each in categories if each in self._indexes), default=NOWHERE)
        if key == NOWHERE:
            return None
        orphans, number, start = told(key)
        row = self._lines[number].row
        first = self.layout.rows[row].at[start]
        seats = tuple(range(first, first + size))
        return Pick(seats, Step.ORPHAN, self.orphans(seats)) if orphans else Pick(seats, Step.TOGETHER)

    def _ordinary(self, size: int, categories: list[int]) -> Pick:
        found = self._together(size, categories) or self._pairs.best(size, categories)
        if found is not None:
            return found
        left = self._left(categories)
        if left < size:
            raise NotEnoughSeats(size, left, of="seats")
        for step, smallest in ((Step.SPLIT, 2), (Step.ANYWHERE, 1)):
            seats = self._in_groups(size, categories, smallest)
            if seats is not None:
                return Pick(seats, step, self.orphans(seats))
        raise AssertionError("as many are free as are wanted")

    def _left(self, categories: list[int]) -> int:
        return sum((self.free[line.row] & line.mask).bit_count() for line in self._lines if line.category in categories)

    def _in_groups(self, size: int, categories: list[int], smallest: int) -> tuple[int, ...] | None:
        """The largest group first; takes each to look for the next, and gives all back."""
        taken: list[int] = []
        while len(taken) < size:
            rest = size - len(taken)
            sizes = (n for n in range(min(rest, MAX_PARTY), smallest - 1, -1) if n == rest or rest - n >= smallest)
            group = next((pick for n in sizes if (pick := self._together(n, categories))), None)
            if group is None:
                break
            self.take(group.seats)
            taken += group.seats
        self.give_back(taken)
        return tuple(sorted(taken)) if len(taken) == size else None

    def orphans(self, seats: Sequence[int]) -> tuple[int, ...]:
        """The ordinary seats that would be alone without these, and are not so now."""
        found: list[int] = []
        for row, bits in self._bits(seats).items():
            for line in self._in_row[row]:
                free = self.free[row] & line.mask
                new = alone(free & ~bits) & ~alone(free)
                found += [self.layout.rows[row].at[bit] for bit in range(new.bit_length()) if new >> bit & 1]
        return tuple(sorted(found))

    def _with_wheelchairs(self, party: Party, categories: list[int]) -> Pick:
        left = sum(bits.bit_count() for bits in self._wheelchairs_free(categories).values())
        if left < party.wheelchairs:
            raise NotEnoughSeats(party.wheelchairs, left, of="wheelchair seats")
        whole = self._window(party.size, party.wheelchairs, categories)
        if whole is not None:
            orphans = self.orphans(whole)
            return Pick(whole, Step.ORPHAN if orphans else Step.TOGETHER, orphans)
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
        found = tuple(sorted(taken))
        return Pick(found, Step.SPLIT, self.orphans(found))

    def _take_ordinary(self, size: int, categories: list[int]) -> tuple[int, ...]:
        seats = self._ordinary(size, categories).seats
        self.take(seats)
        return seats

    def _part(self, seats: int, wheelchairs: int, categories: list[int]) -> tuple[tuple[int, ...], int]:
        """As many wheelchairs beside one another as there are places for, with as many of the others as can be.

        Where some wheelchairs have to be elsewhere, each takes one of the others along at most.
        """
        for asked in range(wheelchairs, 0, -1):
            others = seats - wheelchairs if asked == wheelchairs else min(seats - wheelchairs, asked)
            for size in range(asked + others, asked - 1, -1):
                found = self._window(size, asked, categories)
                if found is not None:
                    return found, asked
        raise AssertionError("a free wheelchair seat is a window of one")

    def _wheelchairs_free(self, categories: list[int]) -> dict[int, int]:
        return {
            row: bits
            for (row, category), mask in self._wheelchairs.items()
            if category in categories and (bits := mask & self.free[row])
        }

    def _window(self, size: int, wheelchairs: int, categories: list[int]) -> tuple[int, ...] | None:
        """Adjacent seats of a row with exactly so many wheelchair seats: fewest new orphans, then nearest."""
        best: tuple[int, int, int] | None = None
        for (row, category), mask in self._wheelchairs.items():
            asked = mask & self.free[row]
            if category not in categories or not asked:
                continue
            ordinary = [line for line in self._in_row[row] if line.category == category]
            free = self.free[row] & (self._accessible[row, category] | (ordinary[0].mask if ordinary else 0))
            starts, at = adjacent(free, size), self.layout.rows[row].at
            for start in range(starts.bit_length()):
                window = ((1 << size) - 1) << start
                if starts >> start & 1 and (asked & window).bit_count() == wheelchairs:
                    seats = range(at[start], at[start] + size)
                    cost = sum(self.layout.distance(seat) for seat in seats)
                    key = (len(self.orphans(seats)), cost, at[start])
                    best = key if best is None or key < best else best
        return None if best is None else tuple(range(best[2], best[2] + size))


class _Pairs:
    """Lines of one category in two rows behind one another, and the best of them for each size, kept like an index.

    A size's keys are computed when it is first asked for; after that only those of pairs whose lines have changed.
    """

    def __init__(self, picker: Picker, lines: list[Line]) -> None:
        self._picker = picker
        by_place = {(line.row, line.category): line for line in lines}
        self._pairs = [
            (line, behind) for line in lines if (behind := by_place.get((line.row + 1, line.category))) is not None
        ]
        self._of_line: dict[int, list[int]] = {}
        for number, pair in enumerate(self._pairs):
            for line in pair:
                self._of_line.setdefault(line.number, []).append(number)
        self._found: dict[int, list[_Found | None]] = {}
        self._changed: dict[int, set[int]] = {}

    def changed(self, line: Line) -> None:
        """This line's free bits are others now."""
        for changed in self._changed.values():
            changed.update(self._of_line.get(line.number, ()))

    def best(self, size: int, categories: list[int]) -> Pick | None:
        """The nearest place for two halves, None if there is none."""
        if not 2 <= size <= MAX_PARTY:
            return None
        found = self._found.setdefault(size, [None] * len(self._pairs))
        for number in self._changed.get(size, range(len(self._pairs))):
            found[number] = self._look(number, size)
        self._changed[size] = set()
        best = min((each for each in found if each is not None and each.category in categories), default=None)
        if best is None:
            return None
        seats = tuple(sorted((*range(best.front, best.front + best.ahead), *range(best.back, best.back + best.behind))))
        return Pick(seats, Step.BEHIND, self._picker.orphans(seats))

    def _look(self, number: int, size: int) -> "_Found | None":
        front, back = self._pairs[number]
        larger, smaller = size - size // 2, size // 2
        best: _Found | None = None
        for ahead, behind in sorted({(larger, smaller), (smaller, larger)}):
            starts = self._starts(front, ahead), self._starts(back, behind)
            if all(starts):
                for each in self._places(front, starts[0], ahead, back, starts[1], behind):
                    best = each if best is None or each < best else best
        return best

    def _starts(self, line: Line, size: int) -> list[int]:
        starts = adjacent(self._picker.free[line.row] & line.mask, size)
        return [bit for bit in line.order(size) if starts >> bit & 1] if starts else []

    def _places(
        self, front: Line, fronts: list[int], ahead: int, back: Line, backs: list[int], behind: int
    ) -> "Iterable[_Found]":
        at, at_back = self._picker.layout.rows[front.row].at, self._picker.layout.rows[back.row].at
        least: int | None = None
        for start in fronts:  # nearest first
            cost = front.cost(start, ahead)
            if least is not None and cost >= least:
                return
            for other in backs:
                total = cost + back.cost(other, behind)
                if least is not None and total > least:
                    break
                if self._overlap(at[start], ahead, at_back[other], behind):
                    least = total
                    yield _Found(total, at[start], at_back[other], ahead, behind, front.category)
                    break

    def _overlap(self, first: int, ahead: int, second: int, behind: int) -> bool:
        x = self._picker.layout.x
        one, two = sorted((x[first], x[first + ahead - 1])), sorted((x[second], x[second + behind - 1]))
        return one[0] <= two[1] and two[0] <= one[1]


class _Found(NamedTuple):
    """Two halves: how far in all, the first seat of each, how many each is, and the category."""

    cost: int
    front: int
    back: int
    ahead: int
    behind: int
    category: int


def _masks(layout: Layout, flags: Flags) -> dict[tuple[int, int], int]:
    """The bits of the seats with any of these flags, by row and category."""
    masks: dict[tuple[int, int], int] = {}
    for index in range(len(layout)):
        if layout.flags[index] & flags:
            row, bit = layout.place(index)
            place = row, layout.category[index]
            masks[place] = masks.get(place, 0) | 1 << bit
    return masks
