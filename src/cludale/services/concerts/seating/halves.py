"""A party in two halves, in two rows behind one another: which places there are, and the nearest of them."""

from collections.abc import Iterator

from cludale.services.concerts.seating.ground import MAX_PARTY, Ground, Line, adjacent

NO_HALVES = 1 << 120
"""The key where there are no such places: more than every other."""

_SEAT = 16  # bits of a key for the first seat of each half
_AHEAD = 5  # and for how many sit in front
_LOG = 4
"""What has changed is noted for each size that was asked for, once that is so many times as many as there are lines."""


class Halves:
    """Lines of one category in two rows behind one another, and the best of them for each size.

    A size's keys are computed when it is first asked for; after that only those of pairs whose lines have changed.
    `free` has each row's free bits, always.
    """

    def __init__(self, ground: Ground, free: list[int], category: int) -> None:
        self._ground, self._free = ground, free
        by_row = {line.row: line for line in ground.lines if line.category == category}
        self._pairs = [(line, behind) for line in by_row.values() if (behind := by_row.get(line.row + 1)) is not None]
        self._of_line: dict[int, list[int]] = {}
        for number, pair in enumerate(self._pairs):
            for line in pair:
                self._of_line.setdefault(line.number, []).append(number)
        self._keys: dict[int, list[int]] = {}
        self._changed: list[int] = []
        self._noted: dict[int, tuple[set[int], int]] = {}
        """By size, the lines that have changed, and up to where in `_changed` they were looked up."""

    def changed(self, line: Line) -> None:
        """This line's free bits are others now."""
        if self._keys:
            self._changed.append(line.number)
            if len(self._changed) > _LOG * len(self._of_line):
                self._noted = {size: (self._lines_changed(size), 0) for size in self._keys}
                self._changed.clear()

    def best(self, size: int) -> int:
        """The key of the nearest place for two halves, NO_HALVES if there is none."""
        if not 2 <= size <= MAX_PARTY or not self._pairs:
            return NO_HALVES
        keys = self._keys.get(size)
        if keys is None:
            keys = self._keys[size] = [self._look(number, size) for number in range(len(self._pairs))]
        else:
            pairs = {number for line in self._lines_changed(size) for number in self._of_line.get(line, ())}
            for number in pairs:
                keys[number] = self._look(number, size)
        self._noted[size] = set(), len(self._changed)
        return min(keys)

    def _lines_changed(self, size: int) -> set[int]:
        noted, upto = self._noted[size]
        return noted.union(self._changed[upto:])

    def _look(self, number: int, size: int) -> int:
        front, back = self._pairs[number]
        free_front, free_back = self._free[front.row] & front.mask, self._free[back.row] & back.mask
        best = NO_HALVES
        if not free_front or not free_back:
            return best
        larger, smaller = size - size // 2, size // 2
        for ahead, behind in sorted({(larger, smaller), (smaller, larger)}):
            fronts, backs = adjacent(free_front, ahead), adjacent(free_back, behind)
            if fronts and backs:
                best = min(best, self._nearest(front, fronts, ahead, back, backs, behind))
        return best

    def _nearest(self, front: Line, fronts: int, ahead: int, back: Line, backs: int, behind: int) -> int:
        """Most often the nearest places of either row are in front of one another."""
        at, at_back = self._ground.layout.rows[front.row].at, self._ground.layout.rows[back.row].at
        cost, start = front.nearest(fronts, ahead)
        further, other = back.nearest(backs, behind)
        if self._overlap(at[start], ahead, at_back[other], behind):
            return _key(cost + further, at[start], at_back[other], ahead)
        return min(self._places(front, fronts, ahead, back, backs, behind), default=NO_HALVES)

    def _places(self, front: Line, fronts: int, ahead: int, back: Line, backs: int, behind: int) -> Iterator[int]:
        at, at_back = self._ground.layout.rows[front.row].at, self._ground.layout.rows[back.row].at
        behinds = sorted((back.cost(bit, behind), bit) for bit in _bits(backs))
        least: int | None = None
        for cost, start in sorted((front.cost(bit, ahead), bit) for bit in _bits(fronts)):
            if least is not None and cost >= least:
                return
            for further, other in behinds:
                total = cost + further
                if least is not None and total > least:
                    break
                if self._overlap(at[start], ahead, at_back[other], behind):
                    least = total
                    yield _key(total, at[start], at_back[other], ahead)
                    break

    def _overlap(self, first: int, ahead: int, second: int, behind: int) -> bool:
        x = self._ground.layout.x
        one, two = sorted((x[first], x[first + ahead - 1])), sorted((x[second], x[second + behind - 1]))
        return one[0] <= two[1] and two[0] <= one[1]


def seats_of(key: int, size: int) -> tuple[int, ...]:
    """The seats of a key, rising."""
    ahead, other = key & (1 << _AHEAD) - 1, key >> _AHEAD & (1 << _SEAT) - 1
    first = key >> _AHEAD + _SEAT & (1 << _SEAT) - 1
    return tuple(sorted((*range(first, first + ahead), *range(other, other + size - ahead))))


def _key(cost: int, first: int, other: int, ahead: int) -> int:
    """The nearest first, then by the first seats of the halves."""
    return ((cost << _SEAT | first) << _SEAT | other) << _AHEAD | ahead


def _bits(bits: int) -> list[int]:
    return [bit for bit in range(bits.bit_length()) if bits >> bit & 1]
