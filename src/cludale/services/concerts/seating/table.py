"""Plans as CSV: a line a seat: section, row, seat, x, y, category, flags, and an id if seats have their own.

Rows and seats are in the order of the lines. Flags are separated by `;`: wheelchair, companion, restricted view.
Without an id a seat's is section, row and seat with `-` between them. A table has no areas, colours or names of a plan.
"""

import csv
import io
from collections.abc import Iterable
from math import ceil, isfinite

from cludale.services.concerts.seating.layout import Flags
from cludale.services.concerts.seating.plans import (
    FLAG_NAMES,
    MAX_SEATS,
    Category,
    Placed,
    Plan,
    PlanFault,
    PlanRow,
    PlanSeat,
    Position,
    Size,
    UnusablePlan,
    Zone,
    category_and_flags,
    faults_of,
    named_with,
    placed,
)

COLUMNS = ("section", "row", "seat", "x", "y", "category", "flags")
MAX_BYTES = 16 * 1024 * 1024


def read(data: bytes, *, name: str = "Plan") -> Plan:
    """The plan in this CSV (UTF-8, the first line has the names). Raises UnusablePlan with all that is wrong.

    The plan is as large as its seats need.
    """
    if len(data) > MAX_BYTES:
        raise UnusablePlan([PlanFault("file", f"{len(data)} bytes, {MAX_BYTES} at most")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusablePlan([PlanFault("file", "is not UTF-8")]) from None
    lines = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    faults: list[PlanFault] = []
    zones: dict[str, dict[str, list[PlanSeat]]] = {}
    where: dict[str, int] = {}
    try:
        names = [each.strip() for each in lines.fieldnames or ()]
        missing = [each for each in COLUMNS if each not in names and each != "flags"]
        if missing or len(set(names)) != len(names) or set(names) - {*COLUMNS, "id"}:
            raise UnusablePlan([PlanFault("line 1", f"names the columns: {', '.join(COLUMNS)}, and id if you like")])
        lines.fieldnames = names
        for number, line in enumerate(lines):
            if number == MAX_SEATS:
                faults.append(PlanFault(f"line {lines.line_num}", f"{MAX_SEATS} seats at most"))
                break
            seat = _seat(line, f"line {lines.line_num}", faults)
            if seat is not None:
                section, row = line["section"].strip(), line["row"].strip()
                zones.setdefault(section, {}).setdefault(row, []).append(seat)
                where[Placed(section, row, seat, 0, 0).place] = lines.line_num
    except csv.Error as wrong:
        raise UnusablePlan([*faults, PlanFault(f"line {lines.line_num}", f"is no CSV: {wrong}")]) from None
    if not zones and not faults:
        faults.append(PlanFault("file", "has no seats"))
    plan = _plan(name, zones)
    faults += [_at_line(each, where) for each in faults_of(plan)] if zones else []
    if faults:
        raise UnusablePlan(faults)
    return plan


def write(plan: Plan) -> bytes:
    """The plan's seats as CSV, with ids where one is not section, row and seat."""
    seats = [each for zone in plan.zones for _, row in placed(zone) for each in row]
    with_ids = any(each.seat.seat_guid != _id(each.zone, each.row, each.seat.seat_number) for each in seats)
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow((*COLUMNS, "id") if with_ids else COLUMNS)
    for each in seats:
        category, flags = category_and_flags(each.seat.category)
        said = ";".join(name for name, flag in FLAG_NAMES.items() if flags & flag)
        line = (each.zone, each.row, each.seat.seat_number, f"{each.x:.15g}", f"{each.y:.15g}", category, said)
        lines.writerow((*line, each.seat.seat_guid) if with_ids else line)
    return text.getvalue().encode()


def _id(section: str, row: str, seat: str) -> str:
    return f"{section}-{row}-{seat}"


def _seat(line: dict[str, str], place: str, faults: list[PlanFault]) -> PlanSeat | None:
    """The seat of a line; what is wrong goes to `faults`."""
    before = len(faults)
    if "" in line:
        faults.append(PlanFault(place, "has more fields than there are columns"))
    said = {name: (value or "").strip() for name, value in line.items() if name}
    needed = ("section", "row", "seat", "category")
    faults += [PlanFault(place, f"{name} is empty") for name in needed if not said[name]]
    x, y = (_number(said[name], name, place, faults) for name in ("x", "y"))
    flags = Flags.NONE
    for flag in filter(None, (each.strip() for each in said.get("flags", "").split(";"))):
        if flag not in FLAG_NAMES:
            faults.append(PlanFault(place, f'no flag "{flag}": {", ".join(FLAG_NAMES)}'))
        else:
            flags |= FLAG_NAMES[flag]
    if len(faults) > before:
        return None
    id = said.get("id") or _id(said["section"], said["row"], said["seat"])
    return PlanSeat(id, said["seat"], Position(x, y), named_with(said["category"], flags))


def _number(said: str, name: str, place: str, faults: list[PlanFault]) -> float:
    try:
        number = float(said)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or abs(number) > 1_000_000:
        faults.append(PlanFault(place, f"{name} has to be a number, at most 1000000"))
        return 0.0
    return number


def _plan(name: str, zones: dict[str, dict[str, list[PlanSeat]]]) -> Plan:
    seats = [seat for rows in zones.values() for row in rows.values() for seat in row]
    categories = dict.fromkeys(seat.category for seat in seats)
    return Plan(
        name,
        tuple(Category(each) for each in categories),
        tuple(
            Zone(section, Position(0, 0), tuple(PlanRow(row, tuple(seats)) for row, seats in rows.items()))
            for section, rows in zones.items()
        ),
        Size(_room(seat.position.x for seat in seats), _room(seat.position.y for seat in seats)),
    )


def _room(places: Iterable[float]) -> int:
    """Room for all and a margin."""
    return max(1, ceil(max(places, default=0)) + 20)


def _at_line(fault: PlanFault, where: dict[str, int]) -> PlanFault:
    """The fault at the line of its seat; of a seat that is there twice, at the last."""
    return PlanFault(f"line {where[fault.place]}", fault.problem) if fault.place in where else fault
