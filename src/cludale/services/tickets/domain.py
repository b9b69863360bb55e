"""Rules of tickets: issued, transferred, revoked, let in once. No I/O, clock, keys or HTTP.

The tickets of an order are one aggregate. Most are never touched again after they were issued, so only those are kept
one by one to which something happened (`changed`); the others are valid, and nobody was let in with them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from cludale.kernel.allocation import Allocation, NumberedSeat, numbers_moved, seats_named
from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.ids import same_as
from cludale.kernel.refusals import NotFound, Refusal
from cludale.services.orders.events import ErasureReason
from cludale.services.tickets.events import (
    AdmissionUndone,
    Direction,
    RevokeReason,
    ScanMerged,
    TicketAdmitted,
    TicketIssued,
    TicketLeft,
    TicketReseated,
    TicketRevoked,
    TicketTransferred,
    UndoReason,
)

MOVES_KEPT = 100
"""How many movements at the door one ticket keeps."""

GIVEN_BY_BUYER = 2
"""How often a ticket was given at most, with its issue, where the buyer named its holder: a second passing on is the
holder's."""

_PREFIX = "ticket-"


class Movement(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Somebody went through a door."""

    at: datetime
    door: str
    scan_id: str
    direction: Direction = Direction.IN
    device: str = ""
    """Which device let through without network; empty: the door asked."""
    sequence: int = 0
    """Which of the device's scans it was."""
    generation: int = 0
    """Which of the ticket's codes that device was shown."""

    @property
    def place(self) -> tuple[datetime, str, int]:
        """Where it belongs among a ticket's movements, in whatever order they were heard of."""
        return self.at, self.device, self.sequence


class Ticket(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """One ticket, as far as anything happened to it."""

    generation: int = 1
    """How many codes it has had."""
    revoked: RevokeReason | None = None
    holder: str | None = None
    """Who has it, if it was transferred and a name was given. Personal data: in no event, and sealed (`holders.py`)."""
    moves: tuple[Movement, ...] = ()
    """In order of time, the last of them."""
    undone: tuple[Movement, ...] = ()
    """Those that did not count; in records of before this field they are left out."""
    revoked_at: datetime | None = None
    """Since when it is void; none in older records."""
    reseated: int = 0
    """How many of its codes it got because its seat became another one; none in older records."""
    had_since: int = 0
    """The first code of whoever has it now, once its seat has become another one; 0: that never happened."""

    @property
    def given(self) -> int:
        """How many codes it has had, those not counted that came with another seat: 1 while it is the buyer's."""
        return self.generation - self.reseated

    def is_of_holder(self, generation: int) -> bool:
        """Is this a code of whoever has it now, which is void for another seat alone?"""
        return bool(self.had_since) and self.had_since <= generation < self.generation

    def scan(self, scan_id: str) -> Movement | None:
        """The movement that this scan was, if it counts or did not."""
        return next((move for move in (*self.moves, *self.undone) if move.scan_id == scan_id), None)

    def moved(self, movement: Movement) -> tuple[Movement, ...]:
        """The movements with one more: the same ones, in whatever order they are told."""
        moves = (*self.moves, movement)
        if any(move.device for move in moves):
            moves = tuple(sorted(moves, key=_place))
        return moves[-MOVES_KEPT:]

    @property
    def inside(self) -> tuple[Movement, ...]:
        """The ways in of those who are inside with it: one, or more where doors without network let in twice."""
        inside: list[Movement] = []
        for move in self.moves:
            if move.direction is Direction.IN:
                inside.append(move)
            elif inside:
                inside.pop()
        return tuple(inside)

    @property
    def was_let_in(self) -> bool:
        """Was somebody let in with it, ever?"""
        return any(move.direction is Direction.IN for move in self.moves)

    @property
    def is_inside(self) -> bool:
        """Is whoever has it inside?"""
        return bool(self.inside)

    @property
    def is_transferred(self) -> bool:
        """Is it somebody else's than the buyer's?"""
        return self.given > 1


_place = attrgetter("place")
UNTOUCHED = Ticket()


class OrderTickets(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """All tickets of an order."""

    order_id: str
    concert_id: str
    step: int
    """How often they changed: which event was the last."""
    allocation: Allocation | None = None
    """Their seats. None: the order was cancelled before they were issued."""
    key_id: str = ""
    issued_at: datetime | None = None
    changed: Mapping[int, Ticket] = {}
    """Number → ticket, for those to which something happened."""
    parts: tuple[int, ...] = ()
    """The part refunds of the order with which tickets were given back, by number; none in older records."""
    named: bool = False
    """They are complimentary, so they are in the name that orders keeps of who has them. Default for older records."""
    forgotten_at: datetime | None = None
    """When the buyer was erased last. Told again, that takes no name away that was given since. Default for older
    records."""

    @property
    def quantity(self) -> int:
        """How many there are, valid or not."""
        return 0 if self.allocation is None else self.allocation.quantity

    def seat(self, number: int) -> NumberedSeat | None:
        """The seat of the ticket with this number; None where seats have none."""
        seats = seats_named(self.allocation)
        return seats[number - 1] if 1 <= number <= len(seats) else None

    @property
    def numbers(self) -> range:
        """The numbers of the tickets."""
        return range(1, self.quantity + 1)

    def ticket(self, number: int) -> Ticket:
        """The ticket with this number. Raises NotFound."""
        if number not in self.numbers:
            raise NotFound("ticket", ticket_id(self.order_id, number))
        return self.changed.get(number, UNTOUCHED)

    @property
    def valid(self) -> list[int]:
        """The numbers of those that are not revoked."""
        return [number for number in self.numbers if self.ticket(number).revoked is None]


class TicketVoid(Refusal):
    """The ticket was revoked: nothing can be done with it."""

    def __init__(self, id: str, reason: RevokeReason) -> None:
        super().__init__(f"Ticket {id!r} is void: {reason}.", ticket=id, reason=reason)


class TicketUsed(Refusal):
    """Somebody was let in with the ticket: it can't be transferred."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Somebody was let in with ticket {id!r}: it can't be transferred.", ticket=id)


class NotInside(Refusal):
    """Nobody is inside with this ticket: there is no admission to undo, and nobody to let out."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Nobody is inside with ticket {id!r}.", ticket=id)


def ticket_id(order_id: str, number: int) -> str:
    """The id of ticket `number` of an order."""
    return f"{same_as('ticket', order_id)}.{number}"


def parsed_id(id: str) -> tuple[str, int]:
    """Order and number of the ticket with this id. Raises NotFound."""
    order, dot, number = id.removeprefix(_PREFIX).rpartition(".")
    if not id.startswith(_PREFIX) or not dot or not number.isdecimal() or len(number) > 7 or number[0] == "0":
        raise NotFound("ticket", id)
    return f"order-{order}", int(number)


def evolve(state: OrderTickets | None, event: Event, *, at: datetime) -> OrderTickets:
    """The tickets after this event. A holder's name is in no event, so it is added by whoever knows it."""
    if isinstance(event, TicketIssued):
        return OrderTickets(
            order_id=event.order_id,
            concert_id=event.concert_id,
            step=event.step,
            allocation=event.allocation,
            key_id=event.key_id,
            issued_at=at,
        )
    if state is not None:
        return _after(state, event, at)
    if not isinstance(event, TicketRevoked):
        raise TypeError(f"{type(event).__name__} of tickets that there are not")
    return OrderTickets(order_id=event.order_id, concert_id=event.concert_id, step=event.step)


def _after(state: OrderTickets, event: Event, at: datetime) -> OrderTickets:
    match event:
        case TicketRevoked():
            since = {"revoked": event.reason, "revoked_at": at}
            void = {n: msgspec.structs.replace(state.ticket(n), **since) for n in event.numbers}
            parts = state.parts if event.part_number is msgspec.UNSET else (*state.parts, event.part_number)
            return msgspec.structs.replace(state, changed={**state.changed, **void}, parts=parts, step=event.step)
        case TicketTransferred() | TicketReseated():
            return _with_new_codes(state, event)
        case TicketAdmitted():
            return _moved(state, event, Movement(at, event.door, event.scan_id))
        case TicketLeft():
            return _moved(state, event, Movement(at, event.door, event.scan_id, Direction.OUT))
        case AdmissionUndone():
            return _without(state, event)
        case ScanMerged():
            of = event.direction, event.device, event.sequence, event.generation
            return _moved(state, event, Movement(event.scanned_at, event.door, event.scan_id, *of))
    raise TypeError(f"{type(event).__name__} is no event of tickets")


def _with(state: OrderTickets, event: Any, **changes: Any) -> OrderTickets:
    after = msgspec.structs.replace(state.ticket(event.number), **changes)
    return msgspec.structs.replace(state, changed={**state.changed, event.number: after}, step=event.step)


def _with_new_codes(state: OrderTickets, event: TicketTransferred | TicketReseated) -> OrderTickets:
    if isinstance(event, TicketTransferred):
        first = event.generation if state.ticket(event.number).had_since else 0
        return _with(state, event, generation=event.generation, holder=None, had_since=first)
    moved = {number: _reseated(state.ticket(number)) for number in event.numbers}
    changed = {**state.changed, **moved}
    return msgspec.structs.replace(state, changed=changed, allocation=event.allocation, step=event.step)


def _reseated(ticket: Ticket) -> Ticket:
    return msgspec.structs.replace(
        ticket,
        generation=ticket.generation + 1,
        reseated=ticket.reseated + 1,
        had_since=ticket.had_since or ticket.generation,
    )


def _moved(state: OrderTickets, event: Any, movement: Movement) -> OrderTickets:
    return _with(state, event, moves=state.ticket(event.number).moved(movement))


def _without(state: OrderTickets, event: AdmissionUndone) -> OrderTickets:
    ticket = state.ticket(event.number)
    if event.scan_id is msgspec.UNSET:
        return _with(state, event, moves=ticket.moves[:-1])
    off = next((move for move in reversed(ticket.moves) if move.scan_id == event.scan_id), None)
    moves = tuple(move for move in ticket.moves if move is not off)
    undone = ticket.undone if off is None else (*ticket.undone, off)[-MOVES_KEPT:]
    return _with(state, event, moves=moves, undone=tuple(sorted(undone, key=_place)))


def _decided(state: OrderTickets | None, event: Event, at: datetime) -> Decision[OrderTickets]:
    return Decision(evolve(state, event, at=at), (event,), at)


def issue(
    state: OrderTickets | None,
    *,
    order_id: str,
    allocation: Allocation,
    key_id: str,
    now: datetime,
    named: bool = False,
) -> Decision[OrderTickets]:
    """The order was paid: it gets its tickets, once, unless it was cancelled before."""
    if state is not None:
        return Decision(state)
    issued = _decided(None, TicketIssued(order_id=order_id, key_id=key_id, step=1, allocation=allocation), now)
    if not named:
        return issued
    return msgspec.structs.replace(issued, state=msgspec.structs.replace(issued.state, named=True))


def cancel(state: OrderTickets | None, *, order_id: str, concert_id: str, now: datetime) -> Decision[OrderTickets]:
    """The paid order was cancelled: all its tickets are void, those that are not issued yet, too."""
    if state is None:
        void = TicketRevoked(
            order_id=order_id, concert_id=concert_id, numbers=(), reason=RevokeReason.CANCELLED, step=1
        )
        return _decided(None, void, now)
    return revoke(state, state.valid, reason=RevokeReason.CANCELLED, now=now)


def give_back(
    state: OrderTickets, count: int, *, part: int, now: datetime, numbers: Sequence[int] = ()
) -> Decision[OrderTickets]:
    """`count` seats went back with this part refund of the order: so many of its tickets are void, once, at most all.

    Where seats have numbers, those that are said; else first those that nobody was let in with and that are still the
    buyer's, the highest number first.
    """

    if part in state.parts:
        return Decision(state)

    def last(number: int) -> tuple[bool, bool, int]:
        ticket = state.ticket(number)
        return bool(ticket.moves), ticket.is_transferred, -number

    void = numbers or sorted(state.valid, key=last)[:count]
    return revoke(state, void, reason=RevokeReason.GIVEN_BACK, now=now, part=part)


def revoke(
    state: OrderTickets,
    numbers: Sequence[int],
    *,
    reason: RevokeReason,
    now: datetime,
    part: int | msgspec.UnsetType = msgspec.UNSET,
) -> Decision[OrderTickets]:
    """These tickets are void. Those that are void already stay as they are. `part`: the part refund that it is for."""
    void = tuple(sorted(set(numbers) & set(state.valid)))
    if not void:
        return Decision(state)
    event = TicketRevoked(
        order_id=state.order_id,
        concert_id=state.concert_id,
        numbers=void,
        reason=reason,
        step=state.step + 1,
        part_number=part,
    )
    return _decided(state, event, now)


def transfer(state: OrderTickets, number: int, *, holder: str | None, now: datetime) -> Decision[OrderTickets]:
    """The ticket is somebody else's from now on. Raises TicketVoid, TicketUsed, NotFound."""
    ticket, id = state.ticket(number), ticket_id(state.order_id, number)
    if ticket.revoked is not None:
        raise TicketVoid(id, ticket.revoked)
    if ticket.moves:
        raise TicketUsed(id)
    event = TicketTransferred(
        order_id=state.order_id,
        concert_id=state.concert_id,
        number=number,
        generation=ticket.generation + 1,
        step=state.step + 1,
    )
    decision = _decided(state, event, now)
    after = decision.state
    named = {**after.changed, number: msgspec.structs.replace(after.changed[number], holder=holder)}
    return Decision(msgspec.structs.replace(after, changed=named), decision.events, now)


def reseat(state: OrderTickets, allocation: Allocation, *, now: datetime) -> Decision[OrderTickets]:
    """An organizer moved some of the order's seats: those of these tickets get new codes, whoever has them.

    What somebody was let in with stays that: the new code lets nobody in a second time. What is known already, or is
    older, changes nothing.
    """
    known = state.allocation
    if known is None or (allocation.moves or 0) <= (known.moves or 0):
        return Decision(state)
    moved = set(numbers_moved(known, allocation))
    valid = state.valid
    if not valid:
        return Decision(state)
    # None, perhaps: they are where they were, or it was void ones. That is told, too, so that an older move is known.
    numbers = tuple(number for number in valid if number in moved)
    event = TicketReseated(order_id=state.order_id, numbers=numbers, step=state.step + 1, allocation=allocation)
    return _decided(state, event, now)


def forget_holders(
    state: OrderTickets, reason: ErasureReason, *, at: datetime, now: datetime
) -> Decision[OrderTickets]:
    """Without the names of holders that the erasure of this time takes away, once; nothing is published, for no event
    has them.

    Where the buyer is to be forgotten, those that the buyer gave: of tickets that were passed on once. A name that came
    with a later passing on was given by whoever had the ticket by then, and stays. When the time is over for which
    personal data is kept, all go.
    """
    asked = reason is ErasureReason.ASKED
    if asked and state.forgotten_at is not None and at <= state.forgotten_at:
        return Decision(state)
    bare = {
        number: msgspec.structs.replace(ticket, holder=None)
        for number, ticket in state.changed.items()
        if ticket.holder is not None and (not asked or ticket.given <= GIVEN_BY_BUYER)
    }
    if not bare and not asked:
        return Decision(state)
    forgotten_at = at if asked else state.forgotten_at
    return Decision(
        msgspec.structs.replace(state, changed={**state.changed, **bare}, forgotten_at=forgotten_at), (), now
    )


def admit(
    state: OrderTickets, number: int, *, generation: int, door: str, scan_id: str, now: datetime
) -> Decision[OrderTickets]:
    """Whoever shows the ticket's code of this generation is let in. What speaks against it, `door.judged` said."""
    event = TicketAdmitted(
        order_id=state.order_id,
        concert_id=state.concert_id,
        number=number,
        generation=generation,
        door=door,
        scan_id=scan_id,
        step=state.step + 1,
    )
    return _decided(state, event, now)


def let_out(state: OrderTickets, number: int, *, door: str, scan_id: str, now: datetime) -> Decision[OrderTickets]:
    """Whoever is inside with the ticket goes out. Raises NotInside, NotFound."""
    if not state.ticket(number).is_inside:
        raise NotInside(ticket_id(state.order_id, number))
    event = TicketLeft(
        order_id=state.order_id,
        concert_id=state.concert_id,
        number=number,
        door=door,
        scan_id=scan_id,
        step=state.step + 1,
    )
    return _decided(state, event, now)


def undo(state: OrderTickets, number: int, *, reason: UndoReason, now: datetime) -> Decision[OrderTickets]:
    """The ticket's last admission did not count. Raises NotInside, NotFound."""
    ticket = state.ticket(number)
    if not ticket.is_inside:
        raise NotInside(ticket_id(state.order_id, number))
    event = AdmissionUndone(
        order_id=state.order_id,
        concert_id=state.concert_id,
        number=number,
        door=ticket.inside[-1].door,
        reason=reason,
        step=state.step + 1,
        scan_id=ticket.inside[-1].scan_id,
    )
    return _decided(state, event, now)
