"""A concert's seating plan is changed at work: for each numbered section what becomes of its seats, as a command."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.refusals import Invalid
from cludale.services.concerts.events import SeatPlanPart
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.numbered import Hall, SeatMap
from cludale.services.concerts.seat_plans import domain as plan_changes
from cludale.services.concerts.seat_plans.domain import ChangePlan, KeptSeat, SeatsKept
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.seating.plans import Plan, layout_of
from cludale.services.concerts.stock import Section


class Planned(NamedTuple):
    """A section and the command that gives it its new plan."""

    section: str
    command: ChangePlan


async def prepared(
    plans: SeatPlans, sections: Sequence[Section], plan: Plan, *, by: str, expected: Mapping[str, int] | None
) -> list[Planned]:
    """The commands that change all numbered sections to this plan, sections that lose seats first. What can be refused
    is refused here, before anything is changed.

    `expected`: how often each section had been changed when the caller looked at it; None: that does not matter.
    Raises Invalid, SeatsKept, CalledOff, ChangedMeanwhile.
    """
    numbered = [(each, each.numbered) for each in sections if each.numbered is not UNSET]
    if not numbered:
        raise Invalid(("seatPlan", "no section of the concert has numbered seats"))
    known = {zone.name for zone in plan.zones}
    missing = [(each.id, seats.zone) for each, seats in numbered if seats.zone not in known]
    if missing:
        raise Invalid(*(("seatPlan", f"has no zone {zone!r}, which is section {id!r}") for id, zone in missing))
    digest = await plans.keep(plan)
    found: list[Planned] = []
    for each, seats in numbered:
        command = await _command(plans, each, seats, plan, digest)
        seen = None if expected is None else expected[each.id]
        found.append(Planned(each.id, replace(command, changed_by=by, expected=seen)))
    by_id = {each.id: each for each in sections}
    kept: list[KeptSeat] = []
    for section, command in found:
        try:
            plan_changes.decide(Seating(by_id[section], {}), command, plans.now())
        except SeatsKept as refused:
            kept += refused.seats
    if kept:
        raise SeatsKept(sections[0].concert_id, kept)
    return sorted(found, key=lambda each: not (each.command.gone or each.command.renamed))


async def _command(plans: SeatPlans, section: Section, seats: SeatMap, plan: Plan, digest: str) -> ChangePlan:
    before = await plans.hall(seats.plan, seats.zone, seats.order)
    layout = layout_of(plan, seats.zone)
    if not len(layout):
        raise Invalid(("seatPlan", f"zone {seats.zone!r}, which is section {section.id!r}, has no seats"))
    what = plan_changes.difference(before, seats, Hall(layout))
    order = "" if what.order == tuple(layout.ids) else await plans.keep_order(what.order)
    hall = await plans.hall(digest, seats.zone, order)
    return ChangePlan(
        changed_by="",
        expected=None,
        seen=(seats.plan, seats.zone, seats.order),
        part=SeatPlanPart(digest=digest, zone=seats.zone, aside=hall.aside(), order=order),
        hall=hall,
        added=what.added,
        back=what.back,
        gone=what.gone,
        renamed=what.renamed,
    )
