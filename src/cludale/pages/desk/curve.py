"""The curve of a sale: tickets that were sold, day by day since the first, as points of a picture. No I/O."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from cludale.pages.desk.views import Sales

WIDTH, HEIGHT = 640, 240
LEFT, BOTTOM, TOP, RIGHT = 56, 28, 12, 12
MOST_DAYS = 1_000


class Day(NamedTuple):
    """A day of a sale."""

    number: int
    """Counted from its first day, which is 1."""
    day: str
    sold: int
    """On this day."""
    all: int
    """Until its end."""


class Picture(NamedTuple):
    """Where the lines go, in units of the picture."""

    own: str
    other: str
    top: int
    """The number at the upper edge."""
    days: int
    """The number at the right edge."""


def days(rows: Sequence[Sales]) -> list[Day]:
    """Day by day, those without a sale between them too; of more than MOST_DAYS the first."""
    sold: dict[date, int] = {}
    for each in rows:
        if each.day:
            day = date.fromisoformat(each.day)
            sold[day] = sold.get(day, 0) + each.sold
    if not sold:
        return []
    first, last = min(sold), max(sold)
    found, sum = [], 0
    for number in range(min((last - first).days + 1, MOST_DAYS)):
        day = first + timedelta(days=number)
        sum += sold.get(day, 0)
        found.append(Day(number + 1, day.isoformat(), sold.get(day, 0), sum))
    return found


def picture(own: Sequence[Day], other: Sequence[Day]) -> Picture:
    """Both curves in one picture, each from its own first day."""
    top = _round(max((each.all for each in (*own, *other)), default=0))
    count = max(len(own), len(other), 1)
    return Picture(_line(own, top, count), _line(other, top, count), top, count)


def _line(curve: Sequence[Day], top: int, count: int) -> str:
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    points = [(LEFT, HEIGHT - BOTTOM)] if curve else []
    points += [
        (LEFT + round(across * each.number / count), HEIGHT - BOTTOM - round(up * each.all / top)) for each in curve
    ]
    return " ".join(f"{x},{y}" for x, y in points)


def _round(most: int) -> int:
    """The next round number: 1, 2 or 5 times a power of ten."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step >= most:
                return max(factor * step, 10)
        step *= 10
