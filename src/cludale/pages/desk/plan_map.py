"""A whole seating plan as a picture: each seat in the colour of its category, what is around it as outlines. Pure.

It says nothing that changes, so it may be kept for ever under the plan's digest.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from math import hypot
from statistics import median

from cludale.pages.shop.halls import ACCESSIBLE, RESTRICTED_VIEW, Plan, Seat, Zone, rows_of

COLOURS = ("#1f5fa8", "#b5531d", "#2f7d32", "#8b2f7a", "#7a6a00", "#00747a", "#a12b3a", "#4a4a4a")
"""One after the other; with more categories than these they come again."""
_USUAL_GAP = 25.0


def categories_of(plan: Plan) -> dict[str, int]:
    """How many seats are of each category, in the order in which they come."""
    counts: dict[str, int] = {}
    for zone in plan.zones:
        for row in rows_of(zone):
            for seat in row.seats:
                counts[seat.category] = counts.get(seat.category, 0) + 1
    return counts


def colours_of(categories: Sequence[str]) -> dict[str, str]:
    """The colour of each category."""
    return {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(categories)}


def drawn(plan: Plan, *, title: str) -> str:
    """The plan as SVG."""
    colours = colours_of(list(categories_of(plan)))
    radius = _radius(plan)
    box = f"0 0 {_n(plan.size.width)} {_n(plan.size.height)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img">',
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>',
    ]
    for zone in plan.zones:
        parts += _areas(zone)
        parts += _seats(zone, colours, radius)
        parts += _name(zone, radius)
    return "".join([*parts, "</svg>"])


def _seats(zone: Zone, colours: Mapping[str, str], radius: float) -> Iterator[str]:
    for row, named in zip(zone.rows, rows_of(zone), strict=True):
        for seat, each in zip(row.seats, named.seats, strict=True):
            x = zone.position.x + row.position.x + seat.position.x
            y = zone.position.y + row.position.y + seat.position.y
            yield _shape(each, x, y, radius, colours[each.category])


def _shape(seat: Seat, x: float, y: float, radius: float, colour: str) -> str:
    """A disc; a ring where the view is restricted; a square for who needs a wheelchair place, and those beside them."""
    look = f'fill="{colour}"'
    if seat.flags & RESTRICTED_VIEW:
        look = f'fill="none" stroke="{colour}" stroke-width="{_n(radius / 2)}"'
    if seat.flags & ACCESSIBLE:
        side = _n(2 * radius)
        return f'<rect x="{_n(x - radius)}" y="{_n(y - radius)}" width="{side}" height="{side}" {look}/>'
    return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {look}/>'


def _name(zone: Zone, radius: float) -> Iterator[str]:
    spots = [
        (zone.position.x + row.position.x + seat.position.x, zone.position.y + row.position.y + seat.position.y)
        for row in zone.rows
        for seat in row.seats
    ]
    if spots:
        x, y = min(x for x, _ in spots), min(y for _, y in spots)
        over = _n(max(y - 2 * radius, 3 * radius))
        yield f'<text x="{_n(x)}" y="{over}" font-size="{_n(3 * radius)}">{escape(zone.name)}</text>'


def _radius(plan: Plan) -> float:
    gaps = [
        hypot(b.position.x - a.position.x, b.position.y - a.position.y)
        for zone in plan.zones
        for row in zone.rows
        for a, b in pairwise(row.seats)
    ]
    near = [gap for gap in gaps if gap > 0]
    return (median(near) if near else _USUAL_GAP) * 0.4


def _areas(zone: Zone) -> Iterator[str]:
    line = 'fill="none" stroke="#666"'
    for area in zone.areas:
        at, size, text = area.get("position") or {"x": 0, "y": 0}, area.get("rectangle"), area.get("text") or {}
        x, y = zone.position.x + at["x"], zone.position.y + at["y"]
        if area.get("shape") == "rectangle" and size:
            yield f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(size["width"])}" height="{_n(size["height"])}" {line}/>'
        if text.get("text"):
            spot = text.get("position") or {"x": 0, "y": 0}
            yield f'<text x="{_n(x + spot["x"])}" y="{_n(y + spot["y"])}">{escape(str(text["text"]))}</text>'


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
