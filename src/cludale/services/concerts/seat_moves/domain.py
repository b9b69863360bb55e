"""Moves: an organizer gives buyers other numbered seats of the same section, or has two swap. No I/O, clock or HTTP.

All of a move is one decision, in the section's command queue, where seats are given away: so nobody else gets a seat in
between, and of two that swap both have moved or neither. Tickets keep their numbers, and what was paid for them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.decision import Decision
from cludale.kernel.ids import same_as
from cludale.kernel.refusals import Invalid, Refusal, RefusedForNow
from cludale.ports.seats import CalledOff, ConcertOver, HoldEnded, SeatsNotFree
from cludale.services.concerts import domain, numbered
from cludale.services.concerts.events import SeatsMoved
from cludale.services.concerts.evolution import Seating, evolve_all
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.layout import Flags
from cludale.services.concerts.seating.picking import NotEnoughSeats
from cludale.services.concerts.stock import Reservation, Status, unavailable

MOST_MOVES = 100
"""The most moves of one reservation: it keeps the id of each."""


class NothingToMove(RefusedForNow):
    """The order has no seats here now that could be moved."""

    def __init__(self, order_id: str, why: str) -> None:
        super().__init__(f"The seats of order {order_id!r} can't be moved: {why}.", orderId=order_id)


class OtherSection(Refusal):
    """The seats that are named are of another section, which may cost something else: nobody is moved there."""

    def __init__(self, order_id: str, *, section: str, named: str) -> None:
        super().__init__(
            f"Order {order_id!r} has seats of section {section!r}, and a seat of section {named!r} is named. Seats are "
            "moved within their section alone: what was paid for them is the price there. To seat this buyer there, "
            "sell others there and give these back.",
            section=section,
            named=named,
        )


class TooManyMoves(Refusal):
    """The seats of an order are moved so often, and no more."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"The seats of order {order_id!r} were moved {MOST_MOVES} times already.", limit=MOST_MOVES)


class SeatsOf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Some seats of an order."""

    order_id: str
    seats: tuple[str, ...] = ()
    """Their ids; none: all that it has."""
    field: str = ""
    """What stands before their names in the request: `first.`"""

    @property
    def reservation_id(self) -> str:
        """The order's first reservation; late money may have got it another one since."""
        return same_as("reservation", self.order_id)


class MoveSeats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: these become other seats; told again under the same id, it changes nothing."""

    move_id: str
    of: SeatsOf
    to: tuple[str, ...] = ()
    """The ids of the others, in their order; none: the best that are free."""
    moved_by: str
    reason: str
    over_at: datetime

    @property
    def parties(self) -> tuple[SeatsOf, ...]:
        """Whose seats it is about."""
        return (self.of,)


class SwapSeats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: two orders swap as many seats."""

    move_id: str
    first: SeatsOf
    second: SeatsOf
    moved_by: str
    reason: str
    over_at: datetime

    @property
    def parties(self) -> tuple[SeatsOf, ...]:
        """Whose seats it is about."""
        return (self.first, self.second)


MoveCommand = MoveSeats | SwapSeats


class _Party(NamedTuple):
    """The seats of an order that move."""

    of: SeatsOf
    reservation: Reservation
    numbers: Sequence[int]
    """Which tickets, in the order in which they get others."""

    @property
    def all_seats(self) -> tuple[NumberedSeat, ...]:
        """Those of all tickets, given back or not."""
        return self.reservation.numbered_seats or ()

    @property
    def seats(self) -> tuple[NumberedSeat, ...]:
        """The seats that move."""
        return tuple(self.all_seats[number - 1] for number in self.numbers)


def decide(seating: Seating, command: MoveCommand, now: datetime) -> Decision[Seating]:
    """Other seats for these orders, all or none.

    Raises CalledOff, ConcertOver, HoldEnded, Invalid, NothingToMove, SeatsNotFree, SeatsUnavailable, TooManyMoves.
    """
    section = seating.section
    now = section.moment(now)
    known = [latest(seating, each) for each in command.parties]
    if all(each is not None and command.move_id in (each.moved or ()) for each in known):
        return Decision(seating)
    if section.closed is True:
        raise CalledOff(section.concert_id)
    if now >= command.over_at:
        raise ConcertOver(section.concert_id, command.over_at)
    parties = [_party(of, its, now) for of, its in zip(command.parties, known, strict=True)]
    if isinstance(command, SwapSeats):
        events = _swapped(command, parties[0], parties[1])
    else:
        events = _moved(seating, command, parties[0], now)
    if not events:
        return Decision(seating)
    return Decision(domain.as_of(now, evolve_all(seating, events)), events)


def latest(seating: Seating, of: SeatsOf) -> Reservation | None:
    """What the order has here, or had last."""
    found = seating.reservations.get(of.reservation_id)
    while found is not None and found.successor is not None:
        found = seating.reservations.get(found.successor)
    return found


