"""What is shown of an order over HTTP, and to whom."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.bills import Bill, TicketCount
from cludale.kernel.money import Money
from cludale.kernel.tills import Till, TillMethod
from cludale.ports.seats import (
    InLine,
)
from cludale.services.orders import parts, queueing
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.events import CancelReason, Party
from cludale.services.orders.order import Order, OrderPayment, PaymentStatus, Status
from cludale.services.orders.parts import OrderRefund
from cludale.services.orders.privacy.domain import NOTHING, Particulars
from cludale.web.access import Who
from cludale.web.seats import SeatView, seat_views

_BILL = (
    "what it costs, line by line, as it was when its seats were held: minor units of `currency`. null where each "
    "ticket costs the same, without fees and taxes"
)


_PAYMENT_STATUS = (
    "Pending: a charge is open. Completed: the money was taken. Declined: the card was; Failed: no money came for "
    "another reason (`GET /payments` says Failed for both). Refunded: the money was given back"
)


_CONTACT = "where the buyer wants to be told; for the organizer only"


_BUYER_NAME = "the buyer's name; for the organizer only"


COMMENT = "the organizer's own note; for the organizer only"


BILLING = "whom it is invoiced to, as it stands on the invoice; in an answer for the organizer only"


class OrderPaymentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the money of an order stands."""

    status: Annotated[PaymentStatus, Meta(description=_PAYMENT_STATUS)]
    at: Annotated[datetime, Meta(description="since when it stands so")]
    attempts: Annotated[int, Meta(description="tries of the charge that is open, or was the last")]

    @classmethod
    def of(cls, payment: OrderPayment) -> Self:
        """The view of an order's payment."""
        return cls(status=payment.status, at=payment.at, attempts=payment.attempts)


class RefundStatus(StrEnum):
    """How far a part refund has come."""

    PENDING = "Pending"
    COMPLETED = "Completed"


REASON = (
    "the organizer's own words; in the order as the organizer sees it, in no answer that is kept. Null where the buyer "
    "was erased"
)


class RefundView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an order that was given back."""

    id: str
    status: Annotated[RefundStatus, Meta(description="Completed: the payment provider has given the money back")]
    quantity: Annotated[int, Meta(description="tickets that were given back; 0: money only")]
    tickets: Annotated[list[TicketCount] | UnsetType, Meta(description="which, where the order has a bill")] = UNSET
    amount: Annotated[Money, Meta(description="money that goes back for it")]
    left: Annotated[Money, Meta(description="what was left of the order's money after it")]
    requested_at: datetime
    requested_by: Party
    completed_at: datetime | None
    reason: Annotated[str | UnsetType | None, Meta(description=REASON)] = UNSET

    @classmethod
    def of(cls, refund: OrderRefund, who: Who, reasons: Mapping[str, str]) -> Self:
        """The view of a part refund. `reasons`: those that are kept apart."""
        return cls(
            id=refund.part.refund_id,
            status=RefundStatus.PENDING if refund.done_at is None else RefundStatus.COMPLETED,
            quantity=refund.part.tickets,
            tickets=UNSET if refund.part.of is UNSET else list(refund.part.of),
            amount=refund.part.amount,
            left=refund.part.left,
            requested_at=refund.at,
            requested_by=refund.by,
            completed_at=refund.done_at,
            reason=UNSET if who is Who.BUYER else reasons.get(str(refund.part.number), refund.reason),
        )


class TillView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How an order was sold at the box office."""

    method: Annotated[TillMethod, Meta(description="how it was paid there")]
    receipt: Annotated[str | None, Meta(description="the card terminal's own reference")] = None
    seller: Annotated[str | None, Meta(description="the key or session that sold it; for the organizer only")] = None
    reason: Annotated[str | None, Meta(description="why it is complimentary; for the organizer only")] = None

    @classmethod
    def of(cls, till: Till, who: Who, left: Particulars) -> Self:
        """The view of a sale. `left`: what is kept apart."""
        if who is Who.BUYER:
            return cls(method=till.method, receipt=till.receipt)
        return cls(method=till.method, receipt=till.receipt, seller=till.seller, reason=left.why_free)


