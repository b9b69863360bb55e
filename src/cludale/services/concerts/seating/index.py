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
_FAR = 1 << _COST
_ORPHAN = 1 << (_COST + 2 * _LOW)
_MASK = (1 << _LOW) - 1


class Line:
    """A row's ordinary seats of one category: `mask` has their bits, `sums` the distances before each bit."""

    __slots__ = ("_middles", "_orders", "category", "mask", "number", "row", "size", "sums")

    def __init__(self, number: int, row: int, category: int, mask: int, sums: "array[int]") -> None:
        self.number, self.row, self.category, self.mask, self.sums = number, row, category, mask, sums
        self.size = min(MAX_PARTY, _longest(mask))
        self._orders: dict[int, array[int]] = {}
        self._middles = array("i", [self._middle(size) for size in range(self.size + 1)])

    def cost(self, start: int, size: int) -> int:
        """How far the seats from this bit on are from the focal point, all together."""
        return self.sums[start + size] - self.sums[start]

    def order(self, size: int) -> "array[int]":
        """The bits where a party of this size may begin, nearest first."""
        order = self._orders.get(size)
        if order is None:
            order = array("H", sorted(self._starts(size), key=lambda bit: (self.cost(bit, size), bit)))
            self._orders[size] = order
        return order

    def keys(self, free: int) -> list[int]:
        """The key of the best place for each size from 1 on, while there is one."""
        free &= self.mask
        left = (free << 1) & ~(free << 2)  # the seat before is free, and the one before that is not
        starts, shifted, keys, sums = free, free, [], self.sums
        line, middles = self.number << _LOW, self._middles
        for size in range(1, self.size + 1):
            if not starts:
                break
            shifted >>= 1
            right = shifted & ~(shifted >> 1)
            orphans, among = 0, starts & ~(left | right)
            if not among:
                orphans, among = _ORPHAN, starts & (left ^ right)
            if not among:
                orphans, among = 2 * _ORPHAN, starts
            middle = middles[size]
            if middle < 0:
                start = next(bit for bit in self.order(size) if among >> bit & 1)
                cost = sums[start + size] - sums[start]
            else:  # the nearest of those before the middle, or of those from there on
                before, after = among & ((1 << middle) - 1), among >> middle
                cost = _FAR
                if before:
                    start = before.bit_length() - 1
                    cost = sums[start + size] - sums[start]
                if after:
                    other = middle + (after & -after).bit_length() - 1
                    further = sums[other + size] - sums[other]
                    if further < cost:
                        start, cost = other, further
            keys.append(orphans | cost << 2 * _LOW | line | start)
            starts &= shifted
        return keys

    def _starts(self, size: int) -> list[int]:
        starts = adjacent(self.mask, size)
        return [bit for bit in range(starts.bit_length()) if starts >> bit & 1]

    def _middle(self, size: int) -> int:
        """The start of the nearest place, if all are the further the further they are from it in the row; else -1."""
        starts = self._starts(size) if size else []
        if not starts:
            return -1
        costs = [self.cost(bit, size) for bit in starts]
        least = costs.index(min(costs))
        down, up = costs[: least + 1], costs[least:]
        return starts[least] if down == sorted(down, reverse=True) and up == sorted(up) else -1


class Index:
    """The lines of a category, and for each size the least key of all."""

    def __init__(self, lines: list[Line], free: list[int]) -> None:
        self.lines = lines
        self._place = {line.number: place for place, line in enumerate(lines)}
        most = max((line.size for line in lines), default=0)
        self.largest = most
        groups = -(-len(lines) // _GROUP)
        self._keys = [[NOWHERE] * len(lines) for _ in range(most)]
        self._least = [[NOWHERE] * groups for _ in range(most)]
        for line in lines:
            self.changed(line, free[line.row])

    def changed(self, line: Line, free: int) -> None:
        """The line's row has these free bits now."""
        place = self._place[line.number]
        group = place // _GROUP
        keys = line.keys(free)
        keys += [NOWHERE] * (line.size - len(keys))
        for new, all, least in zip(keys, self._keys, self._least, strict=False):
            old = all[place]
            if new != old:
                all[place] = new
                if new < least[group]:
                    least[group] = new
                elif old == least[group]:
                    least[group] = min(all[group * _GROUP : (group + 1) * _GROUP])

    def best(self, size: int) -> int:
        """The least key for this size, NOWHERE if no line has as many adjacent seats."""
        return min(self._least[size - 1]) if size <= self.largest else NOWHERE


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
