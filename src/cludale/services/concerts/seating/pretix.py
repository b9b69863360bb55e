"""Plans as pretix's open seating-plan JSON (schema 0.0.1 as of pretix 2026.8.0), checked whole.

Older plans bear the same number; what they have that is no more (`displayed`, `number_of_seats`, `seats_spacing`, an
area's `width`) is refused by name.
"""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

from cludale.services.concerts.seating.plans import Plan, PlanFault, UnusablePlan, faults_of

MAX_BYTES = 64 * 1024 * 1024
_OLD = {"displayed", "number_of_seats", "seats_spacing", "width", "height"}

_TEXT, _NUMBER, _WHOLE, _MAYBE_TEXT = "a text", "a number", "a whole number", "a text or null"
_POSITION = {"x": _NUMBER, "y": _NUMBER}
_SEAT: dict[str, Any] = {
    "seat_guid": _TEXT, "seat_number": _TEXT, "position": _POSITION, "category": _TEXT, "uuid?": _TEXT,
    "start_direction?": _MAYBE_TEXT, "radius?": _NUMBER,
}  # fmt: skip
_ROW: dict[str, Any] = {
    "row_number": _TEXT, "seats": [_SEAT], "row_label?": _MAYBE_TEXT, "seat_label?": _MAYBE_TEXT, "uuid?": _TEXT,
    "row_number_position?": ("start", "end", "both", None), "position?": _POSITION,
}  # fmt: skip
_AREA: dict[str, Any] = {
    "color?": _TEXT, "border_color?": _TEXT, "rotation?": _NUMBER, "position?": _POSITION, "uuid?": _TEXT,
    "shape?": ("polygon", "rectangle", "ellipse", "circle", "text"),
    "polygon?": {"points": [_POSITION]}, "rectangle?": {"width": _NUMBER, "height": _NUMBER},
    "ellipse?": {"radius": _POSITION}, "circle?": {"radius": _NUMBER},
    "text?": {"text": _TEXT, "color?": _TEXT, "size?": _NUMBER, "position": _POSITION},
}  # fmt: skip
_ZONE: dict[str, Any] = {
    "name": _TEXT, "position": _POSITION, "rows": [_ROW], "areas?": [_AREA], "zone_id?": _TEXT, "uuid?": _TEXT,
}  # fmt: skip
_PLAN: dict[str, Any] = {
    "name": _TEXT, "categories": [{"name": _TEXT, "color?": _TEXT}], "zones": [_ZONE],
    "size": {"width": _WHOLE, "height": _WHOLE},
}  # fmt: skip

_CALLED = {"zones": ("zone", "name"), "rows": ("row", "row_number"), "seats": ("seat", "seat_number")}


def read(data: bytes) -> Plan:
    """The plan in this JSON. Raises UnusablePlan with all that is wrong."""
    if len(data) > MAX_BYTES:
        raise UnusablePlan([PlanFault("file", f"{len(data)} bytes, {MAX_BYTES} at most")])
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise UnusablePlan([PlanFault("file", f"is no JSON: {wrong}")]) from None
    if faults := list(_shape(said, _PLAN, "plan")):
        raise UnusablePlan(faults)
    plan = msgspec.convert(said, Plan)
    if faults := list(faults_of(plan)):
        raise UnusablePlan(faults)
    return plan


def write(plan: Plan) -> bytes:
    """The plan as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"


def _shape(said: Any, wanted: Any, place: str) -> Iterator[PlanFault]:
    match wanted:
        case dict():
            yield from _object(said, wanted, place)
        case tuple():
            if said not in wanted:
                yield PlanFault(place, f"has to be one of {', '.join(str(each) for each in wanted)}")
        case str():
            if not _is(said, wanted):
                yield PlanFault(place, f"has to be {wanted}")


def _object(said: Any, wanted: dict[str, Any], place: str) -> Iterator[PlanFault]:
    if not isinstance(said, dict):
        yield PlanFault(place, "has to be an object")
        return
    fields = {name.removesuffix("?"): kind for name, kind in wanted.items()}
    for name in (each for each in said if each not in fields):
        older = " (of an older form of the format: save the plan anew in pretix's editor)" if name in _OLD else ""
        yield PlanFault(place, f'has no field "{name}"{older}')
    for name in wanted:
        if not name.endswith("?") and name not in said:
            yield PlanFault(place, f'needs the field "{name}"')
    for name, kind in fields.items():
        if name not in said:
            continue
        if not isinstance(kind, list):
            yield from _shape(said[name], kind, f"{place}, {name}")
        elif not isinstance(said[name], list):
            yield PlanFault(f"{place}, {name}", "has to be a list")
        else:
            for number, each in enumerate(said[name], 1):
                yield from _shape(each, kind[0], _inside(place, name, number, each))


def _inside(place: str, name: str, number: int, each: Any) -> str:
    """Where an item of a list is: by its name if it has one, else by its number in the list."""
    what, by = _CALLED.get(name, (name, "name"))
    called = each.get(by) if isinstance(each, dict) else None
    this = f'{what} "{called}"' if isinstance(called, str) and called else f"{what} {number}"
    return this if place == "plan" else f"{place}, {this}"


def _is(said: Any, wanted: str) -> bool:
    if wanted in {_TEXT, _MAYBE_TEXT}:
        return isinstance(said, str) or (said is None and wanted == _MAYBE_TEXT)
    if isinstance(said, bool):
        return False
    if wanted == _WHOLE:
        return isinstance(said, int)
    return isinstance(said, int | float) and isfinite(said) and abs(said) <= 10_000_000
