"""Order rules: placing, reserving, paying, cancelling. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, NumberedSeat, OrderSeats, latest, seats_after
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.carts import cart_of
from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal, RefusedForNow
from cludale.kernel.tills import Till
from cludale.kernel.times import rfc3339
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargeState
from cludale.ports.contacts import Contact
from cludale.ports.seats import HeldOtherwise, HoldEnded, HoldRequest, SeatsHeld
from cludale.services.concerts.events import SeatsMoved, SeatsReturned
from cludale.services.orders import parts
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.events import (
    CancelReason,
    ConfirmationRequested,
    OrderAmended,
    OrderCancelled,
    OrderMoved,
    OrderPaid,
    OrderPlaced,
    OrderReseated,
    PartRefundRequested,
    PaymentRequested,
    TicketReserved,
)
from cludale.services.orders.parts import OrderRefund
from cludale.services.orders.privacy.domain import Particulars
from cludale.services.payments.events import (
    FailureReason,
    PartRefunded,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)


class TooLateToCancel(Refusal):
    """The time in which buyers of this concert can cancel is over."""

    def __init__(self, order_id: str, cancel_until: datetime) -> None:
        end = rfc3339(cancel_until)
        super().__init__(f"Order {order_id!r} could be cancelled until {end}.", cancelUntil=end)


class Status(StrEnum):
    """Where an order is in its life."""

    PENDING = "Pending"
    RESERVED = "Reserved"
    PAID = "Paid"
    CANCELLED = "Cancelled"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RESERVED, Status.CANCELLED}),
    Status.RESERVED: frozenset({Status.PAID, Status.CANCELLED}),
    Status.PAID: frozenset({Status.CANCELLED}),
    # Nobody asked for its cancellation, and then the money came after all: charged anew, or in the last moment.
    Status.CANCELLED: frozenset({Status.PAID}),
}


class Channel(StrEnum):
    """Where an order was sold."""

    ONLINE = "online"
    BOX_OFFICE = "box-office"
    COMPLIMENTARY = "complimentary"


class PaymentStatus(StrEnum):
    """How the money of an order stands, as its buyer sees it."""

    PENDING = "Pending"
    COMPLETED = "Completed"
    DECLINED = "Declined"
    FAILED = "Failed"
    REFUNDED = "Refunded"


_STAGE: Mapping[PaymentStatus, int] = {
    PaymentStatus.PENDING: 0,
    PaymentStatus.COMPLETED: 1,
    PaymentStatus.DECLINED: 1,
    PaymentStatus.FAILED: 1,
    PaymentStatus.REFUNDED: 2,
}
"""How far a round has come."""

_UNPAID: Mapping[PaymentStatus, CancelReason] = {
    PaymentStatus.DECLINED: CancelReason.DECLINED,
    PaymentStatus.FAILED: CancelReason.PAYMENT_FAILED,
}
"""Why an order is off whose hold ended after such a charge; after any other, payments decides."""


class OrderPayment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What an order knows of its money: how its latest round stands, since when, after how many attempts."""

    status: PaymentStatus
    at: datetime
    attempts: int = 0
    round: int = 1


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a buyer asks for."""

    concert_id: str
    user_id: str
    quantity: int
    section: str | None = None
    payment_method: str = "card-ok"
    email: str | None = None
    phone: str | None = None
    max_price: Money | None = None
    name: str | None = None
    language: str | None = None
    """Which the buyer reads; None: not known, or none that messages are in."""
    wish: PriceWish | None = None
    """Which tickets, by what code, if that is said."""
    address: str | None = None
    """The network address that it comes from, where that is counted; it is kept nowhere."""
    till: Till | None = None
    """How it is sold at the box office; None: a buyer orders it."""
    why_free: str | None = None
    """Why it costs nothing, where it is complimentary."""
    note: str | None = None
    """The organizer's own note."""
    billing: BillingAddress | None = None
    """Whom it is invoiced to."""
    waits: bool = False
    """It waits on the waiting list if there are no seats."""
    seats: tuple[str, ...] = ()
    """The ids of numbered seats, if some are named."""
    wheelchairs: int = 0
    """How many of the places have to be for wheelchairs."""

    @property
    def contact(self) -> Contact | None:
        """Where the buyer wants to be told, if anywhere."""
        return None if self.email is None and self.phone is None else Contact(self.email, self.phone)

    @property
    def known_by(self) -> Particulars:
        """By what the buyer may be known, as far as anything was left."""
        return Particulars(self.email, self.phone, self.name)

    @property
    def particulars(self) -> Particulars | None:
        """What is to be kept apart of the buyer, if anything."""
        left = (self.email, self.phone, self.name, self.why_free, self.billing)
        if left == _NOTHING_LEFT:
            return None
        return Particulars(
            self.email,
            self.phone,
            self.name,
            self.note,
            language=self.language,
            why_free=self.why_free,
            billing=self.billing,
        )


