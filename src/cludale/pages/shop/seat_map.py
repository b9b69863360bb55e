"""A section's seats as SVG: a shape a seat, in the order of the plan, as the page's script counts them. Pure.

It says nothing that changes, so it may be kept for ever. Its shapes have no colours: the page's style gives them.
"""

import gzip
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from math import hypot, inf
from statistics import median

from cludale.pages.shop.halls import ACCESSIBLE, Hall, Plan, Row, Zone, rows_of

PITCH = 26
"""How far neighbours are apart on the screen, in CSS pixels: a finger hits one."""
MOST_PIXELS = 6_000
_USUAL_GAP = 25.0


class NoSuchZone(ValueError):
    """The plan has no zone of this name."""


def hall_of(plan: Plan, zone: str) -> Hall:
    """The seats of a zone, with its map. Raises NoSuchZone."""
    found = next((each for each in plan.zones if each.name == zone), None)
    if found is None:
        raise NoSuchZone(zone)
    rows = rows_of(found)
    return Hall(rows, gzip.compress(drawn(plan, found, rows).encode(), 9, mtime=0))


def drawn(plan: Plan, zone: Zone, rows: list[Row]) -> str:
    """The zone as SVG."""
    at = [
        [
            (zone.position.x + row.position.x + s.position.x, zone.position.y + row.position.y + s.position.y)
            for s in row.seats
        ]
        for row in zone.rows
    ]
    flat = [each for row in at for each in row] or [(0.0, 0.0)]
    gaps = [gap for row in at for a, b in pairwise(row) if (gap := hypot(b[0] - a[0], b[1] - a[1])) > 0]
    gap = median(gaps) if gaps else _USUAL_GAP
    radius, edge = min([*gaps, gap]) * 0.42, 2.2 * gap
    left, top = min(x for x, _ in flat) - edge, min(y for _, y in flat) - edge
    width = max(x for x, _ in flat) + edge - left
    height = max(y for _, y in flat) + edge - top
    scale = min(PITCH / gap, MOST_PIXELS / max(width, height))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{_n(left)} {_n(top)} {_n(width)} {_n(height)}" '
        f'width="{width * scale:.0f}" height="{height * scale:.0f}" font-size="{_n(radius * 1.4)}">',
        _shapes(radius),
        _to_the_stage(plan, (left, top, width, height), gap),
        *_areas(zone),
    ]
    for row, spots in zip(rows, at, strict=True):
        parts.append(f'<g data-row="{escape(row.label)}">')
        if spots:
            x, y = min(spots)
            parts.append(f'<text x="{_n(x - gap)}" y="{_n(y + radius / 2)}">{escape(row.label)}</text>')
        for seat, (x, y) in zip(row.seats, spots, strict=True):
            flags = f' data-f="{seat.flags}"' if seat.flags else ""
            shape = "map-apart" if seat.flags & ACCESSIBLE else "map-free"
            parts.append(f'<use href="#{shape}" x="{_n(x)}" y="{_n(y)}" data-n="{escape(seat.number)}"{flags}/>')
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _shapes(r: float) -> str:
    """Free: a ring. For who asks: a ring in a square. Taken: a small cross. Chosen: a full square with a tick."""
    s, t = _n(r * 0.9), _n(r * 0.45)
    box = f'<rect x="-{s}" y="-{s}" width="{_n(r * 1.8)}" height="{_n(r * 1.8)}" rx="{_n(r * 0.2)}"/>'
    tick = f'<path d="M-{t} 0L-{_n(r * 0.1)} {t}L{_n(r * 0.5)} -{t}"/>'
    return (
        f'<defs><g id="map-free"><circle r="{s}"/></g><g id="map-apart">{box}<circle r="{t}"/></g>'
        f'<g id="map-taken"><path d="M-{t} -{t}L{t} {t}M-{t} {t}L{t} -{t}"/></g>'
        f'<g id="map-chosen">{box}{tick}</g></defs>'
    )


def _to_the_stage(plan: Plan, box: tuple[float, float, float, float], gap: float) -> str:
    """A triangle at the edge of the map that points to the stage."""
    left, top, width, height = box
    x, y = left + width / 2, top + height / 2
    to_x, to_y = _stage(plan)
    far = hypot(to_x - x, to_y - y)
    if not far:
        return ""
    dx, dy = (to_x - x) / far, (to_y - y) / far
    reach = min(
        (width / 2 - gap * 0.7) / abs(dx) if dx else inf,
        (height / 2 - gap * 0.7) / abs(dy) if dy else inf,
    )
    tip_x, tip_y = x + dx * reach, y + dy * reach
    back_x, back_y, half = tip_x - dx * gap, tip_y - dy * gap, gap * 0.8
    points = ((tip_x, tip_y), (back_x - dy * half, back_y + dx * half), (back_x + dy * half, back_y - dx * half))
    return f'<polygon class="stage-side" points="{" ".join(f"{_n(px)},{_n(py)}" for px, py in points)}"/>'


def _stage(plan: Plan) -> tuple[float, float]:
    """The middle of the first area that says `stage`; a plan that has none: the middle of its upper edge."""
    for zone in plan.zones:
        for area in zone.areas:
            text = area.get("text") or {}
            if "stage" in str(text.get("text", "")).lower():
                at, size = area.get("position") or {"x": 0, "y": 0}, area.get("rectangle") or {"width": 0, "height": 0}
                return (
                    zone.position.x + at["x"] + size["width"] / 2,
                    zone.position.y + at["y"] + size["height"] / 2,
                )
    return plan.size.width / 2, 0.0


def _areas(zone: Zone) -> Iterator[str]:
    """The rectangles of the zone, as outlines: what else there is to see."""
    for area in zone.areas:
        at, size = area.get("position") or {"x": 0, "y": 0}, area.get("rectangle")
        if area.get("shape") == "rectangle" and size:
            x, y = zone.position.x + at["x"], zone.position.y + at["y"]
            wide, high = _n(size["width"]), _n(size["height"])
            yield f'<rect class="area" x="{_n(x)}" y="{_n(y)}" width="{wide}" height="{high}"/>'
