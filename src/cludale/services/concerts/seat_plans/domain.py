"""A section's seating plan is changed: which seats are new, which go, and whose may not. No I/O or HTTP.

A seat's place is its own for good: it says which bit is the seat's, and every reservation, event and ticket has it. So
a new plan gives new seats the places after all that there ever were, and a seat that goes leaves its place empty.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Invalid, Refusal
from cludale.ports.seats import CalledOff
from cludale.services.concerts import numbered
from cludale.services.concerts.changes.domain import ChangedMeanwhile
from cludale.services.concerts.domain import as_of
from cludale.services.concerts.events import SeatPlanChanged, SeatPlanPart
from cludale.services.concerts.evolution import Seating, evolve
from cludale.services.concerts.numbered import Hall, SeatMap
from cludale.services.concerts.stock import Section

MOST_PLACES = 65_535
"""Places are two bytes each."""
_NAMED = 20


class Whose(StrEnum):
    """Why a seat stays as it is."""

    SOLD = "sold"
    HELD = "held"
    BLOCKED = "blocked"


class KeptSeat(NamedTuple):
    """A seat that somebody has, and that a new plan would take away or rename."""

    section: str
    id: str
    whose: Whose
    is_renamed: bool


class SeatsKept(Refusal):
    """Seats that are sold, held or blocked stay in the plan, and what is sold or held keeps its row and number."""

    def __init__(self, concert_id: str, seats: Sequence[KeptSeat]) -> None:
        said = [f"{each.id} ({each.whose}{', would be renamed' if each.is_renamed else ''})" for each in seats[:_NAMED]]
        more = f" and {len(seats) - _NAMED} more" if len(seats) > _NAMED else ""
        super().__init__(
            f"Concert {concert_id!r} keeps its seating plan: these seats are somebody's: {', '.join(said)}{more}.",
            seats=[
                {"id": each.id, "section": each.section, "status": each.whose, "renamed": each.is_renamed}
                for each in seats[:1_000]
            ],
            count=len(seats),
        )
        self.seats = tuple(seats)


class ChangePlan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: the section's seats are those of this plan from now on."""

    changed_by: str
    expected: int | None
    """How often the section was changed when whoever asks looked at it; None: however often."""
    seen: tuple[str, str, str]
    """The digest, zone and order of the plan that all this was computed from."""
    part: SeatPlanPart
    hall: Hall
    """Where its seats are then."""
    added: int
    back: tuple[int, ...]
    gone: tuple[int, ...]
    renamed: tuple[int, ...]
    """Places of seats that get another row or number."""


class Difference(NamedTuple):
    """What becomes of places by another plan."""

    order: tuple[str, ...]
    """The ids of all seats that there ever were, by their places."""
    added: int
    back: tuple[int, ...]
    gone: tuple[int, ...]
    renamed: tuple[int, ...]


def difference(before: Hall, seats: SeatMap, after: Hall) -> Difference:
    """From the hall before, whose seats are these, to that of the new plan. Raises Invalid."""
    places = {id: place for place, id in enumerate(before.order)}
    left_before = set(numbered.unpacked(seats.gone))
    new = tuple(id for id in after.layout.ids if id not in places)
    if len(places) + len(new) > MOST_PLACES:
        raise Invalid(("seatPlan", f"a section has at most {MOST_PLACES} different seats in all its plans"))
    back, gone, renamed = list[int](), list[int](), list[int]()
    for id, place in places.items():
        index = after.layout.index_of(id)
        if index is None:
            if place not in left_before:
                gone.append(place)
        elif place in left_before:
            back.append(place)
        elif _name(after, index) != _name(before, before.layout.index_of(id)):
            renamed.append(place)
    return Difference((*before.order, *new), len(new), tuple(back), tuple(gone), tuple(renamed))


def _name(hall: Hall, index: int | None) -> tuple[str, str] | None:
    if index is None:
        return None
    return hall.layout.rows[hall.layout.row_of[index]].label, hall.layout.numbers[index]


def decide(seating: Seating, wanted: ChangePlan, now: datetime) -> Decision[Seating]:
    """Another plan, or the same: that changes nothing. Raises CalledOff, ChangedMeanwhile, SeatsKept."""
    section = seating.section
    if section.closed is True:
        raise CalledOff(section.concert_id)
    seats = section.numbered
    if seats is UNSET or (seats.plan, seats.zone, seats.order) != wanted.seen:
        raise ChangedMeanwhile(section.concert_id)
    if wanted.expected is not None and section.changes != wanted.expected:
        raise ChangedMeanwhile(section.concert_id)
    if wanted.part.digest == seats.plan:
        return Decision(seating)
    now = section.moment(now)
    if kept := _kept(section, seats, wanted, now):
        raise SeatsKept(section.concert_id, kept)
    event = SeatPlanChanged(
        concert_id=section.concert_id,
        section=section.id,
        change=section.changes + 1,
        changed_by=wanted.changed_by,
        plan=wanted.part,
        before=seats.plan,
        added=wanted.added,
        back=numbered.packed(wanted.back),
        gone=numbered.packed(wanted.gone),
        total_seats=wanted.hall.total,
    )
    return Decision(as_of(now, evolve(seating, event)), (event,))


def _kept(section: Section, seats: SeatMap, wanted: ChangePlan, now: datetime) -> list[KeptSeat]:
    """The seats for which it can't be."""
    second = now.timestamp()
    free = numbered.free_bits(seats, section.places, second)
    held = {place for until, places in seats.held.items() if until > second for place in numbered.unpacked(places)}
    order = wanted.hall.order
    kept: list[KeptSeat] = []
    for place in sorted((*wanted.gone, *wanted.renamed)):
        if free >> place & 1:
            continue
        whose = Whose.BLOCKED if place in seats.blocked else Whose.HELD if place in held else Whose.SOLD
        is_renamed = place in wanted.renamed
        if not (is_renamed and whose is Whose.BLOCKED):
            kept.append(KeptSeat(section.id, order[place], whose, is_renamed))
    return kept
