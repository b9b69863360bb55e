"""Payments over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, NotFound
from cludale.kernel.tills import Till
from cludale.ports.charges import COMPARED_AT_ONCE, ChargeQuestion, ChargeStanding
from cludale.ports.payment_gateway import UnknownMethod, check_method
from cludale.ports.records import Records
from cludale.ports.sales import SeatsGone
from cludale.ports.seats import ConcertOver
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.payments import carts
from cludale.services.payments.payment import Attempt, Payment, PaymentClosed, Status
from cludale.services.payments.service import Payments, payment_not_found
from cludale.services.payments.store import listed
from cludale.web.fields import PaymentMethod
from cludale.web.keyed import Keyed
from cludale.web.ownership import Ownership
from cludale.web.problems import Problems, Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Credential, Owned, Reply, Request, asking, route

STATUS: Statuses = {PaymentClosed: 409, SeatsGone: 409, ConcertOver: 409, UnknownMethod: 422}

_PAYMENT_STATUS = (
    "of the money alone. Pending: a charge is open. Completed: taken. Failed: the last charge took nothing; why, is in "
    "`attempts`: after a decline the order's `payment` says Declined, else Failed. Refunded: taken, and given back"
)

_TILL = "how the money was taken at the box office, and by whom; the payment provider was not asked"

_PROBLEMS = Problems(STATUS)


class ChargeOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Charge this order now, with another method if one is named."""

    order_id: Id
    method: PaymentMethod | None = None


class CompareOrders(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How does the money of these orders stand, of which orders knows so much?"""

    orders: Annotated[list[ChargeQuestion], Meta(max_length=COMPARED_AT_ONCE)]


class ComparedOrders(msgspec.Struct, frozen=True):
    """How it stands."""

    items: list[ChargeStanding]


class AttemptView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One try to charge."""

    at: datetime
    round: int
    outcome: str
    detail: str | None

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        """The view of an attempt."""
        return cls(at=attempt.at, round=attempt.round, outcome=attempt.outcome.value, detail=attempt.detail)


class PaymentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The money side of an order."""

    id: str
    order_id: str
    amount: Money
    method: str
    status: Annotated[Status, Meta(description=_PAYMENT_STATUS)]
    refunding: Annotated[bool, Meta(description="taken, and on its way back: Refunded once it is there")]
    created_at: datetime
    attempts: list[AttemptView]
    box_office: Annotated[Till | UnsetType, Meta(description=_TILL)] = UNSET

    @classmethod
    def of(cls, payment: Payment) -> Self:
        """The view of a payment."""
        return cls(
            id=payment.id,
            order_id=payment.order_id,
            amount=payment.amount,
            method=payment.method,
            status=payment.status,
            refunding=payment.refunding,
            created_at=payment.created_at,
            attempts=[AttemptView.of(each) for each in payment.attempts],
            box_office=payment.till or UNSET,
        )


class FindPayments(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which payments to list."""

    order_id: str | None = None


class PaymentsApi:
    """The routes of payments."""

    def __init__(self, payments: Payments, records: Records, ownership: Ownership, *, methods: Sequence[str]) -> None:
        self._ownership = ownership
        self._methods = methods
        self._payments = payments
        self._keyed = Keyed(IdempotencyKeys("payments", records), _PROBLEMS)

    @route(
        "POST",
        "/payments",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Charge an order now",
        description=(
            "For a telephone sale, or again after a decline. An order that is paid is not charged twice. Once its "
            "hold has ended, it is charged only if its section has seats for it; should others be faster, the "
            "money goes back, and the answer says `Refunded`."
        ),
        replies={200: Reply(PaymentView)},
        refusals=(NotFound, PaymentClosed, SeatsGone, ConcertOver, UnknownMethod, Busy),
    )
    async def charge_order(self, request: Request, body: ChargeOrder) -> Response:
        """200 the payment as it is once the attempt is over."""
        if body.method is not None:
            check_method("method", body.method, self._methods)
        principal = asking(request)
        if not self._ownership.sees_all(principal):
            await self._check_own(principal, body.order_id)

        async def charge() -> Response:
            charged = await self._payments.charge_now(body.order_id, method=body.method, cause=request.cause)
            return json_response(PaymentView.of(charged))

        # Charging is safe to repeat by itself: an order has one payment, and a round one key at the provider's.
        return await self._keyed.once_across_partitions("POST /payments", request.idempotency_key, body, charge)

    async def _check_own(self, principal: Principal, order_id: str) -> None:
        """Raises NotFound, as for an order without a payment."""
        payment = await self._payments.payment(order_id)
        if not await self._ownership.owns(principal, payment.allocation.concert_id):
            raise payment_not_found(order_id)

    @route(
        "GET",
        "/payments",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List payments",
        description=(
            "Those for the organizer's own concerts: a page may have fewer than `limit`, and a `next`. A cart was "
            "charged once, and is listed line by line, as its orders, on one page, which may have more than `limit` by "
            "that; with a cart's id as `orderId`, whole."
        ),
        replies={200: Reply(Page[PaymentView])},
    )
    async def list_payments(self, request: Request, query: FindPayments) -> Response:
        """A page of them."""
        wanted = listed(order_id=query.order_id, after=query.after, limit=query.limit)
        found, following = await self._payments.find(wanted)
        lines = [line for each in found for line in carts.lines_of(each) if query.order_id in (None, line.order_id)]
        if query.order_id is not None and not lines:  # the cart itself
            lines = found
        lines = await self._ownership.of(asking(request), lines, lambda payment: payment.allocation.concert_id)
        return json_response(Page([PaymentView.of(each) for each in lines], following))

    @route("POST", "/payments/compare", credential=Credential.SERVICE, callers=("orders",))
    async def compare_orders(self, _: Request, body: CompareOrders) -> Response:
        """For orders in a process of its own, about orders of which it hears nothing more."""
        standings = await self._payments.compare(body.orders)
        return json_response(ComparedOrders(list(standings.values())))
