"""Concert rules: scheduling, holding, selling and releasing seats. No I/O, clock or HTTP.

Seats are held in sections. A section knows how many seats it has, how many are sold, and how many are
held until which second; so what is available follows from the time, never from whether anyone swept.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel import dates
from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.bills import Bill
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.money import Money
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.kernel.tills import MOST_AT_OFFICE, Till
from cludale.kernel.times import epoch_second, whole_second_after
from cludale.ports.prices import UnderTheMinimum
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import (
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SaleEnded,
    SalePaused,
    SeatsNotFree,
    SeatsUnavailable,
    SectionNotFound,
)
from cludale.services.concerts import blocks, numbered, pricing
from cludale.services.concerts.blocks import Blocks
from cludale.services.concerts.events import (
    ConcertScheduled,
    ConcertStatus,
    LetGoReason,
    Particulars,
    PriceChanged,
    Priced,
    ReleaseReason,
    SaleRefused,
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
    SectionPlan,
    WaitingListJoined,
    WaitingListLeft,
)
from cludale.services.concerts.numbered import Hall, NotFree, SeatMap
from cludale.services.concerts.seating.picking import NotEnoughSeats


class ConcertExists(Refusal):
    """The id is taken by another concert."""

    def __init__(self, concert_id: str) -> None:
        super().__init__(f"There is a concert {concert_id!r} already.", id=concert_id)


_NOTHING_MORE = Particulars()


class Concert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A scheduled concert. Its seats are elsewhere, one aggregate a section.

    What it becomes is in changes.py. `sections` stay as they were scheduled: how many seats a section has now, and at
    what price, it says itself.
    """

    id: str
    artist: str
    date: str
    venue: str | None
    sections: tuple[SectionPlan, ...]
    on_sale_at: datetime | None
    max_per_order: int
    listed: bool = True
    """Is it among those that can be found? Who knows the id of another can look at it and buy."""
    ends_at: str | None = None
    """When it is over, where it goes on after `date`: the last day of a festival, or a time."""
    cancel_until: datetime | None = None
    """When buyers can no longer cancel, if it is not when it begins."""
    organizer_id: str | UnsetType = msgspec.field(default=UNSET, name="organizer")
    """Whose it is; unset, as in concerts written before this field existed: the default organizer's."""
    max_per_buyer: int | UnsetType = UNSET
    """The most tickets of one buyer; unset, as in concerts written before this field existed: any number."""
    particulars: Particulars | UnsetType = UNSET
    said: ConcertStatus | UnsetType = msgspec.field(default=UNSET, name="status")
    """Its status; unset, as in concerts written before this field existed: `listed` says it."""
    changed: int | UnsetType = msgspec.field(default=UNSET, name="revision")
    """How often it was changed; unset: never."""
    why: str | UnsetType = msgspec.field(default=UNSET, name="reason")
    """Why it is postponed or cancelled, if it is."""

    @property
    def more(self) -> Particulars:
        """What else is said of it."""
        return _NOTHING_MORE if self.particulars is UNSET else self.particulars

    @property
    def zone(self) -> str | None:
        """Its time zone, if it is known."""
        return self.more.zone

    @property
    def status(self) -> ConcertStatus:
        """Where it is in its life."""
        if self.said is not UNSET:
            return self.said
        return ConcertStatus.LISTED if self.listed else ConcertStatus.UNLISTED

    @property
    def revision(self) -> int:
        """How often it was changed."""
        return 0 if self.changed is UNSET else self.changed

    @property
    def reason(self) -> str | None:
        """Why it is postponed or cancelled, if it is."""
        return None if self.why is UNSET else self.why

    @property
    def organizer(self) -> str:
        """Whose it is."""
        return DEFAULT_ORGANIZER if self.organizer_id is UNSET else self.organizer_id

    @property
    def over_at(self) -> datetime:
        """From when on nothing is sold: its end; without one the time at which it begins, or the end of its day."""
        if self.ends_at is None:
            return dates.ends(self.date, zone=self.zone)
        return dates.ends(self.ends_at, as_in=self.date, zone=self.zone)

    @property
    def begins(self) -> datetime:
        """When it begins: the time, or the day there."""
        return dates.begins(self.date, self.zone)

    @property
    def last_day(self) -> str:
        """The last day of it, there where it is."""
        return dates.local_day(self.ends_at or self.date)

    def is_on_from(self, since: str) -> bool:
        """Is it on at this time or later, or on this day there or later?"""
        if dates.is_day(since):
            return self.last_day >= since
        moment = dates.begins(since)
        return self.over_at > moment or self.begins >= moment

    def is_on_until(self, until: str) -> bool:
        """Does it begin by this time, or by the end of this day there?"""
        if dates.is_day(until):
            return dates.local_day(self.date) <= until
        return self.begins <= dates.begins(until)

    @property
    def cancellable_until(self) -> datetime:
        """From when on only the organizer can cancel an order."""
        return self.begins if self.cancel_until is None else self.cancel_until

    def plan(self, section: str) -> SectionPlan:
        """The section's plan. Raises SectionNotFound."""
        for plan in self.sections:
            if plan.id == section:
                return plan
        raise SectionNotFound(self.id, section)

    def offered(self, prices: Mapping[str, Money]) -> tuple[SectionPlan, ...]:
        """The sections that an order which names none can get: the cheapest first, of equal ones that listed first.

        `prices` are those that differ by now from what was scheduled. A section that is free of charge is had only by
        name, unless all of them are: nobody gets free tickets by chance.
        """
        amounts = {plan.id: prices.get(plan.id, plan.price).amount for plan in self.sections}
        paid = [plan for plan in self.sections if amounts[plan.id]]
        return tuple(sorted(paid or self.sections, key=lambda plan: amounts[plan.id]))


