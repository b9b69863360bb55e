"""Which seats a party has to get, by trying every place: slow and obvious, and shares no code with the picker."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.product.services.concerts.seating.halls import cost, stretches

from cludale.services.concerts.seating.ground import MAX_PARTY
from cludale.services.concerts.seating.layout import Layout
from cludale.services.concerts.seating.picking import Step


class Chosen(NamedTuple):
    """Seats, rising, and by which step."""

    seats: tuple[int, ...]
    step: Step


class Reference:
    """A hall of the tests, whose rows are texts."""

    def __init__(self, layout: Layout, rows: Sequence[str]) -> None:
        self.layout = layout
        self._rows = tuple(rows)

    def best(self, free: set[int], size: int) -> Chosen | None:
        """What a party gets that asks for no wheelchair seat; None: there are not so many seats."""
        runs = stretches(self.layout, self._rows, free)
        together = self._together(runs, size)
        if together is not None:
            seats, orphans = together
            return Chosen(seats, Step.ORPHAN if orphans else Step.TOGETHER)
        halves = min(self._halves(runs, size), default=None)
        if halves is not None:
            return Chosen(tuple(sorted(halves[-1])), Step.BEHIND)
        if sum(len(run) for run in runs) < size:
            return None
        return self._groups(free, size, Step.SPLIT, 2) or self._groups(free, size, Step.ANYWHERE, 1)

    def _together(self, runs: list[list[int]], size: int) -> tuple[tuple[int, ...], int] | None:
        """Adjacent: fewest left alone, then nearest, then by row, category and seat."""
        layout = self.layout
        places = []
        for run in runs:
            for start in range(len(run) - size + 1 if size <= MAX_PARTY else 0):
                seats = run[start : start + size]
                orphans = (start == 1) + (len(run) - size - start == 1)
                first = seats[0]
                key = orphans, cost(layout, seats), layout.row_of[first], layout.category[first], first
                places.append((key, tuple(seats), orphans))
        return None if not places else min(places)[1:]

    def _halves(self, runs: list[list[int]], size: int) -> Iterator[tuple[int, int, int, int, tuple[int, ...]]]:
        """In two rows behind one another, one before the other: nearest, then by the first seats of the halves."""
        layout = self.layout
        if not 2 <= size <= MAX_PARTY:
            return
        some, others = size // 2, size - size // 2
        for ahead in {some, others}:
            for front in _windows(runs, ahead):
                for back in _windows(runs, size - ahead):
                    is_behind = layout.row_of[back[0]] == layout.row_of[front[0]] + 1
                    if is_behind and layout.category[front[0]] == layout.category[back[0]] and self._meet(front, back):
                        far = cost(layout, front) + cost(layout, back)
                        yield far, front[0], back[0], ahead, (*front, *back)

    def _meet(self, front: list[int], back: list[int]) -> bool:
        x = [self.layout.x[seat] for seat in front], [self.layout.x[seat] for seat in back]
        return max(x[0]) >= min(x[1]) and max(x[1]) >= min(x[0])

    def _groups(self, free: set[int], size: int, step: Step, smallest: int) -> Chosen | None:
        """The largest group that there is room for, then the rest, with none smaller than this."""
        left, seats = set(free), list[int]()
        while len(seats) < size:
            rest = size - len(seats)
            runs = stretches(self.layout, self._rows, left)
            for group in range(min(rest, MAX_PARTY), smallest - 1, -1):
                found = self._together(runs, group) if group == rest or rest - group >= smallest else None
                if found is not None:
                    break
            else:
                return None
            seats += found[0]
            left -= set(found[0])
        return Chosen(tuple(sorted(seats)), step)


def _windows(runs: list[list[int]], size: int) -> Iterator[list[int]]:
    for run in runs:
        for start in range(len(run) - size + 1):
            yield run[start : start + size]
