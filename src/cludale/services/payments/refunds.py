"""Money that goes back: all of it when an order is cancelled, or a part. No I/O, clock or HTTP."""

from datetime import datetime

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.services.orders.events import (
    OrderCancelled,
    PartRefund,
    PartRefundRequested,
)
from cludale.services.payments.domain import close, ended, evolve, owes_part, refund_of, to_be_retold, with_part
from cludale.services.payments.events import (
    FailureReason,
    PartRefunded,
)
from cludale.services.payments.payment import AttemptLimits, Part, Payment, Status, payment_id


def order_cancelled(
    payment: Payment | None, order: OrderCancelled, *, cause: Cause, now: datetime
) -> Decision[Payment] | None:
    """The order was cancelled on purpose: charge no more, and give back what was taken.

    An order that failed by itself asks for nothing: its payment has failed already, or SaleRefused says so.
    None: there is nothing to pay, nor will there be.
    """
    if not order.reason.is_on_purpose:
        return Decision(payment) if payment is not None else None
    if payment is None:
        return never(order.order_id, order, now=now)
    if payment.closed:
        return Decision(payment)
    closed = msgspec.structs.replace(payment, closed=True, cause=cause)
    for part in order.part_refunds:  # whose own events may still be on their way
        closed = with_part(closed, Part(part=part))
    match payment.status:
        case Status.PENDING:
            return Decision(close(closed, payment.closing or FailureReason.CANCELLED, now=now))
        case Status.COMPLETED:
            return refund(closed, cause=cause, now=now, back_by=order.seller or None)
        case _:
            return Decision(closed)


def never(paid_by: str, order: OrderCancelled, *, now: datetime) -> Decision[Payment] | None:
    """The cancellation came before the order could be paid: remember it, so that it is never charged. `paid_by`: the
    order itself, or its cart.
    """
    if order.allocation is None or order.total is None:
        return None
    return Decision(
        Payment(
            id=payment_id(paid_by),
            order_id=paid_by,
            allocation=order.allocation,
            amount=order.total,
            method="",
            status=Status.FAILED,
            created_at=now,
            expires_at=now,
            closed=True,
        )
    )


def refund(payment: Payment, *, cause: Cause, now: datetime, back_by: str | None = None) -> Decision[Payment]:
    """Give the money back, if it was taken and isn't on its way back. `back_by`: who does, at the box office."""
    if payment.status is not Status.COMPLETED or payment.refunding:
        return Decision(payment)
    return Decision(msgspec.structs.replace(payment, refunding=True, due_at=now, cause=cause, back_by=back_by))


def has_taken_money(payment: Payment) -> bool:
    """Was the money taken, so that a part of it can go back?"""
    return payment.status in (Status.COMPLETED, Status.REFUNDED)


def part_requested(
    payment: Payment, request: PartRefundRequested, *, cause: Cause, now: datetime, again: bool
) -> Decision[Payment]:
    """A part of the money is to go back, once. Asked `again`, it is told again that it is back, if it is.

    Raises ValueError for more than is left: orders never asks for that.
    """
    part = request.part
    known = next((each for each in payment.parts if each.part.number == part.number), None)
    if known is not None:
        if not again or known.done_at is None:
            return Decision(payment)
        return Decision(payment, (_part_back(payment, part),), at=known.done_at, again=True)
    if payment.refunding or payment.status is not Status.COMPLETED or part.amount.amount > payment.rest.amount:
        raise ValueError(f"{payment.id} has no {part.amount} left to give back")
    after = with_part(payment, Part(part=part))
    return Decision(msgspec.structs.replace(after, due_at=now, cause=cause))


def part_refunded(payment: Payment, part: PartRefund, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """This part of the money is back."""
    if all(each.part.number != part.number or each.done_at is not None for each in payment.parts):
        return Decision(payment)
    event = _part_back(payment, part)
    return Decision(to_be_retold(evolve(payment, event, at=now), now=now, limits=limits), (event,), at=now)


def _part_back(payment: Payment, part: PartRefund) -> PartRefunded:
    return PartRefunded(payment_id=payment.id, order_id=payment.order_id, part=part, allocation=payment.allocation)


def tries_in_vain(payment: Payment) -> int:
    """How often it was tried to give back what it owes."""
    return payment.part_tries if owes_part(payment) else payment.tries


def refunded(payment: Payment, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """The money is back."""
    if payment.status is not Status.COMPLETED or not payment.refunding:
        return Decision(payment)
    return ended(payment, refund_of(payment), now=now, limits=limits)
