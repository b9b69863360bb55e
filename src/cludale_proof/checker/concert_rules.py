"""The rules of what becomes of a concert: its changes one after the other, its seats and prices by them, and its end.

Orders are in `order_rules.py`, counts of seats in `section_rules.py`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from cludale_proof.checker.documents import Concert, Money, PlannedSection
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.section_rules import SectionKey, over_at

_TIMES = ("on_sale_at", "cancel_until")
_TOLD = ("artist", "date", "venue", "on_sale_at", "max_per_order", "max_per_buyer", "ends_at", "cancel_until")


class ConcertTold:
    """A concert as its events tell of it."""

    __slots__ = ("cancelled", "resized", "scheduled", "sections", "steps", "twice")

    def __init__(self) -> None:
        self.scheduled: Fact | None = None
        self.steps: dict[int, Fact] = {}
        """By revision."""
        self.sections: dict[str, dict[int, Fact]] = {}
        """By section, and by the how manieth change of it."""
        self.cancelled: Fact | None = None
        self.twice: list[tuple[Fact, Fact]] = []
        """Two events that can't both be: of the same revision, or of the same change."""

    def add(self, fact: Fact) -> bool:
        """Take in one of its events; was it new?"""
        event = fact.event
        if event.type == "ConcertScheduled":
            return self._settle({0: self.scheduled} if self.scheduled else {}, 0, fact, "scheduled")
        if event.data.section is not None:
            return self._settle(self.sections.setdefault(event.data.section, {}), event.data.change or 0, fact)
        if event.type == "ConcertCancelled" and self.cancelled is None:
            self.cancelled = fact
        return self._settle(self.steps, event.data.revision or 0, fact)

    def _settle(self, slots: dict[int, Fact], slot: int, fact: Fact, attribute: str | None = None) -> bool:
        before = slots.setdefault(slot, fact)
        if before is fact and attribute is not None:
            setattr(self, attribute, fact)
        if before.event.id != fact.event.id:
            self.twice.append((before, fact))
        return before is fact

    @property
    def facts(self) -> list[Fact]:
        """All of them, but the first."""
        return [*self.steps.values(), *(fact for each in self.sections.values() for fact in each.values())]

    def plan(self, plan: PlannedSection) -> PlannedSection:
        """A section as it is after all that became of it."""
        for _, fact in sorted(self.sections.get(plan.id, {}).items()):
            data = fact.event.data
            plan = msgspec.structs.replace(
                plan,
                total_seats=plan.total_seats if data.total_seats is None else data.total_seats,
                price=data.price or plan.price,
                plan=data.plan or plan.plan,
            )
        return plan

    def prices(self, plan: PlannedSection) -> list[Money]:
        """All that a seat of the section ever cost."""
        changes = self.sections.get(plan.id, {}).values()
        return [plan.price, *(fact.event.data.price for fact in changes if fact.event.data.price is not None)]

    def resizes(self, section: str) -> Iterator[tuple[datetime, int]]:
        """When it got so many seats more, or fewer (below 0)."""
        for fact in self.sections.get(section, {}).values():
            data = fact.event.data
            seats = data.seats
            if fact.event.type == "SeatPlanChanged":
                yield fact.event.time, (data.added or 0) + (len(data.back or b"") - len(data.gone or b"")) // 2
            if seats is not None and fact.event.type in ("SeatsAdded", "SeatsTaken"):
                yield fact.event.time, seats if fact.event.type == "SeatsAdded" else -seats

    def over_at(self) -> datetime | None:
        """When it is over at the latest, whenever it was to be."""
        if self.scheduled is None:
            return None
        ends = []
        for said in self._versions():
            zone = said.get("zone")
            ends.append(over_at(said["date"] or "", said["ends_at"], zone))
        return max(ends)

    def _versions(self) -> Iterator[dict[str, Any]]:
        """What it was, from change to change."""
        if self.scheduled is None:
            return
        data = self.scheduled.event.data
        said: dict[str, Any] = {name: getattr(data, name) for name in _TOLD}
        said["zone"] = (data.particulars or {}).get("zone")
        yield said
        for _, fact in sorted(self.steps.items()):
            fields = fact.event.data.fields
            said = {**said, **_set(fields if isinstance(fields, Mapping) else {})}
            yield said

    def differing(self, concert: Concert) -> Iterator[str]:
        """Which fields of the stored concert are not what its events tell."""
        *_, said = self._versions()
        for name in _TOLD:
            if getattr(concert, name) != said[name]:
                yield name
        if concert.revision != max(self.steps, default=0):
            yield "revision"
        if self.cancelled is not None and concert.status != "cancelled":
            yield "status"


def _set(fields: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name in (*_TOLD, "zone"):
        parts = name.split("_")
        camel = parts[0] + "".join(part.capitalize() for part in parts[1:])
        if camel in fields:
            value = fields[camel]
            said[name] = msgspec.convert(value, datetime) if name in _TIMES and value is not None else value
    return said


def one_after_another(concert_id: str, told: ConcertTold) -> Iterator[Violation]:
    """Changes have no gaps, and nothing follows a cancellation."""
    subject = f"concert {concert_id}"
    for before, fact in told.twice:
        detail = f"{before.event.type} {before.event.id} and {fact.event.type} {fact.event.id} are the same change"
        yield _broken("changed-twice", subject, detail, before, fact)
    for slots in (told.steps, *told.sections.values()):
        if sorted(slots) != list(range(1, len(slots) + 1)):
            yield _broken("change-gap", subject, f"its changes are {sorted(slots)}", *slots.values())
    if told.cancelled is not None and max(told.steps) != (told.cancelled.event.data.revision or 0):
        detail = "it was changed after it was called off"
        yield _broken("changed-when-called-off", subject, detail, told.cancelled, *told.steps.values())


def closed(key: SectionKey, section: Any, told: ConcertTold | None) -> Iterator[Violation]:
    """Once all is quiet: does a section of a concert that is called off give no seats away?"""
    if told is not None and told.cancelled is not None and not section.closed:
        detail = "its concert is called off, and it would still give seats away"
        yield Violation(
            invariant=Invariant.SETTLES, rule="not-closed", subject=f"section {'/'.join(key)}", detail=detail
        )


def _broken(rule: str, subject: str, detail: str, *evidence: Fact) -> Violation:
    return Violation(invariant=Invariant.LEGAL_STEPS, rule=rule, subject=subject, detail=detail, evidence=evidence)