_NOTHING_LEFT = (None, None, None, None, None)


class Offer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Seats that are held for an order that waited for them."""

    section: str
    reservation_id: str
    price: Money
    expires_at: datetime
    cancel_until: datetime | None = None
    bill: Bill | None = None
    numbered_seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    """Which, in a numbered section."""


class Waits(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """That an order waits on a waiting list, and what it is offered."""

    joined_at: datetime | None = None
    """None: it is not known yet that it is on the list."""
    offer: Offer | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """An order. `total` comes with the seats."""

    id: str
    user_id: str
    status: Status
    payment_method: str
    created_at: datetime
    total: Money | None = None
    expires_at: datetime | None = None
    reason: CancelReason | None = None
    email: str | None = None
    phone: str | None = None
    """Both only where an earlier version wrote them: in clear, until the next sweep takes them away."""
    has_contact: bool = False
    """The buyer's address is kept apart, encrypted (`Personal`), or was erased there."""
    was_sealed: bool = False
    """Its address was taken away from here, which an earlier version had written: one write more."""
    max_price: Money | None = None
    """The most that one seat may cost."""
    cancel_until: datetime | None = None
    """From when on the buyer can't cancel, as the concert has it; None for orders of older versions."""
    payment: OrderPayment | None = None
    """None until it can be paid; and of an order that was reserved before this field existed."""
    due_at: datetime | None = None
    """When a Pending order asks for its seats again; when a Reserved one whose last charge failed is off; when a
    Paid one asks for its part refunds again; when a Cancelled one is compared, until it is known that it has neither
    money nor seats."""
    tries: int = 0
    traceparent: str | None = None
    """The trace of the buyer's request, kept for as long as the order is Pending."""
    was_paid: bool = False
    """Before it was cancelled."""
    requested_method: str | None = None
    """How the buyer wants to pay in the latest round, if it is not the first."""
    looks: int = 0
    """How often a look at it, or the end of the looks, was written down since it was cancelled; and how often it asked
    for a part refund again."""
    note: str | None = None
    """What the organizer tells of it, where the concert is called off."""
    moved: int = 0
    """The last change of the concert by which it was moved, as its buyer was told."""
    moved_until: datetime | None = None
    """From when on the buyer can't cancel since it was moved."""
    refunds: tuple[OrderRefund, ...] = ()
    """Its part refunds, as they were asked for."""
    amendments: int = 0
    """How often name, address or comment were changed, which are kept apart."""
    resends: int = 0
    """How often its confirmation was asked for again."""
    resent_at: datetime | None = None
    off_reachable: bool | None = None
    """Of an order whose address was changed after it was cancelled: had it one then?"""
    wish: PriceWish | None = None
    """Which tickets it wants, by what code, if that was said."""
    bill: Bill | None = None
    """What it costs, line by line, as it was when its seats were held; None: each ticket costs the same."""
    till: Till | None = None
    """How it was sold at the box office; None, as in orders of before this field: it was not."""
    back_by: str | None = None
    """Who gave its money back at the box office when it was cancelled, if that was somebody there."""
    waits: Waits | None = None
    """Of an order that waits for seats on a waiting list, or did; None, as before this field existed: of any other."""
    wanted_seats: tuple[str, ...] = ()
    """The ids of numbered seats, if it named some."""
    wheelchairs: int = 0
    """How many of its places have to be for wheelchairs."""
    seats: OrderSeats

    @property
    def cancellable_until(self) -> datetime | None:
        """From when on the buyer can't cancel; None for orders of older versions."""
        return self.cancel_until if self.moved_until is None else self.moved_until

    @property
    def allocation(self) -> Allocation | None:
        """Its seats; None while it has none."""
        return self.seats.allocation

    @property
    def held(self) -> int:
        """How many tickets are left of it, beside those that were given back."""
        return self.seats.quantity - parts.returned(self.refunds)

    @property
    def clear(self) -> Particulars:
        """The address that is here in clear."""
        return Particulars(self.email, self.phone)

    @property
    def is_settled(self) -> bool:
        """Is nothing under way: it has come to its end, or waits for its buyer?"""
        if self.status is Status.RESERVED:
            return self.payment is not None and self.payment.status in _UNPAID
        return self.status is not Status.PENDING or self.waits is not None

    @property
    def reachable(self) -> bool:
        """Did the buyer leave an address?"""
        return self.has_contact or self.has_clear_contact

    @property
    def has_clear_contact(self) -> bool:
        """Is the address here in clear, as earlier versions kept it?"""
        return self.email is not None or self.phone is not None


