"""Order rules: placing, reserving, paying, cancelling. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal, RefusedForNow
from cludale.kernel.times import rfc3339
from cludale.ports.contacts import Contact
from cludale.ports.seats import HeldOtherwise, HoldEnded, SeatsHeld
from cludale.services.orders.events import (
    CancelReason,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PaymentRequested,
    TicketReserved,
)
from cludale.services.payments.events import FailureReason, PaymentCompleted, PaymentFailed, PaymentRefunded


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
    # Nobody wished it cancelled, and then the money came after all: charged anew, or in the last moment.
    Status.CANCELLED: frozenset({Status.PAID}),
}


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


class Wish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a buyer asks for."""

    concert_id: str
    user_id: str
    quantity: int
    section: str | None = None
    payment_method: str = "card-ok"
    email: str | None = None
    phone: str | None = None
    max_price: Money | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """An order. `section` is the wished one until seats are had, then theirs; `total` comes with the seats."""

    id: str
    concert_id: str
    user_id: str
    quantity: int
    status: Status
    payment_method: str
    created_at: datetime
    section: str | None = None
    reservation_id: str | None = None
    total: Money | None = None
    expires_at: datetime | None = None
    reason: CancelReason | None = None
    email: str | None = None
    phone: str | None = None
    max_price: Money | None = None
    """The most that one seat may cost."""
    cancel_until: datetime | None = None
    """From when on the buyer can't cancel, as the concert has it; None for orders of older versions."""
    payment: OrderPayment | None = None
    """None until it can be paid; and of an order that was reserved before this field existed."""
    due_at: datetime | None = None
    """When a Pending order asks for its seats again; when a Reserved one whose last charge failed is off."""
    tries: int = 0
    traceparent: str | None = None
    """The trace of the buyer's request, kept for as long as the order is Pending."""

    @property
    def contact(self) -> Contact:
        """Where the buyer wants to be told."""
        return Contact(self.email, self.phone)

    @property
    def is_settled(self) -> bool:
        """Is nothing under way: it has come to its end, or waits for its buyer?"""
        if self.status is Status.RESERVED:
            return self.payment is not None and self.payment.status in _UNPAID
        return self.status is not Status.PENDING

    @property
    def reachable(self) -> bool:
        """Did the buyer leave an address?"""
        return self.email is not None or self.phone is not None


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


def _become(order: Order, status: Status, **changes: object) -> Order:
    if status not in NEXT[order.status]:
        raise ValueError(f"{order.id} can't go from {order.status} to {status}")
    return msgspec.structs.replace(order, status=status, **changes)


def place(wish: Wish, *, order_id: str, now: datetime) -> Decision[Order]:
    """A new order, still without seats."""
    order = Order(
        id=order_id,
        concert_id=wish.concert_id,
        user_id=wish.user_id,
        quantity=wish.quantity,
        status=Status.PENDING,
        payment_method=wish.payment_method,
        created_at=now,
        section=wish.section,
        email=wish.email,
        phone=wish.phone,
        max_price=wish.max_price,
    )
    placed = OrderPlaced(
        order_id=order.id,
        concert_id=order.concert_id,
        user_id=order.user_id,
        quantity=order.quantity,
        section=order.section,
    )
    return Decision(order, (placed,))


def put_off(order: Order, *, until: datetime, traceparent: str | None) -> Order:
    """Ask for the seats again at `until`, in the same trace."""
    return msgspec.structs.replace(order, due_at=until, tries=order.tries + 1, traceparent=traceparent)


def reserve(order: Order, held: SeatsHeld, *, now: datetime) -> Decision[Order]:
    """The order has got its seats. Raises HeldOtherwise."""
    if held.quantity != order.quantity or order.section not in (None, held.section):
        raise HeldOtherwise(order.id, wanted=order.quantity, held=held.quantity, section=held.section)
    total = held.price.times(held.quantity)
    reserved = _become(
        order,
        Status.RESERVED,
        section=held.section,
        reservation_id=held.reservation_id,
        total=total,
        expires_at=held.expires_at,
        cancel_until=held.cancel_until,
        payment=OrderPayment(status=PaymentStatus.PENDING, at=now),
        due_at=None,
        traceparent=None,
    )
    return Decision(
        reserved,
        (
            TicketReserved(
                order_id=order.id,
                concert_id=order.concert_id,
                user_id=order.user_id,
                reservation_id=held.reservation_id,
                section=held.section,
                quantity=held.quantity,
                total=total,
                payment_method=order.payment_method,
                expires_at=held.expires_at,
                cancel_until=held.cancel_until,
            ),
        ),
    )


