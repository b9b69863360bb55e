"""Order rules: placing, reserving, paying, cancelling. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.contacts import Contact
from cludale.ports.seats import HeldOtherwise, SeatsHeld
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid, OrderPlaced, TicketReserved


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
    due_at: datetime | None = None
    """When a Pending order asks for its seats again."""
    tries: int = 0
    traceparent: str | None = None
    """The trace of the buyer's request, kept for as long as the order is Pending."""

    @property
    def contact(self) -> Contact:
        """Where the buyer wants to be told."""
        return Contact(self.email, self.phone)

    @property
    def reachable(self) -> bool:
        """Did the buyer leave an address?"""
        return self.email is not None or self.phone is not None


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


def reserve(order: Order, held: SeatsHeld) -> Decision[Order]:
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


def pay(order: Order, *, reservation_id: str) -> Decision[Order]:
    """The seats are sold to this order: it is paid. One that somebody wished cancelled stays so."""
    if order.status is Status.PAID or (order.reason is not None and order.reason.is_wish):
        return Decision(order)
    if order.section is None or order.total is None:
        raise ValueError(f"{order.id} was sold seats that it never reserved")
    paid = _become(order, Status.PAID, reservation_id=reservation_id, reason=None)
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
