"""A payment is compared with its order, and what was lost of it is told again. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargeState
from cludale.services.payments.domain import RETELLS, as_told, completed, failure_of, owes_money, refund_of
from cludale.services.payments.events import (
    FailureReason,
)
from cludale.services.payments.payment import (
    AttemptLimits,
    AttemptOutcome,
    Failure,
    Payment,
    Status,
)


def standing(order_id: str, payment: Payment | None) -> ChargeStanding:
    """How the money of an order stands."""
    if payment is None:
        return ChargeStanding(order_id, ChargeState.UNKNOWN)
    is_going_back = payment.refunding or (payment.status is Status.REFUNDED and payment.open_part is not None)
    state = ChargeState.OPEN if is_going_back else _STATES[payment.status]
    return ChargeStanding(order_id, state, payment.round, payment.closed)


_STATES: Mapping[Status, ChargeState] = {
    Status.PENDING: ChargeState.OPEN,
    Status.COMPLETED: ChargeState.TAKEN,
    Status.FAILED: ChargeState.FAILED,
    Status.REFUNDED: ChargeState.REFUNDED,
}


def compared(payment: Payment, order: ChargeQuestion) -> Decision[Payment]:
    """Tell again how the round has ended, if this order has yet to hear it or to hear what follows from it.

    Money that was taken is told again to an order that isn't paid, though the order may know of it: concerts answers.
    Whose cancellation payments has yet to hear, or to carry out, is told nothing: the money goes back anyway.
    """
    match standing(order.order_id, payment).state:
        case ChargeState.OPEN if payment.status is Status.REFUNDED and order.is_refunded:
            return Decision(payment)
        case ChargeState.TAKEN if order.cancelled_on_purpose:
            return Decision(payment)
        case ChargeState.FAILED if payment.round < order.round or (payment.round == order.round and not order.is_open):
            return Decision(payment)
        case ChargeState.REFUNDED if order.is_refunded:
            return Decision(payment)
        case _:
            return told_again(payment)


def told_again(payment: Payment) -> Decision[Payment]:
    """How the round has ended, once more, as it was told and with the time that it had. Nothing while it is open."""
    fact: Event | None = None
    at: datetime | None = None
    match payment.status:
        case Status.COMPLETED if not payment.refunding:
            fact = completed(payment)
            at = payment.attempts[-1].at if payment.attempts else payment.created_at  # free, or at the box office
        case Status.FAILED if payment.failure is not None or payment.tries or not payment.closed:
            failure = payment.failure or _failure_of_old(payment)
            fact, at = failure_of(payment, failure), failure.at
        case Status.REFUNDED:
            fact, at = refund_of(payment), payment.refunded_at
    return Decision(payment) if fact is None else Decision(payment, as_told(payment, fact), at=at, again=True)


def _failure_of_old(payment: Payment) -> Failure:
    """Why a charge failed, in records that don't say it: by now no way to pay is left."""
    last = payment.attempts[-1] if payment.attempts else None
    reason = FailureReason.EXPIRED
    if last is not None:
        reason = FailureReason.DECLINED if last.outcome is AttemptOutcome.DECLINED else FailureReason.GAVE_UP
    return Failure(at=last.at if last else payment.created_at, reason=reason, returned=False, retry_until=None)


def is_to_be_retold(payment: Payment) -> bool:
    """Has the round ended, with no money owed, so that only its events have to be published again?"""
    return payment.status is not Status.PENDING and not owes_money(payment)


def retold(payment: Payment, *, now: datetime, limits: AttemptLimits) -> Decision[Payment]:
    """Tell the end of a round that the organizer began once more, and say when the next time is, if there is one."""
    if not is_to_be_retold(payment) or payment.due_at is None:
        return Decision(payment)
    left = max(0, payment.retells - 1)
    wait = timedelta(seconds=limits.retell_seconds * 3.0 ** (RETELLS - left))
    after = msgspec.structs.replace(payment, retells=left, due_at=now + wait if left else None)
    if not payment.retells:
        return Decision(after)
    again = told_again(payment)
    return Decision(after, again.events, at=again.at, again=True)