def channel(order: Order) -> Channel:
    """Where it was sold."""
    if order.till is None:
        return Channel.ONLINE
    return Channel.COMPLIMENTARY if order.till.is_complimentary else Channel.BOX_OFFICE


class NotReserved(Refusal):
    """Only an order that has seats and isn't paid can be paid."""

    def __init__(self, order: Order) -> None:
        super().__init__(
            f"Order {order.id!r} is {order.status}; only a Reserved order can be paid.", status=order.status
        )


class AlreadyPaid(Refusal):
    """The money is there."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"Order {order.id!r} is paid already.", status=order.status)


class ChargeOpen(RefusedForNow):
    """It isn't known yet what comes of the charge before."""

    def __init__(self, order: Order) -> None:
        since = None if order.payment is None else rfc3339(order.payment.at)
        super().__init__(f"A charge for order {order.id!r} is open; wait for its outcome.", since=since)


PaymentEvent = PaymentRequested | PaymentCompleted | PaymentFailed | PaymentRefunded
Reseating = SeatsMoved | OrderReseated
Amending = PartRefundRequested | PartRefunded | SeatsReturned | OrderAmended | ConfirmationRequested
OrderEvent = TicketReserved | OrderPaid | OrderCancelled | OrderMoved | PaymentEvent | Amending | Reseating


def as_placed(
    placed: OrderPlaced,
    *,
    at: datetime,
    payment_method: str = "",
    has_contact: bool = False,
    max_price: Money | None = None,
    wish: PriceWish | None = None,
    waits: bool = False,
) -> Order:
    """The order that was placed at `at`, still without seats. The event tells none of the other arguments."""
    return Order(
        id=placed.order_id,
        seats=OrderSeats(concert_id=placed.concert_id, quantity=placed.quantity, section=placed.section),
        user_id=placed.user_id,
        status=Status.PENDING,
        payment_method=payment_method,
        created_at=at,
        has_contact=has_contact,
        max_price=max_price,
        wish=wish,
        till=placed.till or None,
        waits=Waits() if waits else None,
    )


