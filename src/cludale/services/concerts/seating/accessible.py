"""Wheelchair seats: where so many of them are, with others beside them."""

from collections.abc import Sequence
from itertools import accumulate

from cludale.services.concerts.seating.ground import Ground, adjacent, alone

_Key = tuple[int, int, int]


class Windows:
    """Adjacent seats of a row with exactly so many wheelchair seats. `free` has each row's free bits, always.

    What was the best of a row is remembered as long as the same seats of it are free.
    """

    def __init__(self, ground: Ground, free: list[int]) -> None:
        self._ground, self._free = ground, free
        self._ordinary = {(line.row, line.category): line.mask for line in ground.lines}
        self._sums: dict[int, Sequence[int]] = {}
        self._best: dict[tuple[int, int], tuple[int, dict[tuple[int, int], _Key | None]]] = {}

    def left(self, categories: Sequence[int]) -> int:
        """How many wheelchair seats of these categories are free."""
        free = self._free
        of = self._ground.wheelchairs.items()
        return sum((mask & free[row]).bit_count() for (row, category), mask in of if category in categories)

    def best(self, size: int, wheelchairs: int, categories: Sequence[int]) -> tuple[int, ...] | None:
        """The seats that leave the fewest others alone, then the nearest; None: there are none."""
        best: _Key | None = None
        for place, mask in self._ground.wheelchairs.items():
            row, category = place
            asked = mask & self._free[row]
            if category in categories and asked.bit_count() >= wheelchairs:
                key = self._of_row(place, asked, size, wheelchairs)
                if key is not None and (best is None or key < best):
                    best = key
        return None if best is None else tuple(range(best[2], best[2] + size))

    def _of_row(self, place: tuple[int, int], asked: int, size: int, wheelchairs: int) -> _Key | None:
        free = self._free[place[0]]
        before, known = self._best.get(place, (0, {}))
        if before != free:
            known = {}
            self._best[place] = free, known
        if (size, wheelchairs) not in known:
            known[size, wheelchairs] = self._look(place, asked, size, wheelchairs)
        return known[size, wheelchairs]

    def _look(self, place: tuple[int, int], asked: int, size: int, wheelchairs: int) -> _Key | None:
        row, ordinary = place[0], self._ordinary.get(place, 0)
        free = self._free[row] & (self._ground.accessible[place] | ordinary)
        at, sums = self._ground.layout.rows[row].at, self._distances(row)
        others = free & ordinary
        before = alone(others)
        best: _Key | None = None
        for start in _bits(adjacent(free, size) & _reaching(asked, size)):
            window = ((1 << size) - 1) << start
            if (asked & window).bit_count() == wheelchairs:
                orphans = (alone(others & ~window) & ~before).bit_count()
                key = orphans, sums[start + size] - sums[start], at[start]
                best = key if best is None or key < best else best
        return best

    def _distances(self, row: int) -> Sequence[int]:
        """The distances before each bit."""
        sums = self._sums.get(row)
        if sums is None:
            layout = self._ground.layout
            of = (0 if index < 0 else layout.distance(index) for index in layout.rows[row].at)
            sums = self._sums[row] = list(accumulate(of, initial=0))
        return sums


def _reaching(bits: int, size: int) -> int:
    """Where runs of `size` adjacent bits begin that have one of these bits in them."""
    found = 0
    for _ in range(size):
        found |= bits
        bits >>= 1
    return found


def _bits(bits: int) -> list[int]:
    return [bit for bit in range(bits.bit_length()) if bits >> bit & 1]