def _party(of: SeatsOf, reservation: Reservation | None, now: datetime) -> _Party:
    """Raises HoldEnded, Invalid, NothingToMove, TooManyMoves."""
    if reservation is None or reservation.status is Status.RELEASED:
        raise NothingToMove(of.order_id, "it has none here")
    if reservation.status is Status.HELD and not reservation.is_live(now):
        raise HoldEnded(reservation.id)
    if reservation.numbered_seats is UNSET:
        raise Invalid((f"{of.field}order", f"the seats of section {reservation.section!r} have no numbers"))
    if len(reservation.moved or ()) >= MOST_MOVES:
        raise TooManyMoves(of.order_id)
    places = {reservation.numbered_seats[number - 1].id: number for number in reservation.kept_numbers}
    wrong = [
        (f"{of.field}seats[{i}]", f"order {of.order_id!r} has no such seat")
        for i, id in enumerate(of.seats)
        if id not in places
    ]
    if not wrong and len(set(of.seats)) < len(of.seats):
        wrong = [(f"{of.field}seats", "has one twice")]
    if wrong:
        raise Invalid(*wrong)
    if of.seats:
        return _Party(of, reservation, [places[id] for id in of.seats])
    seats = reservation.numbered_seats
    return _Party(of, reservation, sorted(places.values(), key=lambda number: seats[number - 1].at))


def _moved(seating: Seating, command: MoveSeats, party: _Party, now: datetime) -> list[SeatsMoved]:
    """Raises Invalid, SeatsNotFree, SeatsUnavailable."""
    section, hall = seating.section, seating.hall
    if section.numbered is UNSET or hall is None:
        raise TypeError(f"section {section.id!r} is numbered, and nobody said where its seats are")
    taken = numbered.taken_at(section.numbered, section.moment(now).timestamp())
    seats = _named(hall, taken, command, party) if command.to else _best(seating, hall, taken, party, now)
    return [_event(command, party, seats)] if seats != party.seats else []


def _named(hall: Hall, taken: bytes, command: MoveSeats, party: _Party) -> tuple[NumberedSeat, ...]:
    """Those that are named: free, or what moves away itself. Wheelchair places, too: who names one knows why."""
    if len(command.to) != len(party.numbers):
        raise Invalid(("to", f"names {len(command.to)} seats, and {len(party.numbers)} are to be moved"))
    places = hall.places(command.to, field="to")
    own = {seat.at for seat in party.seats}
    others = {place for place in places if numbered.is_taken(taken, place)} - own
    if others:
        ids = [id for id, place in zip(command.to, places, strict=True) if place in others]
        raise SeatsNotFree(party.reservation.concert_id, ids)
    return hall.seats(places)


def _best(seating: Seating, hall: Hall, taken: bytes, party: _Party, now: datetime) -> tuple[NumberedSeat, ...]:
    """The best that are free, beside those that they have: wheelchair places for those that are such."""
    section, quantity = seating.section, len(party.numbers)
    aside = [bool(seat.flags & Flags.WHEELCHAIR) for seat in party.seats]
    try:
        found = numbered.best(hall, taken, quantity, sum(aside))
    except NotEnoughSeats:
        raise unavailable(section.concert_id, (section,), wanted=quantity, now=now) from None
    wheelchairs = [seat for seat in found if seat.flags & Flags.WHEELCHAIR]
    others = [seat for seat in found if not seat.flags & Flags.WHEELCHAIR]
    return tuple((wheelchairs if is_aside and wheelchairs else others or wheelchairs).pop(0) for is_aside in aside)


def _swapped(command: SwapSeats, first: _Party, second: _Party) -> list[SeatsMoved]:
    """Raises Invalid."""
    if first.reservation.id == second.reservation.id:
        raise Invalid(("second.order", "is the first one: to swap within an order, move its seats to one another"))
    if len(first.numbers) != len(second.numbers):
        message = f"are {len(second.numbers)}, and those of the first are {len(first.numbers)}"
        raise Invalid(("second.seats", message))
    return [
        _event(command, first, second.seats, swapped_with=second.of.order_id),
        _event(command, second, first.seats, swapped_with=first.of.order_id),
    ]


def _event(
    command: MoveCommand, party: _Party, seats: Sequence[NumberedSeat], *, swapped_with: str | UnsetType = UNSET
) -> SeatsMoved:
    has = list(party.all_seats)
    for number, seat in zip(party.numbers, seats, strict=True):
        has[number - 1] = seat
    moves = len(party.reservation.moved or ()) + 1
    return SeatsMoved(
        order_id=party.of.order_id,
        move_id=command.move_id,
        numbers=tuple(party.numbers),
        seats_before=party.seats,
        moved_by=command.moved_by,
        reason=command.reason,
        swapped_with=swapped_with,
        allocation=replace(party.reservation.allocation, numbered_seats=tuple(has), moves=moves),
    )