def evolve(order: Order, event: OrderEvent, *, at: datetime) -> Order:
    """The order after this fact, which happened at `at`.

    The log may tell of the same again, or of an earlier round: that changes nothing.
    """
    match event:
        case TicketReserved():
            return _after_reserved(order, event, at=at)
        case OrderPaid():
            return _after_paid(order, event)
        case OrderCancelled():
            return _after_cancelled(order, event)
        case OrderMoved():
            return after_moved(order, event)
        case SeatsMoved() | OrderReseated():
            order = msgspec.structs.replace(order, seats=seats_after(order.seats, event.allocation))
        case PaymentRequested() | PaymentCompleted() | PaymentFailed() | PaymentRefunded():
            return learn(order, money_told(event, at=at))
        case _:
            order = _amended(order, event, at=at)
    return order


def _after_reserved(order: Order, reserved: TicketReserved, *, at: datetime) -> Order:
    if order.status is not Status.PENDING:
        return order
    return msgspec.structs.replace(
        order,
        status=Status.RESERVED,
        payment_method=reserved.payment_method,
        seats=OrderSeats.of(reserved.allocation),
        total=reserved.total,
        expires_at=reserved.expires_at,
        cancel_until=reserved.cancel_until,
        bill=None if reserved.bill is UNSET else reserved.bill,
        payment=OrderPayment(status=PaymentStatus.PENDING, at=at),
        due_at=None,
        traceparent=None,
    )


def _after_paid(order: Order, paid: OrderPaid) -> Order:
    seats = OrderSeats.of(latest(order.seats, paid.allocation))
    return msgspec.structs.replace(order, status=Status.PAID, seats=seats, reason=None, due_at=None)


def _after_cancelled(order: Order, off: OrderCancelled) -> Order:
    if is_closed(order):
        return order
    if order.status is Status.CANCELLED:  # it had failed, and somebody cancels it on purpose
        return msgspec.structs.replace(order, reason=off.reason, note=off.note or None, back_by=off.seller or None)
    if order.status is Status.PAID and not off.was_paid:  # it had failed, and the money came after all
        return order
    return msgspec.structs.replace(
        order,
        status=Status.CANCELLED,
        reason=off.reason,
        due_at=None,
        traceparent=None,
        was_paid=off.was_paid,
        note=off.note or None,
        back_by=off.seller or None,
    )


def after_moved(order: Order, moved: OrderMoved) -> Order:
    """The order once its buyer is to be told that the concert is moved; what was told before changes nothing."""
    if moved.revision <= order.moved:
        return order
    return msgspec.structs.replace(order, moved=moved.revision, moved_until=moved.cancel_until)


def _amended(order: Order, event: Amending, *, at: datetime) -> Order:
    match event:
        case PartRefundRequested():
            if event.part.number <= len(order.refunds):
                return order
            return msgspec.structs.replace(order, refunds=(*order.refunds, OrderRefund(part=event.part, at=at)))
        case PartRefunded():
            return _with_refunds(order, parts.with_done(order.refunds, event.part.number, at=at))
        case SeatsReturned():
            return _with_refunds(order, parts.with_returned(order.refunds, event.number, at=event.returned_at))
        case OrderAmended():
            return msgspec.structs.replace(order, amendments=order.amendments + 1)
        case ConfirmationRequested():
            return msgspec.structs.replace(order, resends=max(order.resends, event.number), resent_at=at)


def _with_refunds(order: Order, refunds: tuple[OrderRefund, ...]) -> Order:
    if refunds is order.refunds:
        return order
    is_over = order.status is Status.PAID and not any(each.is_open for each in refunds)
    return msgspec.structs.replace(order, refunds=refunds, due_at=None if is_over else order.due_at)


def is_closed(order: Order) -> bool:
    """Was it cancelled on purpose? Whatever money or seats are still under way, it stays so."""
    return order.reason is not None and order.reason.is_on_purpose


def without_clear_contact(order: Order) -> Order:
    """The order once its address is kept apart."""
    return msgspec.structs.replace(order, email=None, phone=None, has_contact=True, was_sealed=True)


