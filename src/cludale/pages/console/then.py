"""A sale over its time as a picture, and moments between its first and its last event. No I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cludale.kernel.times import parse_time
from cludale.pages import forms
from cludale.pages.console.views import Point, Sale

WIDTH, HEIGHT = 640, 200
STEPS = 240
"""Of the slider."""


class Picture(NamedTuple):
    """Seats sold and held over time, one above the other, in units of the picture."""

    sold: str
    held: str
    now: float
    """Where the moment is that is shown."""
    seats: int
    """At the upper edge."""


class Range(NamedTuple):
    """What the slider goes over."""

    first: int
    """Milliseconds since 1970, as scripts count."""
    last: int
    step: int
    at: int


def range_of(sale: Sale, now: datetime) -> Range:
    """From the first event to the last, or to now where nothing came after the moment shown."""
    first = sale.first or now
    last = max(sale.last or now, first + timedelta(seconds=1)) + timedelta(seconds=1)
    step = max(1_000, round((last - first).total_seconds() * 1_000 / STEPS))
    at = min(max(sale.at, first), last)
    return Range(_milliseconds(first), _milliseconds(last), step, _milliseconds(at))


def picture(sale: Sale) -> Picture:
    """The curve of the sale."""
    seats = max((sum(each.total_seats for each in sale.sections), *(p.sold + p.held for p in sale.curve), 1))
    if not sale.curve or sale.first is None or sale.last is None:
        return Picture("", "", 0, seats)
    first = sale.first.timestamp()
    whole = max(1.0, sale.curve[-1].at.timestamp() - first)

    def across(at: datetime) -> float:
        return round(WIDTH * min(1.0, max(0.0, (at.timestamp() - first) / whole)), 1)

    def up(value: int) -> float:
        return round(HEIGHT - HEIGHT * value / seats, 1)

    sold = [(across(each.at), up(each.sold)) for each in sale.curve]
    both = [(across(each.at), up(each.sold + each.held)) for each in sale.curve]
    return Picture(
        sold=_text([(0.0, float(HEIGHT)), *sold, (sold[-1][0], float(HEIGHT))]),
        held=_text([(0.0, float(HEIGHT)), *both, *reversed(sold), (0.0, float(HEIGHT))]),
        now=across(sale.at),
        seats=seats,
    )


def moment(fields: dict[str, str]) -> datetime | None:
    """The moment that a form says: `at` as milliseconds or as a time; `day` and `time` in UTC; None: now.

    Raises ValueError.
    """
    text = fields.get("at", "")
    milliseconds = forms.whole(text, most_digits=14)
    if milliseconds is not None:
        return _within(datetime.fromtimestamp(milliseconds / 1_000, UTC))
    if text:
        return parse_time(text)
    if fields.get("day"):
        written = f"{fields['day']}T{fields.get('time') or '00:00'}"
        return _within(datetime.fromisoformat(written).replace(tzinfo=UTC))
    return None


def nearby(points: Sequence[Point], at: datetime) -> tuple[datetime | None, datetime | None]:
    """The last moment of the curve before this one, and the first after it."""
    before = [each.at for each in points if each.at < at]
    after = [each.at for each in points if each.at > at]
    return (before[-1] if before else None), (after[0] if after else None)


def _within(at: datetime) -> datetime:
    if not 1_970 <= at.year <= 9_998:
        raise ValueError("no such time")
    return at


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000)


def _text(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
