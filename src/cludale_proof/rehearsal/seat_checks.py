"""What must hold of seats with numbers, judged from what the API says. Pure: no I/O, and none of the services' code.

The log is gone through in the order of its times: who has which seat when, and what was free when somebody got some.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from cludale_proof.rehearsal.checks import such_as
from cludale_proof.rehearsal.hall import Hall
from cludale_proof.rehearsal.plan import AuditedEvent, Check, Order

MOST_TOGETHER: Final = 20
"""Larger parties are placed in groups: nobody says that these leave no seat over."""


class Sold(NamedTuple):
    """What the rehearsal of a numbered on-sale has to go by."""

    hall: Hall
    not_free: Collection[str]
    """The seats that can't be had in the end."""
    zones: Mapping[str, str]
    """The zone of each section."""
    named: Collection[str]
    """Buyers who named their seats."""


def of(sold: Sold, orders: Sequence[Order], events: Sequence[AuditedEvent]) -> list[Check]:
    """All of them."""
    ordered = sorted(events, key=lambda event: (event.timestamp, event.sequence))
    story = _Story(sold, orders)
    for event in ordered:
        story.hear(event)
    return [
        _no_seat_twice(orders, story),
        _one_order_and_ticket(sold, orders, events),
        _none_left_over(story),
    ]


def _no_seat_twice(orders: Collection[Order], story: "_Story") -> Check:
    """No seat was anybody's while it was somebody else's, nor is it on two orders that stand."""
    counts = Counter(seat.id for order in orders if order.status != "Cancelled" for seat in order.seats)
    wrong = [f"seat {id} is on {count} orders" for id, count in sorted(counts.items()) if count > 1] + story.twice
    found = f"{len(counts)} seats on orders that stand, {story.given} given to somebody in all{such_as(wrong)}"
    return Check("no seat twice", not wrong, found)


def _one_order_and_ticket(sold: Sold, orders: Collection[Order], events: Sequence[AuditedEvent]) -> Check:
    """What can't be had any more, what Paid orders say, what was sold by the log, and what tickets say, is the same."""
    its_own = [order for order in orders if order.section in sold.zones]
    paid = {order.id: [seat.id for seat in order.seats] for order in its_own if order.status == "Paid"}
    held = {seat.id for order in its_own if order.status not in ("Paid", "Cancelled") for seat in order.seats}
    wrong = [
        f"order {order.id}: {order.quantity} tickets, {len(order.seats)} seats"
        for order in its_own
        if order.status == "Paid" and len(order.seats) != order.quantity
    ]
    for type, what in (("SeatsSold", "sold"), ("TicketIssued", "on tickets")):
        said = {event.correlation_id: event for event in events if event.event_type == type and not event.repeated}
        for id, seats in paid.items():
            event = said.get(id)
            theirs = [] if event is None else [seat.id for seat in event.payload.numbered_seats]
            if theirs != seats:
                wrong.append(f"order {id} has {', '.join(seats)}; {what} are {', '.join(theirs) or 'none'}")
    all_theirs = {seat for seats in paid.values() for seat in seats}
    blocked = _blocked(events)
    if strangers := sorted(set(sold.not_free) - all_theirs - held - blocked):
        wrong.append(f"{len(strangers)} seats can't be had and are nobody's, {strangers[0]} one of them")
    if still := sorted(all_theirs - set(sold.not_free)):
        wrong.append(f"{len(still)} sold seats can still be had, {still[0]} one of them")
    found = f"{len(all_theirs)} seats, on {len(paid)} Paid orders and as many tickets{such_as(wrong)}"
    return Check("each sold seat on one order and one ticket", not wrong, found)


def _blocked(events: Sequence[AuditedEvent]) -> set[str]:
    blocked: set[str] = set()
    for event in events:
        if event.event_type == "SeatsBlocked":
            blocked |= {seat.id for seat in event.payload.numbered_seats}
        elif event.event_type == "SeatsUnblocked":
            blocked -= {seat.id for seat in event.payload.numbered_seats}
    return blocked


def _none_left_over(story: "_Story") -> Check:
    """No party that took the best seats left one alone where it could have sat together without."""
    found = f"{story.judged} parties took the best seats that were free{such_as(story.left_over)}"
    return Check("no avoidable single seat left over", not story.left_over, found)


