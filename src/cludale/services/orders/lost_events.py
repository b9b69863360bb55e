"""Orders of which nothing is heard: compared with payments, and what was lost is told again. No I/O, clock or HTTP."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from cludale.kernel.carts import cart_of
from cludale.kernel.decision import Decision
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargeState
from cludale.services.orders.domain import cancellation, is_closed, may_have_something, request_of, ticket_reserved
from cludale.services.orders.events import (
    PaymentRequested,
    TicketReserved,
)
from cludale.services.orders.order import Order, PaymentStatus, Status


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
    """What payments is asked about this order."""
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
        off = cancellation(order, order.reason, was_paid=order.was_paid, note=order.note, seller=order.back_by)
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


def _reserved_before(order: Order) -> TicketReserved:
    """What was told when it got its seats. Raises ValueError for an order without seats."""
    allocation = order.allocation
    if allocation is None or order.total is None or order.expires_at is None:
        raise ValueError(f"{order.id} has no seats")
    return ticket_reserved(
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
