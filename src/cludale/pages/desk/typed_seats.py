"""Seats as a seller types them, `C 12-14; D 3`, and what is free, row by row, in the same form.

A row is told by its label, seats by their numbers; `12-14` are those from the one to the other, as they stand in the
row. Case and space around do not matter.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from cludale.pages.api import Refused, path
from cludale.pages.desk.views import Concert
from cludale.pages.shop.halls import ACCESSIBLE, Plan, Row, Seat, is_free, rows_of
from cludale.pages.site import Missing, checked
from cludale.pages.staff.signing import Staff
from cludale.runtime.recent import Recent

PLANS_KEPT = 20
_GROUP = re.compile(r"[;\n]")
_NUMBERS = re.compile(r"[,\s]+")
_DASH = re.compile(r"\s*[-\u2013]\s*")


class NoSuchSeats(ValueError):
    """What was typed names no seats; the words that do not."""


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
        """The seats that are typed, and their section: this one (None: the first that has them all). Raises
        NoSuchSeats.
        """
        wrong: NoSuchSeats | None = None
        for id, rows, _ in self.sections:
            if section in (None, id):
                try:
                    return id, typed(rows, text)
                except NoSuchSeats as no:
                    wrong = wrong or no
        raise wrong or NoSuchSeats(text)


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


def typed(rows: Sequence[Row], text: str) -> list[Seat]:
    """The seats that are typed, each once. Raises NoSuchSeats."""
    found: dict[int, Seat] = {}
    for group in filter(None, (each.strip() for each in _GROUP.split(text))):
        row, numbers = _row(rows, group)
        for number in filter(None, _NUMBERS.split(_DASH.sub("-", numbers).strip())):
            for seat in _numbered(row, number):
                found[seat.at] = seat
    if not found:
        raise NoSuchSeats(text)
    return list(found.values())


def _row(rows: Sequence[Row], group: str) -> tuple[Row, str]:
    """The row with the longest label with which it begins, and what follows."""
    folded = group.casefold()
    for row in sorted(rows, key=lambda row: -len(row.label)):
        label = row.label.casefold()
        rest = group[len(label) :]
        if folded.startswith(label) and (not rest or rest[0].isspace() or rest[0] in ":,"):
            return row, rest.lstrip(" :,")
    raise NoSuchSeats(group)


def _numbered(row: Row, number: str) -> Sequence[Seat]:
    """One seat, or those from the one to the other. A number with a dash in it is looked for as it is first."""
    known = {seat.number.casefold(): at for at, seat in enumerate(row.seats)}
    wanted = number.casefold()
    if wanted in known:
        return (row.seats[known[wanted]],)
    first, dash, last = wanted.partition("-")
    if not dash or first not in known or last not in known:
        raise NoSuchSeats(f"{row.label} {number}")
    begin, end = sorted((known[first], known[last]))
    return row.seats[begin : end + 1]


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
    except NoSuchSeats:
        wrong["seats"] = "no-seat"
        return {}
    named: dict[str, Any] = {"seats": [seat.id for seat in seats], "section": of}
    wheelchairs = sum(bool(seat.flags & 1) for seat in seats)
    return named | ({"wheelchairs": wheelchairs} if wheelchairs else {})