class _Had(NamedTuple):
    """Seats that somebody has."""

    section: str
    seats: Sequence[str]
    until: datetime | None
    """Held until then; None: sold."""


class _Story:
    """Who has which seat as the log goes on."""

    def __init__(self, sold: Sold, orders: Sequence[Order]) -> None:
        self._zones = sold.zones
        self._stretches = {
            zone: [_Bits(stretch.ids) for stretch in stretches] for zone, stretches in sold.hall.zones.items()
        }
        self._where = {
            id: (bits, place)
            for stretches in self._stretches.values()
            for bits in stretches
            for place, id in enumerate(bits.ids)
        }
        self._choosy = {order.id for order in orders if order.user_id in sold.named}
        self._had: dict[str, _Had] = {}
        self._owner: dict[str, str] = {}
        self._seen: set[str] = set()
        self.given = self.judged = 0
        self.twice: list[str] = []
        self.left_over: list[str] = []

    def hear(self, event: AuditedEvent) -> None:
        """The next event."""
        seats = [seat.id for seat in event.payload.numbered_seats]
        if not seats or event.repeated or event.event_id in self._seen:
            return
        self._seen.add(event.event_id)
        whose = event.payload.reservation_id or event.event_id
        match event.event_type:
            case "SeatsReserved":
                self._end_holds(event.timestamp)
                if (event.correlation_id or "") not in self._choosy:
                    self._judge(event, seats)
                self._take(whose, seats)
                self._had[whose] = _Had(event.payload.section or "", seats, event.payload.expires_at)
            case "SeatsSold" if whose in self._had:
                self._had[whose] = self._had[whose]._replace(until=None)
            case "SeatsReleased":
                self._give_back(self._had.pop(whose, None))
            case "SeatsBlocked":
                self._take("blocked", seats)
            case "SeatsUnblocked":
                self._give_back(_Had("", seats, None))

    def _end_holds(self, now: datetime) -> None:
        """Seats can be had from the second on at which their hold ends, told or not."""
        for whose in [whose for whose, had in self._had.items() if had.until is not None and had.until <= now]:
            self._give_back(self._had.pop(whose))

    def _take(self, whose: str, seats: Sequence[str]) -> None:
        self.given += len(seats)
        for id in seats:
            if id in self._owner:
                self.twice.append(f"seat {id} was {self._owner[id]}'s and {whose}'s")
            self._owner[id] = whose
            if id in self._where:
                bits, place = self._where[id]
                bits.free &= ~(1 << place)

    def _give_back(self, had: _Had | None) -> None:
        for id in () if had is None else had.seats:
            self._owner.pop(id, None)
            if id in self._where:
                bits, place = self._where[id]
                bits.free |= 1 << place

    def _judge(self, event: AuditedEvent, seats: Sequence[str]) -> None:
        """Is one left alone by this, and could as many have sat together in the section without?"""
        if len(seats) > MOST_TOGETHER or not all(id in self._where for id in seats):
            return  # too many, or with a wheelchair place
        self.judged += 1
        taken: dict[_Bits, int] = {}
        for id in seats:
            bits, place = self._where[id]
            taken[bits] = taken.get(bits, 0) | 1 << place
        left = sum(_alone_by(bits.free, those) for bits, those in taken.items())
        if not left:
            return
        stretches = self._stretches[self._zones[event.payload.section or ""]]
        least = min((best for bits in stretches for best in _places(bits.free, len(seats))), default=left)
        if least < left:
            whose = event.correlation_id or event.payload.reservation_id
            self.left_over.append(
                f"{whose} took {', '.join(seats)} and left {left} alone; there was a place with {least}"
            )


class _Bits:
    """A stretch, and which of its seats are free."""

    __slots__ = ("free", "ids")

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids
        self.free = (1 << len(ids)) - 1


def _alone(free: int) -> int:
    return free & ~(free << 1) & ~(free >> 1)


def _alone_by(free: int, taken: int) -> int:
    """How many are alone once these are taken, and were not before."""
    return (_alone(free & ~taken) & ~_alone(free)).bit_count()


def _places(free: int, size: int) -> Iterator[int]:
    """How many each place for so many leaves alone; the first that leaves none is the last that is looked at."""
    starts = free
    for shift in range(1, size):
        starts &= free >> shift
    while starts:
        first = starts & -starts
        left = _alone_by(free, ((1 << size) - 1) * first)
        yield left
        if not left:
            return
        starts ^= first