def schedule(concert: Concert) -> Decision[Concert]:
    """Put a concert on."""
    scheduled = ConcertScheduled(
        concert_id=concert.id,
        artist=concert.artist,
        date=concert.date,
        venue=concert.venue,
        sections=concert.sections,
        on_sale_at=concert.on_sale_at,
        max_per_order=concert.max_per_order,
        listed=concert.listed,
        ends_at=concert.ends_at,
        cancel_until=concert.cancel_until,
        organizer_id=concert.organizer_id,
        particulars=concert.particulars,
        status=concert.said,
        max_per_buyer=concert.max_per_buyer,
    )
    return Decision(as_scheduled(scheduled), (scheduled,))


def as_scheduled(event: ConcertScheduled) -> Concert:
    """The concert as it was put on."""
    return Concert(
        id=event.concert_id,
        artist=event.artist,
        date=event.date,
        venue=event.venue,
        sections=event.sections,
        on_sale_at=event.on_sale_at,
        max_per_order=event.max_per_order,
        listed=event.listed,
        ends_at=event.ends_at,
        cancel_until=event.cancel_until,
        organizer_id=event.organizer_id,
        particulars=event.particulars,
        said=event.status,
        max_per_buyer=event.max_per_buyer,
    )


def check_currency(concert: Concert, most: Money, *, field: str = "maxPrice") -> None:
    """Is the most that a seat, or all, may cost in the currency of the prices? Raises OtherCurrency."""
    currency = concert.sections[0].price.currency
    if currency != most.currency:
        raise OtherCurrency(concert.id, currency, field=field)


def check_price(concert: Concert, max_price: Money, price: Money) -> None:
    """May a seat cost this? Raises OtherCurrency, PriceTooHigh."""
    check_currency(concert, max_price)
    if price.amount > max_price.amount:
        raise PriceTooHigh(concert.id, max_price=max_price, price_from=price)


def check_on_sale(concert: Concert, *, quantity: int, now: datetime, till: Till | None = None) -> None:
    """May this be ordered at all? At the box office (`till`) the limits of an order are not those of buyers, nor is the
    time of the sale, if that is said.

    Raises ConcertNotFound for a draft, CalledOff, SalePaused, ConcertOver, NotOnSale, SaleEnded, UnderTheMinimum,
    OverTheLimit.
    """
    if concert.said is not UNSET:
        _check_status(concert)
    if now >= concert.over_at:
        raise ConcertOver(concert.id, concert.over_at)
    if till is not None:
        _check_at_office(concert, till, quantity=quantity, now=now)
        return
    _check_time(concert, now)
    more = concert.more
    if more.min_per_order is not None and quantity < more.min_per_order:
        raise UnderTheMinimum(concert.id, wanted=quantity, least=more.min_per_order)
    if quantity > concert.max_per_order:
        raise OverTheLimit(concert.id, wanted=quantity, limit=concert.max_per_order)


def _check_time(concert: Concert, now: datetime) -> None:
    if concert.on_sale_at is not None and now < concert.on_sale_at:
        raise NotOnSale(concert.id, concert.on_sale_at)
    off_sale_at = concert.more.off_sale_at
    if off_sale_at is not None and now >= off_sale_at:
        raise SaleEnded(concert.id, off_sale_at)


def _check_at_office(concert: Concert, till: Till, *, quantity: int, now: datetime) -> None:
    if not till.any_time:
        _check_time(concert, now)
    if quantity > MOST_AT_OFFICE:
        raise OverTheLimit(concert.id, wanted=quantity, limit=MOST_AT_OFFICE)


def _check_status(concert: Concert) -> None:
    match concert.status:
        case ConcertStatus.DRAFT:
            raise ConcertNotFound(concert.id)
        case ConcertStatus.CANCELLED:
            raise CalledOff(concert.id, concert.reason)
        case ConcertStatus.POSTPONED:
            raise SalePaused(concert.id)


class Status(StrEnum):
    """Where a reservation is in its life."""

    HELD = "Held"
    SOLD = "Sold"
    RELEASED = "Released"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.HELD: frozenset({Status.SOLD, Status.RELEASED}),
    Status.SOLD: frozenset({Status.RELEASED}),
    Status.RELEASED: frozenset(),
}


