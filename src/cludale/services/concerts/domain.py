"""Seat rules: holding, selling, releasing and giving back the seats of a section. No I/O, clock or HTTP."""

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.bills import Bill
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Invalid
from cludale.kernel.times import whole_second_after
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import (
    CalledOff,
    ConcertOver,
    HeldElsewhere,
    HoldEnded,
    PriceTooHigh,
    SeatsNotFree,
    SeatsUnavailable,
)
from cludale.services.concerts import numbered
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.events import (
    LetGoReason,
    Priced,
    ReleaseReason,
    SaleRefused,
    SeatsLetGo,
    SeatsReleased,
    SeatsReserved,
    SeatsReturned,
    SeatsSold,
)
from cludale.services.concerts.evolution import Seating, evolve, evolve_all
from cludale.services.concerts.numbered import Hall, NotFree, SeatMap
from cludale.services.concerts.prices import domain as pricing
from cludale.services.concerts.seating.picking import NotEnoughSeats
from cludale.services.concerts.stock import Answered, Reservation, Section, Status, unavailable


class Choice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The one section in which a reservation may have seats, where no store keeps it from having some in two."""

    reservation_id: str
    concert_id: str
    section: str


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
    """The buyers whose tickets these are counted as."""
    claim_ends: datetime | None = None
    """Until when the seats may be taken by the claim that was made for them; None: none is needed."""
    terms: pricing.Terms | None = None
    """The price list and code by which they are priced, if there are any."""
    revision: int = 0
    """Which revision of the concert said so."""
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
    return Decision(evolve_all(seating, events), events)


def as_of(now: datetime, seating: Seating) -> Seating:
    """Seats were given to somebody, or taken from all, at `now`: holds count as ended that had ended by then, and a
    clock that goes back brings none of them to life.
    """
    return Seating(msgspec.structs.replace(seating.section, as_of=now), seating.reservations, seating.hall)


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
    after = as_of(now, evolve(seating, reserved))
    if request.buyers:
        after = _of_buyers(after, request.reservation_id, request.buyers)
    if section.blocks is UNSET:
        return Decision(after, (reserved,))
    gone = blocks_let_go(after.section, now)
    return Decision(evolve_all(after, gone), (reserved, *gone))


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
    taken = numbered.taken_at(seats, section.moment(now).timestamp())
    try:
        if request.seats:
            return numbered.named(hall, taken, request.seats, request.wheelchairs)
        if request.quantity > hall.left(taken):
            raise unavailable(section.concert_id, (section,), wanted=request.quantity, now=now)
        return numbered.best(hall, taken, request.quantity, request.wheelchairs)
    except NotFree as those:
        raise SeatsNotFree(section.concert_id, those.ids) from None
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
    place = pricing.PricedPlace(section.concert_id, section.id, section.price, taken, now)
    bill = pricing.bill(terms, place, request.quantity)
    return bill, Priced(revision=request.revision, at=now, taken=taken)


def dearest(bill: Bill) -> Money:
    """What the dearest of these tickets costs, before discount, fees and taxes that are added."""
    return Money(max(line.price for line in bill.lines), bill.currency)


def _of_buyers(seating: Seating, reservation_id: str, buyers: BuyerKeys) -> Seating:
    """The hashes are in no event, so they are not for `evolve`."""
    reservation = msgspec.structs.replace(seating.reservations[reservation_id], buyers=buyers)
    return Seating(seating.section, {**seating.reservations, reservation_id: reservation}, seating.hall)


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
    after = as_of(now, evolve_all(seating, events))
    reservations = dict(after.reservations)
    reservations[ended.id] = msgspec.structs.replace(reservations[ended.id], successor=again.id)
    if ended.buyers:
        reservations[again.id] = msgspec.structs.replace(reservations[again.id], buyers=ended.buyers)
    late = Seating(after.section, reservations, seating.hall)
    gone = blocks_let_go(late.section, now)
    return Decision(evolve_all(late, gone), [*events, *gone])


def _seats_again(seating: Seating, ended: Reservation, now: datetime) -> tuple[NumberedSeat, ...] | UnsetType | None:
    """The seats for money that came late, unset in a section by quantity; None: there are not enough."""
    section = seating.section
    if section.available(now) < ended.quantity:
        return None
    if section.numbered is UNSET or ended.numbered_seats is UNSET:
        return UNSET
    taken = numbered.taken_at(section.numbered, section.moment(now).timestamp())
    try:
        return numbered.same_or_best(_hall_of(seating), taken, ended.numbered_seats)
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
    after = evolve_all(seating, events)
    if not cancellation.on_purpose or reservation.closed:
        return Decision(after, events)
    reservations = dict(after.reservations)
    reservations[reservation.id] = msgspec.structs.replace(reservations[reservation.id], closed=True)
    return Decision(Seating(after.section, reservations, seating.hall), events)


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