def _allowed(order: Order, after: Order) -> Order:
    """What it becomes. Raises ValueError where NEXT does not lead there."""
    if after.status not in NEXT[order.status]:
        raise ValueError(f"{order.id} can't go from {order.status} to {after.status}")
    return after


def place(request: OrderRequest, *, order_id: str, now: datetime) -> Decision[Order]:
    """A new order, still without seats."""
    placed = OrderPlaced(
        order_id=order_id,
        concert_id=request.concert_id,
        user_id=request.user_id,
        quantity=request.quantity,
        section=request.section,
        till=request.till or UNSET,
    )
    order = as_placed(
        placed,
        at=now,
        payment_method=request.payment_method,
        has_contact=request.contact is not None,
        max_price=request.max_price,
        wish=request.wish,
        waits=request.waits,
    )
    if request.seats or request.wheelchairs:
        order = msgspec.structs.replace(order, wanted_seats=request.seats, wheelchairs=request.wheelchairs)
    return Decision(order, (placed,))


def hold_request(order: Order, traceparent: str | None, buyers: BuyerKeys) -> HoldRequest:
    """The seats that it wants, for these buyers."""
    wanted = order.seats
    return HoldRequest(
        wanted.concert_id,
        wanted.quantity,
        order.id,
        wanted.section,
        traceparent,
        order.max_price,
        buyers,
        order.wish,
        order.till,
        order.waits is not None,
        order.wanted_seats,
        order.wheelchairs,
    )


def put_off(order: Order, *, until: datetime, traceparent: str | None) -> Order:
    """Ask for the seats again at `until`, in the same trace."""
    return msgspec.structs.replace(order, due_at=until, tries=order.tries + 1, traceparent=traceparent)


def take_up(order: Order, *, now: datetime, until: datetime) -> Order:
    """Somebody asks for the seats of a Pending order now, if that is due: the next try is at `until`, as `put_off`."""
    if order.status is not Status.PENDING or order.due_at is None or order.due_at > now:
        return order
    return put_off(order, until=until, traceparent=order.traceparent)


def reserve(order: Order, held: SeatsHeld, *, now: datetime) -> Decision[Order]:
    """The order has got its seats. Raises HeldOtherwise."""
    wanted, had = order.seats, held.allocation
    if had.quantity != wanted.quantity or wanted.section not in (None, had.section):
        raise HeldOtherwise(order.id, wanted=wanted.quantity, held=had.quantity, section=had.section)
    total = held.price.times(had.quantity) if held.bill is None else held.bill.money
    reserved = _ticket_reserved(
        order, had, total, expires_at=held.expires_at, cancel_until=held.cancel_until, bill=held.bill
    )
    return Decision(_allowed(order, _after_reserved(order, reserved, at=now)), (reserved,))


def _ticket_reserved(
    order: Order,
    allocation: Allocation,
    total: Money,
    *,
    expires_at: datetime,
    cancel_until: datetime | None,
    bill: Bill | None,
) -> TicketReserved:
    """The fact that the order has these seats."""
    return TicketReserved(
        order_id=order.id,
        allocation=allocation,
        user_id=order.user_id,
        total=total,
        payment_method=order.payment_method,
        expires_at=expires_at,
        cancel_until=cancel_until,
        bill=bill or UNSET,
        till=order.till or UNSET,
    )


def learn(order: Order, payment: OrderPayment) -> Order:
    """How the money stands by now. What is told of an earlier round, or told late, changes nothing.

    An order that was reserved before orders kept this goes on without.
    """
    known = order.payment
    if known is None or (payment.round, _STAGE[payment.status]) <= (known.round, _STAGE[known.status]):
        return order
    after = msgspec.structs.replace(order, payment=payment)
    if order.status is Status.PENDING or (order.status is Status.CANCELLED and may_have_something(after)):
        return after
    return msgspec.structs.replace(after, due_at=None)


