"""A seating plan as it is kept and exchanged, and what makes it wrong. `pretix` and `table` read and write it.

The structs are those of pretix's open seating-plan JSON (schema 0.0.1 as of pretix 2026.8.0), field by field, so that
what is read is written again as it was. Positions are in the plan's unit, a pixel: a seat's is relative to its row's,
that to its zone's. A zone is a section.

The format has no place for flags. They are said by the category's name: `Stalls [wheelchair]` is category `Stalls`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cludale.services.concerts.seating.layout import Flags, Layout, Seat

MAX_SEATS = 50_000
MAX_ROW = 1_000
MAX_ROWS = 10_000
MAX_ZONES = 200
MAX_CATEGORIES = 100
MAX_TEXT = 200
MAX_FAULTS = 1_000
"""The most faults of one plan that are listed."""

FLAG_NAMES = {"wheelchair": Flags.WHEELCHAIR, "companion": Flags.COMPANION, "restricted view": Flags.RESTRICTED_VIEW}


class Position(Struct, frozen=True):
    """A place, relative to what holds it."""

    x: float
    y: float


class Category(Struct, frozen=True):
    """A category and the colour that it is drawn in."""

    name: str
    color: str | UnsetType = UNSET


class PlanSeat(Struct, frozen=True, omit_defaults=True):
    """A seat in a row of a plan."""

    seat_guid: str
    seat_number: str
    position: Position
    category: str
    uuid: str | UnsetType = UNSET
    start_direction: str | UnsetType | None = UNSET
    radius: float | UnsetType = UNSET


class PlanRow(Struct, frozen=True):
    """A row of a zone: its seats from one side to the other."""

    row_number: str
    seats: tuple[PlanSeat, ...]
    row_label: str | UnsetType | None = UNSET
    seat_label: str | UnsetType | None = UNSET
    uuid: str | UnsetType = UNSET
    row_number_position: str | UnsetType | None = UNSET
    position: Position | UnsetType = UNSET


class Zone(Struct, frozen=True):
    """A section: rows from the first to the last, and what else is drawn (areas: the stage, a bar), kept as it is."""

    name: str
    position: Position
    rows: tuple[PlanRow, ...]
    areas: tuple[dict[str, Any], ...] | UnsetType = UNSET
    zone_id: str | UnsetType = UNSET
    uuid: str | UnsetType = UNSET


class Size(Struct, frozen=True):
    """How large the plan is."""

    width: int
    height: int


class Plan(Struct, frozen=True):
    """A whole plan."""

    name: str
    categories: tuple[Category, ...]
    zones: tuple[Zone, ...]
    size: Size


class PlanFault(NamedTuple):
    """What is wrong, and where: `zone "Stalls", row "A", seat "12"`, or `line 12`."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class UnusablePlan(ValueError):
    """All that is wrong with a plan, MAX_FAULTS at most, in the order of the file."""

    def __init__(self, faults: Iterable[PlanFault]) -> None:
        self.faults = tuple(faults)[:MAX_FAULTS]
        super().__init__("\n".join(str(each) for each in self.faults))


class Placed(NamedTuple):
    """A seat of a plan, with the names of its zone and row and its place in the plan."""

    zone: str
    row: str
    seat: PlanSeat
    x: float
    y: float

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f'zone "{self.zone}", row "{self.row}", seat "{self.seat.seat_number}"'


@lru_cache(maxsize=4 * MAX_CATEGORIES)
def category_and_flags(name: str) -> tuple[str, Flags]:
    """`Stalls [wheelchair]` → `Stalls`, WHEELCHAIR. What is not known to be a flag stays in the name."""
    base, bracket, rest = name.rpartition(" [")
    names = [each.strip() for each in rest.removesuffix("]").split(",")]
    if not bracket or not rest.endswith("]") or not all(each in FLAG_NAMES for each in names):
        return name, Flags.NONE
    flags = Flags.NONE
    for each in names:
        flags |= FLAG_NAMES[each]
    return base, flags


def named_with(category: str, flags: Flags) -> str:
    """The other way round."""
    names = [name for name, flag in FLAG_NAMES.items() if flags & flag]
    return f"{category} [{', '.join(names)}]" if names else category


def placed(zone: Zone) -> Iterator[tuple[PlanRow, list[Placed]]]:
    """A zone's rows, with each seat at its place in the plan."""
    for row in zone.rows:
        at = Position(0, 0) if row.position is UNSET else row.position
        x, y = zone.position.x + at.x, zone.position.y + at.y
        yield (
            row,
            [Placed(zone.name, row.row_number, s, x + s.position.x, y + s.position.y) for s in row.seats],
        )


