"""What the door says to a code, and what came through it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec

from cludale.kernel import dates
from cludale.kernel.allocation import NumberedSeat
from cludale.ports.programme import ConcertDetails
from cludale.services.tickets.domain import OrderTickets, Ticket, ticket_id
from cludale.services.tickets.events import Direction

CLOSES_AFTER = timedelta(hours=24)
"""How long after a concert's end, or its begin where it says no end, its tickets still let people in."""
_FIRST_PLACE = timedelta(hours=14)
"""A day begins so much earlier somewhere than in UTC: for a concert whose zone is not known."""


class Result(StrEnum):
    """What the door says."""

    VALID = "valid"
    USED = "used"
    """Somebody was let in with it; `at` and `door` say when and where."""
    NOT_INSIDE = "not-inside"
    """Out, and nobody was inside with it."""
    REVOKED = "revoked"
    REPLACED = "replaced"
    """It was transferred, or its seat was moved: there is a newer code."""
    WRONG_CONCERT = "wrong-concert"
    NOT_YET = "not-yet"
    """`at` says from when on."""
    OVER = "over"
    FORGED = "forged"
    """It is no code of ours, or its key is not good any more."""
    UNKNOWN = "unknown"
    """The code is ours, and there is no such ticket or concert here."""


class Open(NamedTuple):
    """When tickets of a concert let people in."""

    since: datetime
    until: datetime


def open_hours(concert: ConcertDetails, *, before: timedelta) -> Open:
    """From so long before it begins, or since its doors open where that is earlier, until a day after its end."""
    begins = dates.begins(concert.date, concert.zone)
    over = dates.over(concert.date, concert.ends_at, concert.zone)
    first = begins - before
    if concert.zone is None and dates.is_day(concert.date):
        first -= _FIRST_PLACE
    if concert.doors_at is not None:
        first = min(first, dates.begins(concert.doors_at, concert.zone))
    return Open(first, max(over, begins) + CLOSES_AFTER)


class Scanned(NamedTuple):
    """What the door says to one ticket; `at` and `door` are those of an earlier admission, or a time to come back."""

    result: Result
    at: datetime | None = None
    door: str | None = None
    moved_to: NumberedSeat | None = None
    """The seat that its holder has now, for a code that is REPLACED because of a move."""


def judged(
    ticket: Ticket, *, generation: int, direction: Direction, scan_id: str, reentry: bool, hours: Open, now: datetime
) -> Scanned:
    """What is said to this ticket now. VALID: it goes through, and that has yet to be written down.

    The same scan told again gets the same answer. Who is inside goes out, whatever became of the ticket since: who is
    inside is counted.
    """
    last = ticket.moves[-1] if ticket.moves else None
    same = ticket.scan(scan_id) if last is not None or ticket.undone else None
    if same is not None and same.direction is direction:
        return Scanned(Result.USED if same in ticket.undone else Result.VALID, same.at, same.door)
    void = _void(ticket, generation)
    if direction is Direction.OUT:
        is_theirs = generation == ticket.generation or ticket.is_of_holder(generation)
        return Scanned(Result.VALID if is_theirs and ticket.is_inside else void or Result.NOT_INSIDE)
    if void is not None:
        return Scanned(void)
    if last is not None and (ticket.is_inside or not reentry):
        entered = next((each for each in reversed(ticket.moves) if each.direction is Direction.IN), last)
        return Scanned(Result.USED, entered.at, entered.door)
    if now < hours.since:
        return Scanned(Result.NOT_YET, hours.since)
    return Scanned(Result.VALID if now < hours.until else Result.OVER)


def _void(ticket: Ticket, generation: int) -> Result | None:
    if ticket.revoked is not None:
        return Result.REVOKED
    return None if generation == ticket.generation else Result.REPLACED


class Minute(msgspec.Struct, frozen=True, rename="camel"):
    """What went through one door in one minute."""

    door: str
    minute: datetime
    came: int
    left: int


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    """What went through the doors of a concert."""

    tickets: int
    """Valid tickets."""
    admitted: int
    """Tickets with which somebody was let in."""
    inside: int
    """People: two, where doors without network let in twice with one ticket."""
    minutes: list[Minute]
    """In order of time and door; a minute in which nobody came or left is left out."""


def counts(orders: Iterable[OrderTickets]) -> Counts:
    """The counts of all orders of a concert."""
    tickets = admitted = inside = 0
    through: dict[tuple[datetime, str], list[int]] = {}
    for order in orders:
        tickets += len(order.valid)
        for ticket in order.changed.values():
            admitted += bool(ticket.moves)
            inside += len(ticket.inside)
            for move in ticket.moves:
                at = through.setdefault((move.at.replace(second=0, microsecond=0), move.door), [0, 0])
                at[move.direction is Direction.OUT] += 1
    minutes = [Minute(door, minute, came, left) for (minute, door), (came, left) in sorted(through.items())]
    return Counts(tickets, admitted, inside, minutes)


class Inside(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody who is inside. Nothing says who they are. Two with one ticket are there twice."""

    section: str
    section_name: str
    ticket_id: str
    since: datetime
    door: str


def inside(orders: Iterable[OrderTickets], sections: Mapping[str, str]) -> list[Inside]:
    """All who are inside, by section and by when they came. `sections`: their names."""
    found: list[Inside] = []
    for order in orders:
        section = "" if order.allocation is None else order.allocation.section
        for number, ticket in order.changed.items():
            name, id = sections.get(section, section), ticket_id(order.order_id, number)
            found += [Inside(section, name, id, move.at, move.door) for move in ticket.inside]
    return sorted(found, key=lambda each: (each.section, each.since, each.ticket_id))
