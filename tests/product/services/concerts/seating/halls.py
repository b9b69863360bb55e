"""Halls for the tests, and a picker that tries everything: slow, and shares no code with the one that it judges."""

from itertools import pairwise
from math import hypot

from cludale.services.concerts.seating.layout import Flags, Layout, Seat

ACCESSIBLE = Flags.WHEELCHAIR | Flags.COMPANION


def hall(*rows: str, focus: tuple[float, float] = (40, -20)) -> Layout:
    """A row is a text: `s` a seat, `_` an aisle, `w` wheelchair, `c` companion, `r` restricted view, `b` category B."""
    made = []
    for number, row in enumerate(rows):
        seats = [
            Seat(f"{number}-{place}", str(place), place * 10.0, number * 12.0, "B" if kind == "b" else "A", FLAGS[kind])
            for place, kind in enumerate(row)
            if kind != "_"
        ]
        made.append((f"{number}", seats))
    return Layout(made, focus=focus, spacing=10)


FLAGS = {
    "s": Flags.NONE,
    "b": Flags.NONE,
    "w": Flags.WHEELCHAIR,
    "c": Flags.COMPANION,
    "r": Flags.RESTRICTED_VIEW,
}


def stretches(layout: Layout, rows: tuple[str, ...], free: set[int]) -> list[list[int]]:
    """Ordinary free seats that are neighbours, by the text of the rows."""
    found: list[list[int]] = []
    index = 0
    for row in rows:
        last = "_"
        for kind in row:
            if kind != "_":
                ordinary = kind in "sbr" and index in free
                alike = last != "_" and (last == "b") == (kind == "b")
                if ordinary and alike and found and found[-1][-1:] == [index - 1]:
                    found[-1].append(index)
                elif ordinary:
                    found.append([index])
                index += 1
            last = kind
    return found


def cost(layout: Layout, seats: list[int]) -> int:
    """How far the seats are; one of restricted view is further than all others."""
    x, y = layout.focus
    return sum(
        round(hypot(layout.x[s] - x, layout.y[s] - y) * 64) + (10**9 if layout.flags[s] & Flags.RESTRICTED_VIEW else 0)
        for s in seats
    )


def best_adjacent(layout: Layout, rows: tuple[str, ...], free: set[int], size: int) -> tuple[int, int] | None:
    """Fewest new orphans and, with these, the least distance; None if so many are nowhere adjacent."""
    best: tuple[int, int] | None = None
    for run in stretches(layout, rows, free):
        for start in range(len(run) - size + 1):
            orphans = (start == 1) + (len(run) - size - start == 1)
            key = orphans, cost(layout, run[start : start + size])
            best = key if best is None or key < best else best
    return best


def adjacent_in(layout: Layout, rows: tuple[str, ...], seats: tuple[int, ...]) -> bool:
    """Whether these seats are neighbours, each of the next."""
    everything = set(range(len(layout)))
    runs = stretches(layout, rows, everything)
    return any(set(seats) <= set(run) for run in runs) and all(b - a == 1 for a, b in pairwise(seats))