def focal_point(plan: Plan) -> tuple[float, float]:
    """The middle of the first area that says `stage`; a plan that has none: the middle of its upper edge."""
    for zone in plan.zones:
        for area in () if zone.areas is UNSET else zone.areas:
            said, at = area.get("text") or {}, area.get("position") or {"x": 0, "y": 0}
            if "stage" in str(said.get("text", "")).lower():
                x, y = zone.position.x + at["x"], zone.position.y + at["y"]
                size = area.get("rectangle") or {"width": 0, "height": 0}
                return x + size["width"] / 2, y + size["height"] / 2
    return plan.size.width / 2, 0.0


def layout_of(plan: Plan, zone: str) -> Layout:
    """The seats of a zone of this name, for picking. Raises KeyError if there is none."""
    found = next((each for each in plan.zones if each.name == zone), None)
    if found is None:
        raise KeyError(zone)
    rows = (
        (row.row_number, [Seat(p.seat.seat_guid, p.seat.seat_number, p.x, p.y, *_kind(p)) for p in seats])
        for row, seats in placed(found)
    )
    return Layout(rows, focus=focal_point(plan))


def _kind(placed: Placed) -> tuple[str, Flags]:
    return category_and_flags(placed.seat.category)


def faults_of(plan: Plan) -> Iterator[PlanFault]:
    """What is wrong with a plan whose fields are all there and of the right type."""
    yield from _sizes(plan)
    known = {each.name for each in plan.categories}
    yield from _twins([each.name for each in plan.categories], "category")
    yield from _twins([each.name for each in plan.zones], "zone")
    guids: dict[str, str] = {}
    for zone in plan.zones:
        numbers: dict[tuple[str, str], str] = {}
        for _, seats in placed(zone):
            for each in seats:
                yield from _seat_faults(each, plan.size, known)
                if (first := guids.get(each.seat.seat_guid)) is not None:
                    yield PlanFault(each.place, f'its guid "{each.seat.seat_guid}" is also that of {first}')
                guids.setdefault(each.seat.seat_guid, each.place)
                number = each.row, each.seat.seat_number
                if number in numbers:
                    yield PlanFault(each.place, "this row and number are there twice in the zone")
                numbers[number] = each.place


def _seat_faults(each: Placed, size: Size, known: set[str]) -> Iterator[PlanFault]:
    if not (0 <= each.x <= size.width and 0 <= each.y <= size.height):
        yield PlanFault(each.place, f"is off the plan: {each.x:g}, {each.y:g} in {size.width} x {size.height}")
    if each.seat.category not in known:
        yield PlanFault(each.place, f'no category "{each.seat.category}" in the plan')
    guid = each.seat.seat_guid
    if not 2 <= len(guid) <= MAX_TEXT or guid != guid.strip(" ") or not guid.isprintable():
        yield PlanFault(each.place, f"its guid needs 2 to {MAX_TEXT} characters, and no space at either end")
    if not 1 <= len(each.seat.seat_number) <= MAX_TEXT:
        yield PlanFault(each.place, f"its number needs 1 to {MAX_TEXT} characters")


def _sizes(plan: Plan) -> Iterator[PlanFault]:
    rows = [(zone, row) for zone in plan.zones for row in zone.rows]
    counted = {
        "zones": (len(plan.zones), MAX_ZONES),
        "categories": (len(plan.categories), MAX_CATEGORIES),
        "rows": (len(rows), MAX_ROWS),
        "seats": (sum(len(row.seats) for _, row in rows), MAX_SEATS),
    }
    for what, (count, most) in counted.items():
        if count > most:
            yield PlanFault("plan", f"{count} {what}, {most} at most")
    if not (0 < plan.size.width <= 1_000_000 and 0 < plan.size.height <= 1_000_000):
        yield PlanFault("plan", "its width and height have to be from 1 to 1000000")
    for zone, row in rows:
        if len(row.seats) > MAX_ROW:
            yield PlanFault(f'zone "{zone.name}", row "{row.row_number}"', f"{len(row.seats)} seats, {MAX_ROW} at most")
    names = [each.name for each in plan.categories] + [each.name for each in plan.zones]
    names += [row.row_number for _, row in rows]
    if any(not 1 <= len(name) <= MAX_TEXT for name in names):
        yield PlanFault("plan", f"names of zones, rows and categories need 1 to {MAX_TEXT} characters")


def _twins(names: list[str], what: str) -> Iterator[PlanFault]:
    for name in (name for name, count in Counter(names).items() if count > 1):
        yield PlanFault(f'{what} "{name}"', "is there twice")
