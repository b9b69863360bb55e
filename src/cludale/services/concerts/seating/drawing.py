"""A plan as SVG: each seat a circle that says on hover what it is, areas as they are outlined. Text alone, no I/O."""

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from math import hypot
from typing import Any

from cludale.services.concerts.seating.layout import Flags
from cludale.services.concerts.seating.plans import Plan, Zone, category_and_flags, placed

_COLOURS = ("#3b6ea8", "#b5651d", "#4b8b3b", "#8b3b7a", "#a8963b", "#3b9a9a")
_RADIUS = 4.0


def svg(plan: Plan) -> str:
    """The plan drawn, each seat in its category's colour."""
    colours = {each.name: each.color for each in plan.categories if isinstance(each.color, str)}
    names = [each.name for each in plan.categories]
    radius = _radius(plan)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plan.size.width} {plan.size.height}" role="img">',
        f"<title>{escape(plan.name)}</title>",
    ]
    for zone in plan.zones:
        parts += _areas(zone)
        parts.append(f"<g><title>{escape(zone.name)}</title>")
        for row, seats in placed(zone):
            for each in seats:
                category, flags = category_and_flags(each.seat.category)
                usual = _COLOURS[names.index(each.seat.category) % len(_COLOURS)]
                fill = colours.get(each.seat.category, usual)
                said = f"{zone.name}, row {row.row_number}, seat {each.seat.seat_number} ({category}{_said(flags)})"
                shape = f'cx="{each.x:g}" cy="{each.y:g}" r="{radius:g}" fill="{escape(fill)}"'
                mark = ' stroke="#000" stroke-width="1"' if flags & Flags.WHEELCHAIR else ""
                parts.append(f"<circle {shape}{mark}><title>{escape(said)}</title></circle>")
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _said(flags: Flags) -> str:
    names = {Flags.WHEELCHAIR: "wheelchair", Flags.COMPANION: "companion", Flags.RESTRICTED_VIEW: "restricted view"}
    return "".join(f", {name}" for flag, name in names.items() if flags & flag)


def _radius(plan: Plan) -> float:
    """Less than half of the least distance between neighbours, so that no two seats touch."""
    gaps = [hypot(b.x - a.x, b.y - a.y) for zone in plan.zones for _, seats in placed(zone) for a, b in pairwise(seats)]
    near = min((gap for gap in gaps if gap > 0), default=2 * _RADIUS / 0.8)
    return round(near * 0.4, 2)


def _areas(zone: Zone) -> Iterator[str]:
    for area in zone.areas or ():
        at: dict[str, float] = area.get("position") or {"x": 0, "y": 0}
        x, y = zone.position.x + at["x"], zone.position.y + at["y"]
        yield from _outline(area, x, y)
        text: dict[str, Any] = area.get("text") or {}
        if text.get("text"):
            spot = text.get("position") or {"x": 0, "y": 0}
            yield f'<text x="{x + spot["x"]:g}" y="{y + spot["y"]:g}">{escape(str(text["text"]))}</text>'


def _outline(area: dict[str, Any], x: float, y: float) -> Iterator[str]:
    line = 'fill="none" stroke="#888"'
    match area.get("shape"):
        case "rectangle" if size := area.get("rectangle"):
            yield f'<rect x="{x:g}" y="{y:g}" width="{size["width"]:g}" height="{size["height"]:g}" {line}/>'
        case "circle" if circle := area.get("circle"):
            yield f'<circle cx="{x:g}" cy="{y:g}" r="{circle["radius"]:g}" {line}/>'
        case "ellipse" if ellipse := area.get("ellipse"):
            size = ellipse["radius"]
            yield f'<ellipse cx="{x:g}" cy="{y:g}" rx="{size["x"]:g}" ry="{size["y"]:g}" {line}/>'
        case "polygon" if polygon := area.get("polygon"):
            points = " ".join(f"{x + each['x']:g},{y + each['y']:g}" for each in polygon["points"])
            yield f'<polygon points="{points}" {line}/>'
