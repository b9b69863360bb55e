"""The numbered seats of a concert at the desk: those that are typed, and what is free, row by row, in the same form."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from cludale.pages.api import Refused, path
from cludale.pages.desk.views import Concert
from cludale.pages.seat_names import Fault, NoSuchSeats, typed
from cludale.pages.shop.halls import ACCESSIBLE, Plan, Row, Seat, is_free, rows_of
from cludale.pages.site import Missing, checked
from cludale.pages.staff.signing import Staff
from cludale.runtime.recent import Recent

PLANS_KEPT = 20
MOST_TYPED = 2_000
"""Characters."""


class FreeRow(NamedTuple):
    """A row, and its free seats as they may be typed."""

    label: str
    seats: str


class FreeSection(NamedTuple):
    """A numbered section, and the rows in which seats are free."""

    id: str
    rows: Sequence[FreeRow]
    aside: Sequence[FreeRow]
    """Places for wheelchairs, and those beside them."""


class _Section(msgspec.Struct, frozen=True):
    id: str
    zone: str
    free: bytes


class _Seats(msgspec.Struct, frozen=True):
    plan: str
    sections: tuple[_Section, ...]


class Numbered(NamedTuple):
    """The numbered sections of a concert as they stand: the rows of each, and which of their seats are free."""

    sections: Sequence[tuple[str, Sequence[Row], bytes]]

    @property
    def names(self) -> Mapping[str, str]:
        """What seats are called, by their ids."""
        return {
            seat.id: f"{row.label} {seat.number}" for _, rows, _ in self.sections for row in rows for seat in row.seats
        }

    def free(self) -> list[FreeSection]:
        """What is free, to be looked at."""
        return [
            FreeSection(
                id,
                [FreeRow(row.label, text) for row in rows if (text := _listed(row, free, aside=False))],
                [FreeRow(row.label, text) for row in rows if (text := _listed(row, free, aside=True))],
            )
            for id, rows, free in self.sections
        ]

    def named(self, text: str, section: str | None) -> tuple[str, list[Seat]]:
        """The seats that are typed, and their section: this one (None: the first that has them all).

        Raises NoSuchSeats, of the section that has most of them.
        """
        wrong = NoSuchSeats(Fault.NONE, "", after=-1)
        for id, rows, _ in self.sections:
            if section in (None, id):
                try:
                    return id, typed(rows, text[:MOST_TYPED])
                except NoSuchSeats as no:
                    wrong = max(wrong, no, key=lambda each: each.after)
        raise wrong


class SeatReader:
    """Reads which numbered seats of a concert there are, and which can be had; plans are kept, they never change."""

    def __init__(self) -> None:
        self._plans: Recent[str, Plan] = Recent(PLANS_KEPT)

    async def of(self, staff: Staff, concert: Concert) -> Numbered | None:
        """None: it has none, or nothing of it is shown yet."""
        if concert.seat_plan is None:
            return None
        try:
            return await self.of_concert(staff, concert.id)
        except (Missing, Refused):
            return None

    async def of_concert(self, staff: Staff, concert_id: str) -> Numbered:
        """Those of the concert that is called so. Raises Missing, Refused."""
        seen = checked(await staff.ask("GET", path("concerts", concert_id, "seats"))).read(_Seats)
        plan = self._plans.get(seen.plan)
        if plan is None:
            kept = checked(await staff.ask("GET", path("concerts", concert_id, "seats", "plan", digest=seen.plan)))
            # A plan may have 50,000 seats: other pages don't wait for it.
            plan = await asyncio.to_thread(msgspec.json.decode, kept.body, type=Plan)
            self._plans.remember({seen.plan: plan})
        zones = {zone.name: zone for zone in plan.zones}
        return Numbered(
            [(each.id, rows_of(zones[each.zone]), each.free) for each in seen.sections if each.zone in zones]
        )


def _listed(row: Row, free: bytes, *, aside: bool) -> str:
    """The free seats of a row, those beside one another as `12-14`."""
    return ", ".join(
        run[0].number if len(run) == 1 else f"{run[0].number}-{run[-1].number}" for run in _runs(row, free, aside=aside)
    )


def _runs(row: Row, free: bytes, *, aside: bool) -> Iterator[list[Seat]]:
    run: list[Seat] = []
    for seat in row.seats:
        if is_free(free, seat.at) and bool(seat.flags & ACCESSIBLE) is aside:
            run.append(seat)
        elif run:
            yield run
            run = []
    if run:
        yield run


def body_of(numbered: Numbered | None, text: str, section: str, wrong: dict[str, str]) -> dict[str, Any]:
    """What of a request names seats: nothing where nothing was typed. `wrong` is told of what names no seats."""
    if not text:
        return {}
    if numbered is None or (section and all(section != id for id, _, _ in numbered.sections)):
        wrong["seats"] = "no-numbers"
        return {}
    try:
        of, seats = numbered.named(text, section or None)
    except NoSuchSeats as no:
        wrong["seats"] = str(no)
        return {}
    named: dict[str, Any] = {"seats": [seat.id for seat in seats], "section": of}
    wheelchairs = sum(bool(seat.flags & 1) for seat in seats)
    return named | ({"wheelchairs": wheelchairs} if wheelchairs else {})


def ids_of(numbered: Numbered, section: str | None, text: str, field: str, wrong: dict[str, str]) -> list[str]:
    """The ids of seats of this section that are typed; `wrong` is told of what names none, for this field."""
    try:
        return [seat.id for seat in numbered.named(text, section)[1]]
    except NoSuchSeats as no:
        wrong[field] = str(no)
        return []


def not_among(numbered: Numbered, ids: Sequence[str], own: Collection[str]) -> str | None:
    """The first of these seats that is not one of these, by its name; None: all of them are."""
    lost = next((id for id in ids if id not in own), None)
    return None if lost is None else numbered.names.get(lost, lost)