def money_told(fact: PaymentEvent, *, at: datetime) -> OrderPayment:
    """How the money stands after this fact."""
    match fact:
        case PaymentRequested():
            return OrderPayment(status=PaymentStatus.PENDING, at=at, round=fact.round)
        case PaymentCompleted():
            status = PaymentStatus.COMPLETED
        case PaymentFailed(reason=FailureReason.DECLINED):
            status = PaymentStatus.DECLINED
        case PaymentFailed():
            status = PaymentStatus.FAILED
        case PaymentRefunded():
            status = PaymentStatus.REFUNDED
    return OrderPayment(status=status, at=at, attempts=fact.attempts, round=fact.round)


def unpaid(
    order: Order, payment: OrderPayment, *, reason: CancelReason, retry_until: datetime | None
) -> Decision[Order]:
    """A charge failed. Until `retry_until` the buyer can pay in another way; without it, the order is off."""
    after = learn(order, payment)
    if order.payment is None:
        return fail(order, reason)
    if after is order:
        return Decision(order)
    if retry_until is None:
        return fail(after, reason)
    if after.status is Status.RESERVED:
        after = msgspec.structs.replace(after, due_at=retry_until)
    return Decision(after)


def money_back(order: Order, payment: OrderPayment) -> Decision[Order]:
    """The money went back, and no other is taken: an order that still waits for its seats gets none."""
    return fail(learn(order, payment), CancelReason.EXPIRED)


def pay_again(order: Order, *, method: str, now: datetime) -> Decision[Order]:
    """The buyer pays in another way. Raises NotReserved, AlreadyPaid, ChargeOpen, HoldEnded."""
    payment = order.payment
    if order.status in (Status.PENDING, Status.CANCELLED):
        raise NotReserved(order)
    if order.status is Status.PAID or (payment is not None and payment.status is PaymentStatus.COMPLETED):
        raise AlreadyPaid(order)
    if payment is None or payment.status is PaymentStatus.PENDING:
        raise ChargeOpen(order)
    if payment.status not in _UNPAID or order.due_at is None or now >= order.due_at:
        raise HoldEnded(order.seats.reservation_id or order.id)
    begun = OrderPayment(status=PaymentStatus.PENDING, at=now, round=payment.round + 1)
    request = PaymentRequested(
        order_id=order.id, concert_id=order.seats.concert_id, round=begun.round, payment_method=method
    )
    learnt = msgspec.structs.replace(learn(order, begun), requested_method=method)
    return Decision(learnt, (request,))


def hold_ended(order: Order, *, now: datetime) -> Decision[Order]:
    """Nobody paid in another way while the seats were held: the order is off."""
    payment = order.payment
    if order.status is not Status.RESERVED or order.due_at is None or now < order.due_at or payment is None:
        return Decision(order)
    return fail(order, _UNPAID[payment.status])


def pay(order: Order, allocation: Allocation, *, payment: OrderPayment | None = None) -> Decision[Order]:
    """The seats are sold to this order: it is paid, by `payment`. One that was cancelled on purpose stays so."""
    if payment is not None:
        order = learn(order, payment)
    if order.status is Status.PAID or is_closed(order):
        return Decision(order)
    if order.allocation is None or order.total is None:
        raise ValueError(f"{order.id} was sold seats that it never reserved")
    paid = OrderPaid(
        order_id=order.id,
        allocation=latest(order.seats, allocation),
        total=order.total,
        reachable=order.reachable,
        bill=order.bill or UNSET,
    )
    return Decision(_allowed(order, _after_paid(order, paid)), (paid,))


def fail(order: Order, reason: CancelReason, note: str | None = None) -> Decision[Order]:
    """No seats or no money came of it. Only an order that still waits for them is cancelled by that."""
    if order.status not in (Status.PENDING, Status.RESERVED):
        return Decision(order)
    return _cancelled(order, reason, note)


