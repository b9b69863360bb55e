"""Order rules: placing, reserving, paying, cancelling. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import UNSET

from cludale.kernel.allocation import Allocation, OrderSeats, latest, seats_after
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.ports.seats import HeldOtherwise, HoldEnded, HoldRequest, SeatsHeld
from cludale.services.concerts.events import SeatsMoved, SeatsReturned
from cludale.services.orders import parts
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
from cludale.services.orders.order import (
    NEXT,
    UNPAID,
    AlreadyPaid,
    ChargeOpen,
    NotReserved,
    Order,
    OrderPayment,
    OrderRequest,
    PaymentStatus,
    Status,
    TooLateToCancel,
    Waits,
)
from cludale.services.orders.parts import OrderRefund
from cludale.services.payments.events import (
    FailureReason,
    PartRefunded,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)

_STAGE: Mapping[PaymentStatus, int] = {
    PaymentStatus.PENDING: 0,
    PaymentStatus.COMPLETED: 1,
    PaymentStatus.DECLINED: 1,
    PaymentStatus.FAILED: 1,
    PaymentStatus.REFUNDED: 2,
}
"""How far a round has come."""


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
            order = _after_reserved(order, event, at=at)
        case OrderPaid():
            order = _after_paid(order, event)
        case OrderCancelled():
            order = _after_cancelled(order, event)
        case OrderMoved():
            order = after_moved(order, event)
        case SeatsMoved() | OrderReseated():
            order = msgspec.structs.replace(order, seats=seats_after(order.seats, event.allocation))
        case PaymentRequested() | PaymentCompleted() | PaymentFailed() | PaymentRefunded():
            order = learn(order, money_told(event, at=at))
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
    reserved = ticket_reserved(
        order, had, total, expires_at=held.expires_at, cancel_until=held.cancel_until, bill=held.bill
    )
    return Decision(_allowed(order, _after_reserved(order, reserved, at=now)), (reserved,))


def ticket_reserved(
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
    """The order with what is known of its money now. News of an earlier round, or late news, changes nothing.

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
    if payment.status not in UNPAID or order.due_at is None or now >= order.due_at:
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
    return fail(order, UNPAID[payment.status])


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
        off = cancellation(order, reason, was_paid=False, note=note, seller=seller)
        return Decision(_after_cancelled(order, off), (off,))
    return _cancelled(order, reason, note, seller)


def _cancelled(
    order: Order, reason: CancelReason, note: str | None = None, seller: str | None = None
) -> Decision[Order]:
    off = cancellation(order, reason, was_paid=order.status is Status.PAID, note=note, seller=seller)
    return Decision(_allowed(order, _after_cancelled(order, off)), (off,))


def cancellation(
    order: Order, reason: CancelReason, *, was_paid: bool, note: str | None = None, seller: str | None = None
) -> OrderCancelled:
    """The event that says that this order is cancelled."""
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


def request_of(order: Order, refund: OrderRefund) -> PartRefundRequested:
    """What was told when this part refund was asked for. Raises ValueError for an order without seats."""
    if order.allocation is None:
        raise ValueError(f"{order.id} has no seats")
    return PartRefundRequested(order_id=order.id, part=refund.part, allocation=order.allocation)
