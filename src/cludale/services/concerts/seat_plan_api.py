"""Seating plans over HTTP: how one comes with a concert, and how plan and seats are shown. Decides nothing."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UnsetType

from cludale.kernel.refusals import Invalid, NotFound
from cludale.services.concerts.events import SeatPlanPart
from cludale.services.concerts.seat_plans import SeatPlans, parts_of
from cludale.services.concerts.seating import pretix, table
from cludale.services.concerts.seating.plans import Plan, UnusablePlan

PLAN_BODY_BYTES = 8 * 1024 * 1024
"""The largest request that may come with a plan."""
FAULTS_SHOWN = 100

SEAT_PLAN = (
    "the seating plan of its numbered sections: pretix's JSON as an object, or CSV (section, row, seat, x, y, "
    "category, flags) as a text, or the digest of a plan that came with another concert. Each numbered section says "
    "its `zone`"
)
SeatPlanRequest = dict[str, Any] | str

SectionParts = Mapping[str, tuple[SeatPlanPart, int]]
"""Each numbered section's part of a plan, and how many seats that has."""

_DIGEST = re.compile("[0-9a-f]{64}")


class PlannedSection(Protocol):
    """A section as it is asked for."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def total_seats(self) -> int | None:
        """How many seats it has, if that is said."""
        ...

    @property
    def zone(self) -> str | UnsetType | None:
        """The zone of the plan that it is, if it is numbered."""
        ...


async def parts_wanted(
    plans: SeatPlans, said: SeatPlanRequest | UnsetType | None, sections: Sequence[PlannedSection]
) -> SectionParts:
    """Each numbered section's part of the plan, which is kept, and how many seats that has. Raises Invalid."""
    zones = {each.id: each.zone for each in sections if each.zone}
    if not said:
        if zones:
            raise Invalid(("seatPlan", "is required where a section has a `zone`"))
        return {}
    if not zones:
        raise Invalid(("sections", "none has a `zone` of the seating plan"))
    plan = await _plan(plans, said)
    known = {zone.name for zone in plan.zones}
    wrong: list[tuple[str, str]] = []
    names = ", ".join(repr(name) for name in sorted(known)[:20])
    for i, each in enumerate(sections):
        if not each.zone:
            continue
        if each.zone not in known:
            wrong.append((f"sections[{i}].zone", f"the plan has no zone {each.zone!r}; it has {names}"))
        elif sum(zone == each.zone for zone in zones.values()) > 1:
            wrong.append((f"sections[{i}].zone", f"{each.zone!r} is that of another section, too"))
    if wrong:
        raise Invalid(*wrong)
    parts = parts_of(plan, zones, await plans.keep(plan))
    for i, each in enumerate(sections):
        if each.id in parts and each.total_seats not in (None, parts[each.id][1]):
            wrong.append((f"sections[{i}].totalSeats", f"the zone has {parts[each.id][1]} seats"))
        if each.id in parts and not parts[each.id][1]:
            wrong.append((f"sections[{i}].zone", f"{each.zone!r} has no seats"))
    if wrong:
        raise Invalid(*wrong)
    return parts


async def _plan(plans: SeatPlans, said: SeatPlanRequest) -> Plan:
    """The plan that is said. Raises Invalid, which names each place where something is wrong."""
    if isinstance(said, str) and _DIGEST.fullmatch(said):
        try:
            return await plans.plan(said)
        except NotFound:
            raise Invalid(("seatPlan", "no plan with this digest is known; send the plan itself")) from None
    try:
        if isinstance(said, str):
            return table.read(said.encode())
        return pretix.read(msgspec.json.encode(said))
    except UnusablePlan as unusable:
        shown = [("seatPlan", str(fault)) for fault in unusable.faults[:FAULTS_SHOWN]]
        if len(unusable.faults) > FAULTS_SHOWN:
            shown.append(("seatPlan", f"and {len(unusable.faults) - FAULTS_SHOWN} more faults"))
        raise Invalid(*shown) from None
