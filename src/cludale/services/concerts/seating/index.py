"""The best place for each size of a party, kept up to date as seats are taken.

A *line* is what is sold alike and may be adjacent: a row's ordinary seats of one category. For every line and size
there is a key, a whole number that orders places: fewest orphans first, then nearest, then the line and bit, so that
no two are equal. Only the keys of a line that changed are computed again. Least keys are kept for groups of lines.
"""

from array import array

from cludale.services.concerts.seating.layout import ACCESSIBLE, Flags, Layout

MAX_PARTY = 20
"""The largest party that is looked for together."""

NOWHERE = 1 << 120
"""The key where there is no place: more than every other."""

_GROUP = 32
_LOW = 16  # bits for a line and for a bit of a row each
_COST = 56  # bits for a distance
_ORPHAN = 1 << (_COST + 2 * _LOW)
_MASK = (1 << _LOW) - 1


class Line:
    """A row's ordinary seats of one category: `mask` has their bits, `sums` the distances before each bit."""

    __slots__ = ("_orders", "category", "mask", "number", "row", "size", "sums")

    def __init__(self, number: int, row: int, category: int, mask: int, sums: "array[int]") -> None:
        self.number, self.row, self.category, self.mask, self.sums = number, row, category, mask, sums
        self.size = min(MAX_PARTY, _longest(mask))
        self._orders: list[array[int] | None] = [None] * (self.size + 1)

    def order(self, size: int) -> "array[int]":
        """The bits where a party of this size may begin, nearest first. Computed when it is first asked for."""
        order = self._orders[size]
        if order is None:
            starts, sums = adjacent(self.mask, size), self.sums
            bits = (bit for bit in range(starts.bit_length()) if starts >> bit & 1)
            order = array("H", sorted(bits, key=lambda bit: (sums[bit + size] - sums[bit], bit)))
            self._orders[size] = order
        return order

    def cost(self, start: int, size: int) -> int:
        """How far the seats from this bit on are from the focal point, all together."""
        return self.sums[start + size] - self.sums[start]

    def keys(self, free: int) -> list[int]:
        """The key of the best place for each size from 1 on, while there is one."""
        free &= self.mask
        left = (free << 1) & ~(free << 2)  # the seat before is free, and the one before that is not
        starts, keys = free, []
        for size in range(1, self.size + 1):
            if size > 1:
                starts &= free >> (size - 1)
            if not starts:
                break
            right = (free >> size) & ~(free >> (size + 1))
            orphans, among = 0, starts & ~(left | right)
            if not among:
                orphans, among = 1, starts & (left ^ right)
            if not among:
                orphans, among = 2, starts
            order = self.order(size)
            for start in order:
                if among >> start & 1:
                    break
            cost = self.sums[start + size] - self.sums[start]
            keys.append(((orphans << _COST | cost) << _LOW | self.number) << _LOW | start)
        return keys


class Index:
    """The lines of a category, and for each size the least key of all."""

    def __init__(self, lines: list[Line], free: list[int]) -> None:
        self.lines = lines
        self._place = {line.number: place for place, line in enumerate(lines)}
        most = max((line.size for line in lines), default=0)
        self.largest = most
        groups = -(-len(lines) // _GROUP)
        self._keys = [[NOWHERE] * len(lines) for _ in range(most + 1)]
        self._least = [[NOWHERE] * groups for _ in range(most + 1)]
        for line in lines:
            self.changed(line, free[line.row])

    def changed(self, line: Line, free: int) -> None:
        """The line's row has these free bits now."""
        place = self._place[line.number]
        group = place // _GROUP
        keys = line.keys(free)
        for size in range(1, line.size + 1):
            new = keys[size - 1] if size <= len(keys) else NOWHERE
            all, least = self._keys[size], self._least[size]
            old = all[place]
            if new == old:
                continue
            all[place] = new
            if new < least[group]:
                least[group] = new
            elif old == least[group]:
                least[group] = min(all[group * _GROUP : (group + 1) * _GROUP])

    def best(self, size: int) -> int:
        """The least key for this size, NOWHERE if no line has as many adjacent seats."""
        return min(self._least[size]) if size <= self.largest else NOWHERE


def told(key: int) -> tuple[int, int, int]:
    """A key's orphans, line and first bit."""
    return key // _ORPHAN, key >> _LOW & _MASK, key & _MASK


def adjacent(free: int, size: int) -> int:
    """The bits where `size` free ones begin."""
    starts = free
    for shift in range(1, size):
        starts &= free >> shift
    return starts


def alone(free: int) -> int:
    """The free bits that have no free neighbour."""
    return free & ~(free << 1) & ~(free >> 1)


def lines_of(layout: Layout) -> list[Line]:
    """The lines of a section. One seat of restricted view counts for more than the way to all others of a party."""
    far = max((layout.distance(index) for index in range(len(layout))), default=0) + 1
    lines: list[Line] = []
    for number, row in enumerate(layout.rows):
        sums, masks = array("q", [0]), dict[int, int]()
        for bit, index in enumerate(row.at):
            cost = 0
            if index >= 0:
                restricted = layout.flags[index] & Flags.RESTRICTED_VIEW
                cost = layout.distance(index) + (far * MAX_PARTY if restricted else 0)
                if not layout.flags[index] & ACCESSIBLE:
                    category = layout.category[index]
                    masks[category] = masks.get(category, 0) | 1 << bit
            sums.append(sums[-1] + cost)
        for category, mask in sorted(masks.items()):
            lines.append(Line(len(lines), number, category, mask, sums))
    return lines


def _longest(bits: int) -> int:
    length = 0
    while bits:
        bits &= bits >> 1
        length += 1
    return length
