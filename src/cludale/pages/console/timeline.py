"""An order's events as a picture: a lane for each service, a line from each cause to what it caused. No I/O."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cludale.pages.console.views import SERVICES, LogEntry

LEFT, LANE, ROW, TOP = 92, 92, 34, 34
MOST = 200
"""Events that a page shows."""


class Dot(NamedTuple):
    """An event in the picture."""

    number: int
    """Its place in the list, from 1."""
    x: int
    y: int
    entry: LogEntry
    after: str
    """How long after the first event: `+1.234 s`."""
    cause: int | None
    """The place of what caused it; None: a request from outside, or nothing that is shown."""


class Arrow(NamedTuple):
    """From a cause to what it caused."""

    path: str


class Lane(NamedTuple):
    """A service's."""

    service: str
    x: int


class Timeline(NamedTuple):
    """The picture, and the events by which it is read without it."""

    width: int
    height: int
    lanes: Sequence[Lane]
    dots: Sequence[Dot]
    arrows: Sequence[Arrow]


def timeline(entries: Sequence[LogEntry]) -> Timeline:
    """The events as they are told: causes before effects."""
    told = entries[:MOST]
    services = [each for each in SERVICES if any(entry.service == each for entry in told)]
    services += sorted({entry.service for entry in told} - set(services))
    lanes = [Lane(each, LEFT + LANE // 2 + LANE * at) for at, each in enumerate(services)]
    at_lane = {lane.service: lane.x for lane in lanes}
    places = {entry.event_id: number for number, entry in enumerate(told, 1)}
    first = min((entry.timestamp for entry in told), default=None)
    dots = [
        Dot(
            number,
            at_lane[entry.service],
            TOP + ROW * (number - 1) + ROW // 2,
            entry,
            _after(first, entry.timestamp),
            places.get(entry.causation_id or ""),
        )
        for number, entry in enumerate(told, 1)
    ]
    arrows = [Arrow(_curve(dots[dot.cause - 1], dot)) for dot in dots if dot.cause is not None]
    return Timeline(LEFT + LANE * max(1, len(lanes)) + 8, TOP + ROW * len(dots) + 8, lanes, dots, arrows)


def _curve(cause: Dot, effect: Dot) -> str:
    if cause.x == effect.x:
        bow = cause.x - 14
        return f"M{cause.x},{cause.y}C{bow},{cause.y} {bow},{effect.y} {effect.x},{effect.y}"
    return f"M{cause.x},{cause.y}C{cause.x},{effect.y} {cause.x},{effect.y} {effect.x},{effect.y}"


def _after(first: datetime | None, at: datetime) -> str:
    seconds = 0.0 if first is None else (at - first).total_seconds()
    if seconds < 60:
        return f"+{seconds:.3f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"+{hours}:{minutes:02}:{seconds:02}"
