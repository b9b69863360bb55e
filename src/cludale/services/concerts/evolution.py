"""What each fact does to a section's seats: `evolve`, for deciding, replay and rebuilding. No I/O, clock or HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from cludale.kernel.events import Event
from cludale.kernel.times import epoch_second
from cludale.services.concerts import numbered
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.events import (
    PriceChanged,
    SaleRefused,
    SeatPlanChanged,
    SeatsAdded,
    SeatsBlocked,
    SeatsHeldBack,
    SeatsLetGo,
    SeatsMoved,
    SeatsOffered,
    SeatsReleased,
    SeatsReserved,
    SeatsReturned,
    SeatsSold,
    SeatsTaken,
    SeatsUnblocked,
    WaitingListJoined,
    WaitingListLeft,
)
from cludale.services.concerts.numbered import Hall, SeatMap
from cludale.services.concerts.stock import Answered, Reservation, Returned, Section, Status

NEXT: Mapping[Status, frozenset[Status]] = {
    Status.HELD: frozenset({Status.SOLD, Status.RELEASED}),
    Status.SOLD: frozenset({Status.RELEASED}),
    Status.RELEASED: frozenset(),
}


class Seating(msgspec.Struct, frozen=True, gc=False):
    """A section and those of its reservations that a batch of commands looks at."""

    section: Section
    reservations: Mapping[str, Reservation]
    hall: Hall | None = None
    """Where the seats of a numbered section are; None: they have no numbers. Another plan is another hall."""


def evolve(seating: Seating, event: Event) -> Seating:
    """The seats after this fact; they are counted nowhere else. Raises ValueError where NEXT does not lead there."""
    section = seating.section
    match event:
        case SeatsReserved():
            section, reservation = _with_hold(section, event), _reservation(event)
        case SeatsSold():
            before = seating.reservations[event.allocation.reservation_id]
            section = _given_up(section, before, Status.SOLD, sold=before.quantity)
            reservation = msgspec.structs.replace(before, status=Status.SOLD)
        case SeatsReturned():
            before = seating.reservations[event.allocation.reservation_id]
            returns = {} if before.returns is UNSET else before.returns
            back = Returned(tickets=event.tickets, at=event.returned_at, numbers=event.numbers)
            if before.status is Status.SOLD:  # a log may tell of the release of all of them first
                section = _without(section, before, event)
            reservation = msgspec.structs.replace(before, returns={**returns, event.number: back})
        case SeatsReleased():
            before = seating.reservations[event.allocation.reservation_id]
            section = _given_up(section, before, Status.RELEASED)
            reservation = msgspec.structs.replace(
                before,
                status=Status.RELEASED,
                released_for=event.reason,
                answered=Answered.SOLD if before.status is Status.SOLD else before.answered,
            )
        case SeatsMoved():
            before = seating.reservations[event.allocation.reservation_id]
            places, moved = event.allocation.numbered_seats, (*(before.moved or ()), event.move_id)
            reservation = msgspec.structs.replace(before, numbered_seats=places, moved=moved)
            section = _reseated(section, before, reservation)
        case SaleRefused():
            before = seating.reservations[event.allocation.reservation_id]
            reservation = msgspec.structs.replace(before, answered=Answered.REFUSED)
        case SeatsBlocked() | SeatsUnblocked():
            become = numbered.block if isinstance(event, SeatsBlocked) else numbered.unblock
            why = (event.reason,) if isinstance(event, SeatsBlocked) else ()
            blocked = _with_map(section, become, event.numbered_seats, *why)
            return Seating(msgspec.structs.replace(blocked, changed=event.change), seating.reservations, seating.hall)
        case _:
            section = _changed_by(section, event)
            return seating if section is seating.section else Seating(section, seating.reservations, seating.hall)
    return Seating(section, {**seating.reservations, reservation.id: reservation}, seating.hall)


def _with_hold(section: Section, event: SeatsReserved) -> Section:
    """The section with these seats held, out of a block if the event names one."""
    seats = event.allocation
    until = epoch_second(event.expires_at)
    held = dict(section.held)
    held[until] = held.get(until, 0) + seats.quantity
    if seats.numbered_seats is UNSET or section.numbered is UNSET:
        section = msgspec.structs.replace(section, held=held)
    else:
        taken = numbered.reserved(section.numbered, seats.numbered_seats, until)
        section = msgspec.structs.replace(section, held=held, numbered=taken)
    if event.block is not UNSET:
        drawn = blocks.with_drawn(section.its_blocks, event.block, seats.quantity)
        section = msgspec.structs.replace(section, blocks=drawn)
    return section


def _reservation(event: SeatsReserved) -> Reservation:
    seats = event.allocation
    return Reservation(
        id=seats.reservation_id,
        concert_id=seats.concert_id,
        section=seats.section,
        quantity=seats.quantity,
        order_id=event.order_id,
        expires_at=event.expires_at,
        price=event.price,
        bill=event.bill,
        priced=event.priced,
        block=event.block,
        numbered_seats=seats.numbered_seats,
    )


def _changed_by(section: Section, event: Event) -> Section:
    """The section after a fact that is about none of its reservations."""
    match event:
        case SeatsAdded() | SeatsTaken():
            return msgspec.structs.replace(section, total=event.total_seats, changed=event.change)
        case SeatPlanChanged():
            replanned = _with_map(section, numbered.replanned, section.total, event)
            return msgspec.structs.replace(replanned, total=event.total_seats, changed=event.change)
        case PriceChanged():
            return msgspec.structs.replace(section, price=event.price, changed=event.change)
        case SeatsHeldBack() | SeatsLetGo():
            kept = blocks.evolve(section.its_blocks, event)
            return msgspec.structs.replace(section, blocks=kept, changed=event.change)
        case WaitingListJoined() | WaitingListLeft() | SeatsOffered():
            more = 1 if isinstance(event, WaitingListJoined) else -1
            return msgspec.structs.replace(section, waiting=(section.waiting or 0) + more)
    return section


def _given_up(section: Section, reservation: Reservation, status: Status, *, sold: int = 0) -> Section:
    """The section once these seats are no longer what they were, and `sold` of them are Sold."""
    if status not in NEXT[reservation.status]:
        raise ValueError(f"{reservation.id} can't go from {reservation.status} to {status}")
    is_numbered = section.numbered is not UNSET
    if reservation.status is not Status.HELD:
        after = msgspec.structs.replace(section, sold=section.sold - reservation.kept + sold)
        return _with_map(after, numbered.given_back, reservation.kept_seats) if is_numbered else after
    held = dict(section.held)
    until = epoch_second(reservation.expires_at)
    held[until] -= reservation.quantity
    if not held[until]:
        del held[until]
    after = msgspec.structs.replace(section, held=held, sold=section.sold + sold)
    if not is_numbered:
        return after
    become = numbered.sold if status is Status.SOLD else numbered.released
    return _with_map(after, become, reservation.kept_seats, until)


def _without(section: Section, reservation: Reservation, back: SeatsReturned) -> Section:
    """The section without these sold seats of the reservation."""
    after = msgspec.structs.replace(section, sold=section.sold - back.tickets)
    if reservation.numbered_seats is UNSET or back.numbers is UNSET:
        return after
    return _with_map(
        after, numbered.given_back, tuple(reservation.numbered_seats[number - 1] for number in back.numbers)
    )


def _reseated(section: Section, before: Reservation, after: Reservation) -> Section:
    """The section once a reservation has other seats; a log may tell of its release first."""
    if before.status is Status.RELEASED:
        return section
    until = epoch_second(before.expires_at) if before.status is Status.HELD else None
    return _with_map(section, numbered.moved, before.kept_seats, after.kept_seats, until)


def _with_map(section: Section, become: Callable[..., SeatMap], *of: Any) -> Section:
    """The section with what becomes of its seats, if they have numbers."""
    if section.numbered is UNSET:
        return section
    return msgspec.structs.replace(section, numbered=become(section.numbered, *of))


def evolve_all(seating: Seating, events: Sequence[Event]) -> Seating:
    """The seats after these facts, one after the other."""
    for event in events:
        seating = evolve(seating, event)
    return seating
