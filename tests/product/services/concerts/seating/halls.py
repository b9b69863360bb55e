"""Halls for the tests, and what can be said of their seats by looking: it shares no code with what is tested."""

from math import hypot

from cludale.services.concerts.seating.layout import Flags, Layout, Seat

ACCESSIBLE = Flags.WHEELCHAIR | Flags.COMPANION


def hall(*rows: str, focus: tuple[float, float] = (40, -20), bend: float = 0) -> Layout:
    """A row is a text: `s` a seat, `_` an aisle, `w` wheelchair, `c` companion, `r` restricted view, `b` category B.

    `bend` makes its rows curves.
    """
    made = []
    for number, row in enumerate(rows):
        seats = [
            Seat(
                f"{number}-{place}",
                str(place),
                place * 10.0,
                number * 12.0 + bend * (place * 10.0 - focus[0]) ** 2,
                "B" if kind == "b" else "A",
                FLAGS[kind],
            )
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