def check_cancellable(order: Order, reason: CancelReason, *, now: datetime) -> None:
    """May it be cancelled for this reason now? The organizer always may. Raises TooLateToCancel."""
    has_seats = order.status in (Status.RESERVED, Status.PAID)
    until = order.cancellable_until
    if reason is CancelReason.BUYER and has_seats and until is not None and now >= until:
        raise TooLateToCancel(order.id, until)


def cancel(
    order: Order, reason: CancelReason, note: str | None = None, *, seller: str | None = None
) -> Decision[Order]:
    """Somebody cancels it on purpose; a second time changes nothing. `seller`: who does, if that is somebody who sells.

    An order that failed by itself is closed by that as well: money that still comes will not revive it.
    """
    if is_closed(order):
        return Decision(order)
    if order.till is None:
        seller = None
    if order.status is Status.CANCELLED:
        off = _off(order, reason, was_paid=False, note=note, seller=seller)
        return Decision(_after_cancelled(order, off), (off,))
    return _cancelled(order, reason, note, seller)


def _cancelled(
    order: Order, reason: CancelReason, note: str | None = None, seller: str | None = None
) -> Decision[Order]:
    off = _off(order, reason, was_paid=order.status is Status.PAID, note=note, seller=seller)
    return Decision(_allowed(order, _after_cancelled(order, off)), (off,))


def _off(
    order: Order, reason: CancelReason, *, was_paid: bool, note: str | None = None, seller: str | None = None
) -> OrderCancelled:
    return OrderCancelled(
        order_id=order.id,
        seats=order.seats,
        total=order.total,
        reason=reason,
        was_paid=was_paid,
        reachable=order.reachable if order.off_reachable is None else order.off_reachable,
        asked_before=tuple(each.part for each in order.refunds) or UNSET,
        note=note or UNSET,
        seller=seller or UNSET,
        waited=(order.waits is not None and order.allocation is None) or UNSET,
    )


def may_have_something(order: Order) -> bool:
    """Is it Cancelled, and not known to have neither money nor seats?

    That was cancelled on purpose: payments and concerts have to carry that out, and neither tells orders all of
    it. Any other has no seats, and its payments has said so; unless the last that was heard is a charge.
    """
    if order.status is not Status.CANCELLED or order.allocation is None or order.reason is None:
        return False
    if is_closed(order):
        return True
    return order.payment is not None and order.payment.status in (PaymentStatus.PENDING, PaymentStatus.COMPLETED)


def watched(order: Order, *, look_at: datetime) -> Order:
    """To be looked at at `look_at`, if it may have something or has a part refund under way; when it is to be looked
    at already, then."""
    has_open_refund = order.status is Status.PAID and any(each.is_open for each in order.refunds)
    if order.due_at is not None or not (has_open_refund or may_have_something(order)):
        return order
    return msgspec.structs.replace(order, due_at=look_at)


def is_silent(order: Order, *, since: datetime) -> bool:
    """Is it Reserved, with a charge or a sale under way of which nothing was heard since then?"""
    if order.status is not Status.RESERVED or order.is_settled:
        return False
    return (order.created_at if order.payment is None else order.payment.at) <= since


def question(order: Order) -> ChargeQuestion:
    """What payments is asked about it."""
    known = order.payment
    return ChargeQuestion(
        order_id=order.id,
        round=known.round if known else 0,
        is_open=known is None or known.status is PaymentStatus.PENDING,
        is_refunded=known is not None and known.status is PaymentStatus.REFUNDED,
        cancelled_on_purpose=is_closed(order),
    )


class Lost(StrEnum):
    """What somebody seems not to have heard."""

    RESERVED = "TicketReserved"
    REQUESTED = "PaymentRequested"
    CANCELLED = "OrderCancelled"
    PART_REFUND = "PartRefundRequested, or what came of it"
    MONEY = "how its money stands, or what follows from it"


class Compared(NamedTuple):
    """What comes of comparing an order: what is told again, and what seems to have been lost. None: nothing."""

    decision: Decision[Order]
    lost: Lost | None = None