def learn(order: Order, payment: OrderPayment) -> Order:
    """How the money stands by now. What is told of an earlier round, or told late, changes nothing.

    An order that was reserved before orders kept this goes on without.
    """
    known = order.payment
    if known is None or (payment.round, _STAGE[payment.status]) <= (known.round, _STAGE[known.status]):
        return order
    due_at = order.due_at if order.status is Status.PENDING else None
    return msgspec.structs.replace(order, payment=payment, due_at=due_at)


Told = PaymentRequested | PaymentCompleted | PaymentFailed | PaymentRefunded


def money_told(fact: Told, *, at: datetime) -> OrderPayment:
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
        raise HoldEnded(order.reservation_id or order.id)
    begun = OrderPayment(status=PaymentStatus.PENDING, at=now, round=payment.round + 1)
    request = PaymentRequested(order_id=order.id, concert_id=order.concert_id, round=begun.round, payment_method=method)
    return Decision(learn(order, begun), (request,))


def hold_ended(order: Order, *, now: datetime) -> Decision[Order]:
    """Nobody paid in another way while the seats were held: the order is off."""
    payment = order.payment
    if order.status is not Status.RESERVED or order.due_at is None or now < order.due_at or payment is None:
        return Decision(order)
    return fail(order, _UNPAID[payment.status])


def pay(order: Order, *, reservation_id: str, payment: OrderPayment | None = None) -> Decision[Order]:
    """The seats are sold to this order: it is paid, by `payment`. One that somebody wished cancelled stays so."""
    if payment is not None:
        order = learn(order, payment)
    if order.status is Status.PAID or (order.reason is not None and order.reason.is_wish):
        return Decision(order)
    if order.section is None or order.total is None:
        raise ValueError(f"{order.id} was sold seats that it never reserved")
    paid = _become(order, Status.PAID, reservation_id=reservation_id, reason=None, due_at=None)
    return Decision(
        paid,
        (
            OrderPaid(
                order_id=order.id,
                concert_id=order.concert_id,
                reservation_id=reservation_id,
                section=order.section,
                quantity=order.quantity,
                total=order.total,
                reachable=order.reachable,
            ),
        ),
    )


def fail(order: Order, reason: CancelReason) -> Decision[Order]:
    """No seats or no money came of it. Only an order that still waits for them is cancelled by that."""
    if order.status not in (Status.PENDING, Status.RESERVED):
        return Decision(order)
    return _cancelled(order, reason)


def check_cancellable(order: Order, reason: CancelReason, *, now: datetime) -> None:
    """May it be cancelled for this reason now? The organizer always may. Raises TooLateToCancel."""
    has_seats = order.status in (Status.RESERVED, Status.PAID)
    if reason is CancelReason.BUYER and has_seats and order.cancel_until is not None and now >= order.cancel_until:
        raise TooLateToCancel(order.id, order.cancel_until)


def cancel(order: Order, reason: CancelReason) -> Decision[Order]:
    """Somebody wishes it cancelled; a second wish changes nothing.

    An order that failed by itself is closed by the wish as well: money that still comes will not revive it.
    """
    if order.status is Status.CANCELLED:
        if order.reason is not None and order.reason.is_wish:
            return Decision(order)
        closed = msgspec.structs.replace(order, reason=reason)
        return Decision(closed, (_off(closed, reason, was_paid=False),))
    return _cancelled(order, reason)


def _cancelled(order: Order, reason: CancelReason) -> Decision[Order]:
    was_paid = order.status is Status.PAID
    off = _become(order, Status.CANCELLED, reason=reason, due_at=None, traceparent=None)
    return Decision(off, (_off(off, reason, was_paid=was_paid),))


def _off(order: Order, reason: CancelReason, *, was_paid: bool) -> OrderCancelled:
    return OrderCancelled(
        order_id=order.id,
        concert_id=order.concert_id,
        reservation_id=order.reservation_id,
        section=order.section,
        quantity=order.quantity,
        total=order.total,
        reason=reason,
        was_paid=was_paid,
        reachable=order.reachable,
    )
