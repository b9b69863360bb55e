"""A party in two halves, in two rows behind one another: which places there are, and the nearest of them."""

from collections.abc import Iterator

from cludale.services.concerts.seating.ground import MAX_PARTY, Ground, Line, adjacent

NO_HALVES = 1 << 120
"""The key where there are no such places: more than every other."""

_SEAT = 16  # bits of a key for the first seat of each half
_AHEAD = 5  # and for how many sit in front


class Halves:
    """Lines of one category in two rows behind one another, and the best of them for each size.

    A size's keys are computed when it is first asked for; after that only those of pairs whose lines have changed.
    `free` has each row's free bits, always.
    """

    def __init__(self, ground: Ground, free: list[int], category: int) -> None:
        self._ground, self._free = ground, free
        by_row = {line.row: line for line in ground.lines if line.category == category}
        self._pairs = [(line, behind) for line in by_row.values() if (behind := by_row.get(line.row + 1)) is not None]
        self._of_row: dict[int, list[int]] = {}
        for number, pair in enumerate(self._pairs):
            for line in pair:
                self._of_row.setdefault(line.row, []).append(number)
        self._open: set[int] = set()
        """The pairs whose rows both have seats free."""
        self._keys: dict[int, dict[int, int]] = {}
        """By size, the key of each pair in which there is a place."""
        self._changed: dict[int, set[int]] = {}
        """By size, the pairs whose seats have changed since they were looked at."""
        for row in self._of_row:
            self.changed(row)

    def changed(self, row: int) -> None:
        """The free bits of its line in this row are others now."""
        pairs = self._of_row.get(row, ())
        for number in pairs:
            front, back = self._pairs[number]
            if self._free[front.row] and self._free[back.row]:
                self._open.add(number)
            else:
                self._open.discard(number)
        for changed in self._changed.values():
            changed.update(pairs)

    def best(self, size: int) -> int:
        """The key of the nearest place for two halves, NO_HALVES if there is none."""
        if not 2 <= size <= MAX_PARTY or not self._pairs:
            return NO_HALVES
        keys = self._keys.setdefault(size, {})
        changed = self._changed.get(size)
        if changed is None:
            changed = self._changed[size] = self._open.copy()
        for number in keys.keys() & changed:
            del keys[number]
        for number in changed & self._open:
            key = self._look(*self._pairs[number], size)
            if key != NO_HALVES:
                keys[number] = key
        changed.clear()
        return min(keys.values(), default=NO_HALVES)

    def _look(self, front: Line, back: Line, size: int) -> int:
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