def looked_at(order: Order, *, now: datetime, look_at: datetime) -> Order:
    """Somebody compares a Cancelled order now, if that is due: the next look is at `look_at`, whatever comes of it."""
    if order.status is not Status.CANCELLED or order.due_at is None or order.due_at > now:
        return order
    return msgspec.structs.replace(order, due_at=look_at, looks=order.looks + 1)


def compared(order: Order, charge: ChargeStanding, *, has_seats: bool) -> Compared:
    """Tell again what payments or concerts seems not to have heard. A Cancelled order is not looked at again if it has
    neither money nor seats (`has_seats`: concerts doesn't know that they are to be given back).
    """
    if order.status is Status.RESERVED:
        return _compared_reserved(order, charge)
    if order.status is not Status.CANCELLED or order.due_at is None:
        return Compared(Decision(order))  # it went on meanwhile
    return _compared_cancelled(order, charge, has_seats=has_seats)


def _compared_cancelled(order: Order, charge: ChargeStanding, *, has_seats: bool) -> Compared:
    if order.reason is not None and is_closed(order) and (has_seats or not charge.closed):
        off = _off(order, order.reason, was_paid=order.was_paid, note=order.note, seller=order.back_by)
        return Compared(Decision(order, (off,), again=True), Lost.CANCELLED)
    if charge.told_again:
        return Compared(Decision(order), Lost.MONEY)
    if (request := _missed_request(order, charge)) is not None:
        return Compared(Decision(order, (request,), at=_known_at(order), again=True), Lost.REQUESTED)
    if charge.state in (ChargeState.OPEN, ChargeState.TAKEN):
        return Compared(Decision(order))
    # Payments has learnt of every part refund by the cancellation: who asks for one again is told what came of it.
    if (owed := next((each for each in order.refunds if each.done_at is None), None)) is not None:
        return Compared(Decision(order, (request_of(order, owed),), at=owed.at, again=True), Lost.PART_REFUND)
    return Compared(Decision(msgspec.structs.replace(order, due_at=None, looks=order.looks + 1)))


def request_of(order: Order, refund: OrderRefund) -> PartRefundRequested:
    """What was told when this part refund was asked for. Raises ValueError for an order without seats."""
    if order.allocation is None:
        raise ValueError(f"{order.id} has no seats")
    return PartRefundRequested(order_id=order.id, part=refund.part, allocation=order.allocation)


def _reserved_before(order: Order) -> TicketReserved:
    """What was told when it got its seats. Raises ValueError for an order without seats."""
    allocation = order.allocation
    if allocation is None or order.total is None or order.expires_at is None:
        raise ValueError(f"{order.id} has no seats")
    return _ticket_reserved(
        order,
        allocation,
        order.total,
        expires_at=order.expires_at,
        cancel_until=order.cancel_until,
        bill=order.bill,
    )


def _compared_reserved(order: Order, charge: ChargeStanding) -> Compared:
    if charge.told_again:
        return Compared(Decision(order), Lost.MONEY)
    if charge.state is ChargeState.UNKNOWN and order.expires_at is not None and cart_of(order.id) is None:
        reserved = _reserved_before(order)
        return Compared(Decision(order, (reserved,), at=_known_at(order), again=True), Lost.RESERVED)
    if (request := _missed_request(order, charge)) is not None:
        return Compared(Decision(order, (request,), at=_known_at(order), again=True), Lost.REQUESTED)
    return Compared(Decision(order))


def _known_at(order: Order) -> datetime | None:
    return None if order.payment is None else order.payment.at


def _missed_request(order: Order, charge: ChargeStanding) -> PaymentRequested | None:
    """The buyer's request to pay in another way, if payments has yet to begin that round."""
    known = order.payment
    if known is None or known.round <= charge.round or order.requested_method is None:
        return None
    return PaymentRequested(
        order_id=order.id, concert_id=order.seats.concert_id, round=known.round, payment_method=order.requested_method
    )