class Answered(StrEnum):
    """What became of the money for a reservation that is Released."""

    REFUSED = "refused"
    """It came too late, and went back."""
    SOLD = "sold"
    """It got the seats, which were given back when the order was cancelled."""


class Returned(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Seats that were given back, and when."""

    tickets: int
    at: datetime
    numbers: tuple[int, ...] | UnsetType = UNSET
    """Which, where seats have numbers: the reservation's first is 1."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Some seats of one section, held for somebody, sold to them, or given back."""

    id: str
    concert_id: str
    section: str
    quantity: int
    order_id: str | None
    expires_at: datetime
    status: Status = Status.HELD
    released_for: ReleaseReason | None = None
    successor: str | None = None
    """The reservation that money which came too late got instead of this one."""
    closed: bool = False
    """The order was cancelled on purpose: money that still comes gets no seats."""
    answered: Answered | UnsetType = UNSET
    """What became of its money, where the status doesn't say so: it gets no other end however often it is told of."""
    buyers: BuyerKeys | UnsetType = UNSET
    """Whose tickets they count as, where the concert has a limit for each buyer; the hashes are in no event."""
    price: Money | UnsetType = UNSET
    """Of one seat, where the section's was changed before; unset: the one that was scheduled."""
    returns: Mapping[int, Returned] | UnsetType = UNSET
    """Seats of a sold one that were given back, by the number of the order's part refund; unset: none were."""
    bill: Bill | UnsetType = UNSET
    """What its seats cost, where there is a price list or a code; unset: so many times the price."""
    priced: Priced | UnsetType = UNSET
    """By what the bill was made."""
    block: str | UnsetType = UNSET
    """Out of which block they are, if out of one."""
    numbered_seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    """Which seats, in a numbered section."""
    moved: tuple[str, ...] | UnsetType = UNSET
    """The ids of the moves by which some of them became others, in order; unset: none did."""
    offered: bool | UnsetType = UNSET
    """It was held for somebody who waited for it. In no event of the reservation: SeatsOffered says it."""

    @property
    def code(self) -> str | None:
        """The discount code that it uses, if any."""
        return None if self.bill is UNSET else self.bill.code

    @property
    def kept(self) -> int:
        """Its seats but for those that were given back."""
        return (
            self.quantity
            if self.returns is UNSET
            else self.quantity - sum(each.tickets for each in self.returns.values())
        )

    @property
    def kept_numbers(self) -> tuple[int, ...]:
        """The tickets with numbered seats that were not given back. A seat that was may be another ticket's by now."""
        back = {number for each in (self.returns or {}).values() for number in each.numbers or ()}
        return tuple(number for number in range(1, len(self.numbered_seats or ()) + 1) if number not in back)

    @property
    def kept_seats(self) -> tuple[NumberedSeat, ...]:
        """Its numbered seats but for those that were given back."""
        if self.numbered_seats is UNSET or self.returns is UNSET:
            return self.numbered_seats or ()
        back = {number for each in self.returns.values() for number in each.numbers or ()}
        return tuple(seat for number, seat in enumerate(self.numbered_seats, 1) if number not in back)

    @property
    def allocation(self) -> Allocation:
        """Its seats, as they are handed on."""
        return Allocation(
            concert_id=self.concert_id,
            section=self.section,
            reservation_id=self.id,
            quantity=self.quantity,
            numbered_seats=self.numbered_seats,
            moves=UNSET if self.moved is UNSET else len(self.moved),
        )

    def is_live(self, now: datetime) -> bool:
        """Does it keep its seats from others?"""
        return self.status is Status.SOLD or (self.status is Status.HELD and now < self.expires_at)


def check_same_request(
    held: Reservation,
    *,
    quantity: int,
    section: str | None,
    terms: pricing.Terms | None = None,
    seats: Sequence[str] = (),
) -> None:
    """Is it what is asked for, in the section named, if one is? Raises HeldOtherwise."""
    is_other = terms is not None and held.bill is not UNSET and not _is_for(held.bill, terms, quantity)
    if seats and held.moved is UNSET:
        is_other = is_other or {seat.id for seat in held.numbered_seats or ()} != set(seats)
    if held.quantity != quantity or section not in (None, held.section) or is_other:
        raise HeldOtherwise(held.order_id or held.id, wanted=quantity, held=held.quantity, section=held.section)


def _is_for(bill: Bill, terms: pricing.Terms, quantity: int) -> bool:
    """Is it the bill of these tickets, with this code?"""
    code = None if terms.code is None else terms.code.code
    if not terms.wish.tickets:
        return bill.code == code and len(bill.lines) == 1
    return bill.code == code and set(bill.tickets) == set(pricing.counted(terms.pricing, terms.wish, quantity))


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The seats of one section. total = available + held + sold + held back, at any time."""

    concert_id: str
    id: str
    price: Money
    total: int
    sold: int = 0
    held: Mapping[int, int] = msgspec.field(default_factory=dict)
    """Seats held until which second since 1970; those whose second has come are held no more."""
    as_of: datetime | None = None
    """The latest time at which seats were given to somebody."""
    changed: int | UnsetType = msgspec.field(default=UNSET, name="changes")
    """How often seats or price were changed; unset: never."""
    closed: bool | UnsetType = UNSET
    """The concert is called off: nobody gets seats. In no event: the concert's says it."""
    blocks: Blocks | UnsetType = UNSET
    """Seats that are held back; unset: none ever were."""
    waiting: int | UnsetType = UNSET
    """Who waits for seats of it; unset: nobody ever did."""

    numbered: SeatMap | UnsetType = UNSET
    """Which seats are whose, where they have numbers."""

    @property
    def its_blocks(self) -> Blocks:
        """The blocks that were not let go."""
        return {} if self.blocks is UNSET else self.blocks

    @property
    def changes(self) -> int:
        """How often seats or price were changed."""
        return 0 if self.changed is UNSET else self.changed

    def moment(self, now: datetime) -> datetime:
        """The time here: it never goes back. A clock that does must not bring holds to life whose seats others have."""
        return now if self.as_of is None or now >= self.as_of else self.as_of

    def held_seats(self, now: datetime) -> int:
        """Seats held at `now`."""
        second = self.moment(now).timestamp()
        return sum(seats for until, seats in self.held.items() if second < until)

    def available(self, now: datetime) -> int:
        """Seats that can be had at `now`."""
        left = self.total - self.sold - self.held_seats(now)
        if self.blocks is not UNSET:
            left -= self.held_back(now)
        return left if self.numbered is UNSET else left - len(self.numbered.blocked)

    def available_to_all(self, now: datetime) -> int:
        """Seats that somebody can have at `now` who asks for no wheelchair place."""
        if self.numbered is UNSET:
            return self.available(now)
        return numbered.free_to_all(self.numbered, self.total, self.moment(now).timestamp())

    def held_back(self, now: datetime) -> int:
        """Seats that are held back at `now`."""
        return 0 if self.blocks is UNSET else blocks.held_back(self.blocks, self.moment(now))

    def taken(self, now: datetime) -> int:
        """Seats that somebody has at `now`: sold or held."""
        return self.sold + self.held_seats(now)

    def next_more(self, now: datetime) -> datetime | None:
        """When more seats can be had, if nothing happens: holds or blocks end. None: then never."""
        back = self.next_back(now)
        if self.blocks is UNSET:
            return back
        moment = self.moment(now)
        ends = [block.ends_at for block in self.blocks.values() if block.left and block.is_live(moment)]
        return min([*ends, *([] if back is None else [back])], default=None)

    def next_back(self, now: datetime) -> datetime | None:
        """When the next seats come back, if they are not paid; None: none are held."""
        second = self.moment(now).timestamp()
        ends = [until for until in self.held if second < until]
        return datetime.fromtimestamp(min(ends), UTC) if ends else None


def unavailable(concert_id: str, sections: Sequence[Section], *, wanted: int, now: datetime) -> SeatsUnavailable:
    """Why none of these sections, of which there is at least one, has so many seats."""
    held = [section.held_seats(now) for section in sections]
    waiting = sum(section.waiting or 0 for section in sections)
    left = [0 if section.waiting else section.available_to_all(now) for section in sections]
    best = max(range(len(sections)), key=left.__getitem__)
    back = [at for section, seats in zip(sections, held, strict=True) if seats and (at := section.next_back(now))]
    return SeatsUnavailable(
        concert_id,
        wanted=wanted,
        left=max(0, left[best]),
        section=sections[best].id,
        held=sum(held),
        held_until=min(back, default=None),
        waiting=waiting,
    )


def empty_section(concert: Concert, section: str) -> Section:
    """A section that nobody has touched yet."""
    return untouched(concert.id, concert.plan(section))


def untouched(concert_id: str, plan: SectionPlan) -> Section:
    """The section of this plan before anybody has touched it."""
    section = Section(concert_id=concert_id, id=plan.id, price=plan.price, total=plan.total_seats)
    if plan.plan is UNSET:
        return section
    none_taken = SeatMap(
        plan=plan.plan.digest, zone=plan.plan.zone, taken=bytes((plan.total_seats + 7) >> 3), aside=plan.plan.aside
    )
    return msgspec.structs.replace(section, numbered=none_taken)


class Choice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The one section in which a reservation may have seats, where no store keeps it from having some in two."""

    reservation_id: str
    concert_id: str
    section: str


class Seating(msgspec.Struct, frozen=True, gc=False):
    """A section and those of its reservations that a batch of commands looks at."""

    section: Section
    reservations: Mapping[str, Reservation]
    hall: Hall | None = None
    """Of a numbered section: where its seats are. It does not change."""


def evolve(seating: Seating, event: Event) -> Seating:
    """The seats after this fact; they are counted nowhere else. Raises ValueError where NEXT does not lead there."""
    section = seating.section
    match event:
        case SeatsReserved():
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
            reservation = Reservation(
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
            return Seating(msgspec.structs.replace(blocked, changed=event.change), seating.reservations)
        case _:
            section = _changed_by(section, event)
            return seating if section is seating.section else Seating(section, seating.reservations)
    return Seating(section, {**seating.reservations, reservation.id: reservation})


def _changed_by(section: Section, event: Event) -> Section:
    """The section after a fact that is about none of its reservations."""
    match event:
        case SeatsAdded() | SeatsTaken():
            return msgspec.structs.replace(section, total=event.total_seats, changed=event.change)
        case PriceChanged():
            return msgspec.structs.replace(section, price=event.price, changed=event.change)
        case SeatsHeldBack() | SeatsLetGo():
            kept = blocks.evolve(section.its_blocks, event)
            return msgspec.structs.replace(section, blocks=kept, changed=event.change)
        case WaitingListJoined():
            return msgspec.structs.replace(section, waiting=(section.waiting or 0) + 1)
        case WaitingListLeft() | SeatsOffered():
            return msgspec.structs.replace(section, waiting=(section.waiting or 0) - 1)
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


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Command: hold seats for somebody."""

    reservation_id: str
    order_id: str | None
    quantity: int
    hold_seconds: float
    over_at: datetime | None = None
    """When the concert is over."""
    max_amount: int | None = None
    """The most that one seat may cost, in the concert's currency."""
    buyers: BuyerKeys = ()
    """Whose tickets they count as."""
    claim_ends: datetime | None = None
    """Until when the seats may be taken by the claim that was made for them; None: none is needed."""
    terms: pricing.Terms | None = None
    """By what they are priced, where there is a price list or a code."""
    revision: int = 0
    """Of the concert that said so."""
    block: str | None = None
    """Out of which block of seats that are held back; None: of those that anybody can have."""
    waited: int | None = None
    """The place on the waiting list of whoever gets them; None: they did not wait."""
    seats: tuple[str, ...] = ()
    """The ids of numbered seats; none: in a numbered section the best that are free."""
    wheelchairs: int = 0
    """How many of the places have to be for wheelchairs."""


class Sell(msgspec.Struct, frozen=True, gc=False):
    """Command: money came for this reservation."""

    reservation_id: str
    order_id: str
    payment_round: int
    over_at: datetime | None = None
    """When the concert is over: money that comes later than its hold gets no seats then."""
    payment_attempts: int = 0
    paid_at: datetime | None = None
    again: bool = False
    """This was told before: somebody seems not to have heard what came of it."""
    seats_again: bool = True
    """May it get other seats, if it comes late? Not where its buyer has as many tickets as they may by now."""
    claim_ends: datetime | None = None
    """Until when other seats may be taken by the claim that was made for them; None: none was."""


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """Command: the order of this reservation was cancelled; `on_purpose`: somebody asked for that."""

    reservation_id: str
    reason: ReleaseReason
    on_purpose: bool


class Return(msgspec.Struct, frozen=True, gc=False):
    """Command: some seats of this sold reservation are given back, by this part refund of its order."""

    reservation_id: str
    order_id: str
    number: int
    tickets: int
    again: bool = False
    """This was told before: somebody seems not to have heard what came of it."""
    numbers: tuple[int, ...] = ()
    """Which tickets, where seats have numbers; none said: the last."""


class Expire(msgspec.Struct, frozen=True, gc=False):
    """Command: publish that this reservation's time is over, if it is."""

    reservation_id: str


class ChangeSection(msgspec.Struct, frozen=True, gc=False):
    """Command: so many seats, or such a price, from now on; None: as it is."""

    changed_by: str
    expected: int | None
    """How often the section was changed when whoever asks looked at it; None: however often."""
    total: int | None = None
    price: Money | None = None


class Close(msgspec.Struct, frozen=True, gc=False):
    """Command: the concert is called off, so nobody gets seats any more."""


class BlockSeats(msgspec.Struct, frozen=True, gc=False):
    """Command: nobody gets these numbered seats, for this reason; None: they can be had again."""

    changed_by: str
    seats: tuple[str, ...]
    """Their ids."""
    reason: str | None


SectionCommand = ChangeSection | Close | BlockSeats
"""About the section itself, not about a reservation."""
Command = Hold | Sell | Cancel | Return | Expire


class UnknownReservation(Exception):
    """The reservation that a command is about isn't there."""


class LateSeatsUnclaimed(Exception):
    """Money that came late could get other seats, of which its buyer, or its code, may have so many only: claim them
    first.
    """

    def __init__(self, again: Reservation, buyers: BuyerKeys) -> None:
        super().__init__(again.id)
        self.again = again
        self.buyers = buyers


def decide(seating: Seating, command: Command, now: datetime) -> Decision[Seating]:
    """What a command does to the seats, if anything. Raises refusals, UnknownReservation."""
    now = seating.section.moment(now)
    match command:
        case Hold():
            return hold(seating, command, now)
        case Sell():
            return sell(seating, command, now)
        case Cancel():
            return cancel(seating, command)
        case Return():
            return give_back(seating, command, now)
        case Expire():
            return expire(seating, command, now)


def _known(seating: Seating, reservation_id: str) -> Reservation:
    try:
        return seating.reservations[reservation_id]
    except KeyError:
        raise UnknownReservation(reservation_id) from None


def _decided(seating: Seating, *events: Event) -> Decision[Seating]:
    return Decision(_after(seating, events), events)


def _after(seating: Seating, events: Sequence[Event]) -> Seating:
    for event in events:
        seating = evolve(seating, event)
    return seating


def _given_at(now: datetime, seating: Seating) -> Seating:
    """Seats were given to somebody at `now`, on which holds count as ended that had ended by then."""
    return Seating(msgspec.structs.replace(seating.section, as_of=now), seating.reservations)


def hold(seating: Seating, request: Hold, now: datetime) -> Decision[Seating]:
    """Hold the seats, once.

    Raises CalledOff, ConcertOver, HeldElsewhere, HoldEnded, PriceTooHigh, SeatsUnavailable, what `pricing.bill` raises.
    """
    if seating.section.closed is True:
        raise CalledOff(seating.section.concert_id)
    before = seating.reservations.get(request.reservation_id)
    if before is not None:
        if before.concert_id != seating.section.concert_id:
            raise HeldElsewhere(before.id, concert_id=before.concert_id)
        if not before.is_live(now):
            raise HoldEnded(before.id)
        return Decision(seating)
    section = seating.section
    if request.over_at is not None and now >= request.over_at:
        raise ConcertOver(section.concert_id, request.over_at)
    seats = _room_for(seating, request, now)
    bill, priced = (UNSET, UNSET) if request.terms is None else _priced(section, request, request.terms, now)
    price = section.price if bill is UNSET else dearest(bill)
    if request.max_amount is not None and price.amount > request.max_amount:
        most = msgspec.structs.replace(price, amount=request.max_amount)
        raise PriceTooHigh(section.concert_id, max_price=most, price_from=price)
    if request.claim_ends is not None and now >= request.claim_ends:
        raise Busy("The seats could not be held in time.")
    reserved = SeatsReserved(
        allocation=Allocation(
            concert_id=section.concert_id,
            section=section.id,
            reservation_id=request.reservation_id,
            quantity=request.quantity,
            numbered_seats=seats,
        ),
        order_id=request.order_id,
        expires_at=whole_second_after(now, request.hold_seconds),
        price=_price_kept(section),
        bill=bill,
        priced=priced,
        block=request.block or UNSET,
    )
    after = _given_at(now, evolve(seating, reserved))
    if request.buyers:
        after = _of_buyers(after, request.reservation_id, request.buyers)
    if section.blocks is UNSET:
        return Decision(after, (reserved,))
    gone = blocks_let_go(after.section, now)
    return Decision(_after(after, gone), (reserved, *gone))


def _room_for(seating: Seating, request: Hold, now: datetime) -> tuple[NumberedSeat, ...] | UnsetType:
    """The numbered seats that somebody gets; unset in a section by quantity, which has room for them.

    Raises BlockNotFound, BlockTooSmall, Invalid, SeatsNotFree, SeatsUnavailable.
    """
    section = seating.section
    if request.block is not None:
        blocks.check_room(section.its_blocks, request.block, request.quantity, now)
    elif section.waiting and request.waited is None:
        raise unavailable(section.concert_id, (section,), wanted=request.quantity, now=now)
    if section.numbered is not UNSET:
        return _seats_for(seating, section.numbered, request, now)
    if request.block is None and request.quantity > section.available(now):
        raise unavailable(section.concert_id, (section,), wanted=request.quantity, now=now)
    if request.seats or request.wheelchairs:
        field = "seats" if request.seats else "wheelchairs"
        raise Invalid((field, f"the seats of section {section.id!r} have no numbers"))
    return UNSET


def blocks_let_go(section: Section, now: datetime) -> list[SeatsLetGo]:
    """The blocks whose rule says that they go, with so few seats left in the section."""
    few = blocks.few_are_left(section.its_blocks, available=section.available(now), now=now)
    return [
        SeatsLetGo(
            concert_id=section.concert_id,
            section=section.id,
            change=section.changes + number,
            changed_by=blocks.BY_RULE,
            block=id,
            seats=block.left,
            reason=LetGoReason.FEW_LEFT,
        )
        for number, (id, block) in enumerate(few, 1)
    ]


def _seats_for(seating: Seating, seats: SeatMap, request: Hold, now: datetime) -> tuple[NumberedSeat, ...]:
    """The numbered seats that somebody gets. Raises Invalid, SeatsNotFree, SeatsUnavailable."""
    section, hall = seating.section, _hall_of(seating)
    free = numbered.free_bits(seats, section.total, section.moment(now).timestamp())
    try:
        if request.seats:
            return numbered.named(hall, free, request.seats, request.wheelchairs)
        if request.quantity > free.bit_count():
            raise unavailable(section.concert_id, (section,), wanted=request.quantity, now=now)
        return numbered.best(hall, free, request.quantity, request.wheelchairs)
    except NotFree as taken:
        raise SeatsNotFree(section.concert_id, taken.ids) from None
    except NotEnoughSeats as few:
        if few.of != "seats":
            raise SeatsUnavailable(section.concert_id, wanted=few.wanted, left=few.left, section=section.id) from None
        raise unavailable(section.concert_id, (section,), wanted=request.quantity, now=now) from None


def _hall_of(seating: Seating) -> Hall:
    if seating.hall is None:
        raise TypeError(f"section {seating.section.id!r} is numbered, and nobody said where its seats are")
    return seating.hall


def _priced(section: Section, request: Hold, terms: pricing.Terms, now: datetime) -> tuple[Bill, Priced]:
    """The bill of these seats. Raises what `pricing.bill` raises."""
    taken = section.taken(now) + request.quantity
    place = pricing.Place(section.concert_id, section.id, section.price, taken, now)
    bill = pricing.bill(terms, place, request.quantity)
    return bill, Priced(revision=request.revision, at=now, taken=taken)


def dearest(bill: Bill) -> Money:
    """What the dearest of these tickets costs, before discount, fees and taxes that are added."""
    return Money(max(line.price for line in bill.lines), bill.currency)


def _of_buyers(seating: Seating, reservation_id: str, buyers: BuyerKeys) -> Seating:
    """The hashes are in no event, so they are not for `evolve`."""
    reservation = msgspec.structs.replace(seating.reservations[reservation_id], buyers=buyers)
    return Seating(seating.section, {**seating.reservations, reservation_id: reservation})


def _price_kept(section: Section) -> Money | UnsetType:
    """What a new reservation notes of its price: nothing while it is the one that was scheduled."""
    return UNSET if section.changed is UNSET else section.price


def _sold(reservation: Reservation, sale: Sell) -> SeatsSold:
    return SeatsSold(
        allocation=reservation.allocation,
        order_id=sale.order_id,
        payment_round=sale.payment_round,
        payment_attempts=sale.payment_attempts,
        paid_at=sale.paid_at,
    )


def _released(reservation: Reservation, reason: ReleaseReason) -> SeatsReleased:
    return SeatsReleased(
        allocation=reservation.allocation,
        order_id=reservation.order_id,
        reason=reason,
    )


def sell(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
    """Sell the seats that are held; after their time, other ones or none. Raises UnknownReservation."""
    reservation = _known(seating, sale.reservation_id)
    if reservation.status is Status.SOLD or reservation.successor is not None or reservation.answered is not UNSET:
        return _told_again(seating, reservation, sale) if sale.again else Decision(seating)
    if seating.section.closed is True:
        return _refuse_called_off(seating, reservation, sale)
    if reservation.status is Status.HELD and reservation.is_live(now):
        return _decided(seating, _sold(reservation, sale))
    return seat_late_money(seating, reservation, sale, now)


def _told_again(seating: Seating, reservation: Reservation, sale: Sell) -> Decision[Seating]:
    """What came of this money, once more: nothing is sold or refused a second time."""
    if reservation.answered is Answered.REFUSED:
        was_called_off = reservation.released_for is ReleaseReason.CALLED_OFF
        return Decision(seating, (_refused(reservation, sale, called_off=was_called_off),), again=True)
    if reservation.successor is not None:
        reservation = _known(seating, reservation.successor)
    if reservation.status is not Status.SOLD:
        return Decision(seating)
    return Decision(seating, (_sold(reservation, sale),), again=True)


def _refused(reservation: Reservation, sale: Sell, *, called_off: bool = False) -> SaleRefused:
    return SaleRefused(
        allocation=reservation.allocation,
        order_id=sale.order_id,
        payment_round=sale.payment_round,
        called_off=called_off or UNSET,
    )


def _refuse_called_off(seating: Seating, reservation: Reservation, sale: Sell) -> Decision[Seating]:
    """The concert is called off, so the money goes back, held or not."""
    events: list[Event] = []
    if reservation.status is Status.HELD:
        events.append(_released(reservation, ReleaseReason.CALLED_OFF))
    return _decided(seating, *events, _refused(reservation, sale, called_off=True))


def seat_late_money(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
    """The hold has ended and the money came all the same: other seats if there are any, else a refund."""
    events: list[Event] = []
    if ended.status is Status.HELD:
        events.append(_released(ended, ReleaseReason.EXPIRED))
    is_over = sale.over_at is not None and now >= sale.over_at
    # What comes back belongs to those who wait.
    is_refused = ended.closed or is_over or not sale.seats_again or bool(seating.section.waiting)
    if is_refused or (seats := _seats_again(seating, ended, now)) is None:
        events.append(_refused(ended, sale))
        return _decided(seating, *events)
    # It was paid for at the price of then, whatever seats cost by now.
    id = f"{ended.id}.{sale.payment_round}"
    again = msgspec.structs.replace(ended, id=id, numbered_seats=seats, moved=UNSET)
    if (ended.buyers or ended.code) and (sale.claim_ends is None or now >= sale.claim_ends):
        raise LateSeatsUnclaimed(again, () if ended.buyers is UNSET else ended.buyers)
    events.append(
        SeatsReserved(
            allocation=again.allocation,
            order_id=sale.order_id,
            expires_at=whole_second_after(now, 1),
            price=ended.price,
            bill=ended.bill,
            priced=ended.priced,
        )
    )
    events.append(_sold(again, sale))
    after = _given_at(now, _after(seating, events))
    reservations = dict(after.reservations)
    reservations[ended.id] = msgspec.structs.replace(reservations[ended.id], successor=again.id)
    if ended.buyers:
        reservations[again.id] = msgspec.structs.replace(reservations[again.id], buyers=ended.buyers)
    late = Seating(after.section, reservations)
    gone = blocks_let_go(late.section, now)
    return Decision(_after(late, gone), [*events, *gone])


def _seats_again(seating: Seating, ended: Reservation, now: datetime) -> tuple[NumberedSeat, ...] | UnsetType | None:
    """The seats for money that came late, unset in a section by quantity; None: there are not enough."""
    section = seating.section
    if section.available(now) < ended.quantity:
        return None
    if section.numbered is UNSET or ended.numbered_seats is UNSET:
        return UNSET
    free = numbered.free_bits(section.numbered, section.total, section.moment(now).timestamp())
    try:
        return numbered.same_or_best(_hall_of(seating), free, ended.numbered_seats)
    except NotEnoughSeats:
        return None


def sale_outlook(seating: Seating, reservation_id: str, *, over_at: datetime, now: datetime) -> SaleOutlook:
    """What would come of money for this reservation, if it came now: the sale is decided, and nothing of it kept."""
    now = seating.section.moment(now)
    left = seating.section.available(now)
    reservation = seating.reservations.get(reservation_id)
    if reservation is None:
        return SaleOutlook(Outlook.GONE, left)
    if reservation.closed:
        return SaleOutlook(Outlook.CANCELLED, left)
    if reservation.status is Status.SOLD or reservation.successor is not None:
        return SaleOutlook(Outlook.SOLD, left)
    if reservation.answered is Answered.REFUSED or seating.section.closed is True:
        return SaleOutlook(Outlook.GONE, left)
    sale = Sell(
        reservation.id, reservation.order_id or "", 0, over_at=over_at, claim_ends=datetime.max.replace(tzinfo=UTC)
    )
    if not any(isinstance(event, SaleRefused) for event in decide(seating, sale, now).events):
        return SaleOutlook(Outlook.POSSIBLE, left)
    return SaleOutlook(Outlook.OVER, left, over_at) if now >= over_at else SaleOutlook(Outlook.GONE, left)


def cancel(seating: Seating, cancellation: Cancel) -> Decision[Seating]:
    """Give the seats back. Only a cancellation on purpose takes back sold seats, and refuses late money.

    Raises UnknownReservation.
    """
    reservation = _known(seating, cancellation.reservation_id)
    chain = [reservation]
    if reservation.successor is not None:
        chain.append(_known(seating, reservation.successor))
    losing = (Status.HELD, Status.SOLD) if cancellation.on_purpose else (Status.HELD,)
    events = [_released(each, cancellation.reason) for each in chain if each.status in losing]
    after = _after(seating, events)
    if not cancellation.on_purpose or reservation.closed:
        return Decision(after, events)
    reservations = dict(after.reservations)
    reservations[reservation.id] = msgspec.structs.replace(reservations[reservation.id], closed=True)
    return Decision(Seating(after.section, reservations), events)


def give_back(seating: Seating, back: Return, now: datetime) -> Decision[Seating]:
    """Some sold seats can be had again, once for each part refund. Of one that was cancelled, all are back anyway.

    Raises UnknownReservation, also while it is not sold.
    """
    reservation = _known(seating, back.reservation_id)
    if reservation.status is Status.HELD:
        raise UnknownReservation(back.reservation_id)
    before = None if reservation.returns is UNSET else reservation.returns.get(back.number)
    numbers: tuple[int, ...] | UnsetType = UNSET
    if reservation.numbered_seats is not UNSET:
        numbers = _numbers_back(reservation, back) if before is None else before.numbers
    returned = SeatsReturned(
        allocation=reservation.allocation,
        order_id=back.order_id,
        number=back.number,
        tickets=back.tickets,
        returned_at=now if before is None else before.at,
        numbers=numbers,
    )
    if before is not None:
        return Decision(seating, (returned,), again=True) if back.again else Decision(seating)
    if reservation.status is not Status.SOLD or back.tickets >= reservation.kept:
        return Decision(seating)
    return _decided(seating, returned)


def _numbers_back(reservation: Reservation, back: Return) -> tuple[int, ...]:
    """Which of its tickets are given back: those that are said, else the last that it has."""
    if back.numbers:
        return back.numbers
    return reservation.kept_numbers[-back.tickets :]


def expire(seating: Seating, expiry: Expire, now: datetime) -> Decision[Seating]:
    """Give back what is held, if its time is over. Raises UnknownReservation."""
    reservation = _known(seating, expiry.reservation_id)
    if reservation.status is not Status.HELD or reservation.is_live(now):
        return Decision(seating)
    return _decided(seating, _released(reservation, ReleaseReason.EXPIRED))
