"""Small pictures of the last minutes: lines, and bars beside one another, as points of an SVG. No I/O."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 240, 56
GAP = 2
"""What the line keeps from the upper and lower edge, so that all of its width is seen."""


class Spark(NamedTuple):
    """A line over the last minutes, in units of its picture; empty where nothing is known."""

    line: str
    area: str
    """The line, and the way back below it."""
    most: float
    """The value at the upper edge."""
    end: tuple[float, float] | None
    """Where the last value stands."""


def spark(values: Sequence[float | None], *, least: float = 0.0) -> Spark:
    """The values from left to right, as high as the greatest of them, and `least` at the least."""
    known = [each for each in values if each is not None]
    most = max((*known, least))
    if len(values) < 2 or not known:
        return Spark("", "", most, None)
    points = [
        (round(WIDTH * at / (len(values) - 1), 1), _height(each, most))
        for at, each in enumerate(values)
        if each is not None
    ]
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    area = f"{points[0][0]:g},{HEIGHT} {line} {points[-1][0]:g},{HEIGHT}"
    return Spark(line, area, most, points[-1])


def _height(value: float, most: float) -> float:
    return round(HEIGHT - GAP - (HEIGHT - 2 * GAP) * (value / most if most else 0.0), 1)


def share(part: float, whole: float) -> int:
    """A part in hundredths of the whole, 0 to 100."""
    return 0 if whole <= 0 else max(0, min(100, round(100 * part / whole)))