class WaitingView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How an order stands on the waiting list."""

    position: Annotated[int | None, Meta(description="how many are served before it, with itself; null: not known")]
    length: Annotated[int | None, Meta(description="how many wait for seats of its section")]
    offered_until: Annotated[datetime | None, Meta(description="seats are held for it until then: pay, and they stay")]
    total: Annotated[Money | None, Meta(description="what the seats cost that it is offered")]
    seats: Annotated[list[SeatView] | UnsetType, Meta(description="those, where they have numbers")] = UNSET

    @classmethod
    def of(cls, order: Order, line: InLine | None = None) -> Self:
        """The view of an order that waits. `line`: its position, if that was asked for."""
        offer = None if order.waits is None else order.waits.offer
        return cls(
            position=None if line is None else line.position,
            length=None if line is None else line.waiting,
            offered_until=None if offer is None else offer.expires_at,
            total=queueing.total(order),
            seats=UNSET if offer is None else seat_views(offer.numbered_seats),
        )


class OrderView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as it stands now."""

    id: str
    concert_id: str
    section: Annotated[str | None, Meta(description="the requested section until seats are held, then theirs")]
    user_id: str
    quantity: int
    status: Status
    reason: Annotated[CancelReason | None, Meta(description="why it was cancelled")]
    total: Annotated[Money | None, Meta(description="known once seats are had")]
    bill: Annotated[Bill | None, Meta(description=_BILL)]
    created_at: datetime
    expires_at: Annotated[datetime | None, Meta(description="the seats are held until then")]
    email: Annotated[str | UnsetType | None, Meta(description=_CONTACT)] = UNSET
    phone: Annotated[str | UnsetType | None, Meta(description=_CONTACT)] = UNSET
    cancel_until: Annotated[
        datetime | None, Meta(description="from then on only the organizer can cancel it; known once seats are had")
    ]
    payment: Annotated[OrderPaymentView | None, Meta(description="known once seats are had")]
    name: Annotated[str | UnsetType | None, Meta(description=_BUYER_NAME)] = UNSET
    comment: Annotated[str | UnsetType | None, Meta(description=COMMENT)] = UNSET
    billing_address: Annotated[BillingAddress | UnsetType | None, Meta(description=BILLING)] = UNSET
    refunds: Annotated[list[RefundView], Meta(description="parts that were given back, in the order of their requests")]
    held: Annotated[
        int, Meta(description="tickets that it has, or had when it was cancelled, beside those that were given back")
    ]
    refunded: Annotated[
        Money | None, Meta(description="money that part refunds give back; null as long as there is no total")
    ]
    box_office: Annotated[TillView | UnsetType, Meta(description="where it was sold at the box office: how")] = UNSET
    waiting: Annotated[WaitingView | UnsetType, Meta(description="of one that is Pending on the waiting list")] = UNSET
    seats: Annotated[
        list[SeatView] | UnsetType, Meta(description="where seats have numbers: those of its tickets, in their order")
    ] = UNSET


class PlacedOrder(OrderView, frozen=True, kw_only=True, rename="camel"):
    """A new order, with the bearer token that opens it."""

    access_token: Annotated[str, Meta(description="the bearer token of this order's routes; shown only here")]


def shown(order: Order, who: Who = Who.BUYER, left: Particulars = NOTHING) -> dict[str, Any]:
    """The fields that an order has in every answer."""
    return {
        "id": order.id,
        "concert_id": order.seats.concert_id,
        "section": order.seats.section,
        "user_id": order.user_id,
        "quantity": order.seats.quantity,
        "status": order.status,
        "reason": order.reason,
        "total": order.total,
        "bill": order.bill,
        "created_at": order.created_at,
        "expires_at": order.expires_at,
        "cancel_until": order.cancellable_until,
        "payment": None if order.payment is None else OrderPaymentView.of(order.payment),
        "refunds": [RefundView.of(each, who, left.reasons) for each in order.refunds],
        "held": order.held,
        "refunded": None if order.total is None else Money(parts.refunded(order.refunds), order.total.currency),
        "box_office": UNSET if order.till is None else TillView.of(order.till, who, left),
        "waiting": WaitingView.of(order) if order.waits is not None and order.status is Status.PENDING else UNSET,
        "seats": seat_views(order.seats.numbered_seats, parts.numbers_back(order.refunds)),
    }


def view_of(order: Order, who: Who, left: Particulars = NOTHING) -> OrderView:
    """The order, as the buyer or the organizer sees it; `left`: what is kept apart, for the organizer."""
    if who is Who.BUYER:
        return OrderView(**shown(order))
    fields = shown(order, who, left)
    return OrderView(
        **fields,
        email=left.email,
        phone=left.phone,
        name=left.name,
        comment=left.comment,
        billing_address=left.billing or UNSET,
    )
