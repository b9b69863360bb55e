"""Payments over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Meta

from cludale.http.access import Access
from cludale.http.answers import Answer, json_answer
from cludale.http.fields import PaymentMethod
from cludale.http.keyed import Keyed
from cludale.http.paging import DEFAULT_LIMIT, After, Limit, Page
from cludale.http.problems import Problems, Statuses, Unauthorized
from cludale.http.routing import (
    ORGANIZER,
    IdempotencyKey,
    JsonBody,
    Traceparent,
    organizer_only,
    refusals,
    respond,
    usable_trace,
)
from cludale.kernel.events import Cause
from cludale.kernel.ids import Id
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, IdempotencyKeyInFlight, IdempotencyKeyReused, Invalid, NotFound
from cludale.ports.charges import COMPARED_AT_ONCE, ChargeQuestion, ChargeStanding
from cludale.ports.payment_gateway import UnknownMethod, check_method
from cludale.ports.records import Query, Records, UnusableCursor
from cludale.ports.seats import ConcertOver
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.payments.domain import Attempt, Payment, PaymentClosed, SeatsGone, Status, payment_id
from cludale.services.payments.service import Payments

STATUS: Statuses = {PaymentClosed: 409, SeatsGone: 409, ConcertOver: 409, UnknownMethod: 422}

_PAYMENT_STATUS = (
    "of the money alone. Pending: a charge is open. Completed: taken. Failed: the last charge took nothing; why, is in "
    "`attempts`: after a decline the order's `payment` says Declined, else Failed. Refunded: taken, and given back"
)

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
        )


class PaymentsApi:
    """The routes of payments."""

    def __init__(self, payments: Payments, records: Records, access: Access, *, methods: Sequence[str]) -> None:
        self._methods = methods
        self._payments = payments
        self._access = access
        self._keyed = Keyed(IdempotencyKeys("payments", records), _PROBLEMS)

    async def charge(self, wish: ChargeOrder, key: str | None, traceparent: str | None) -> Answer:
        """200 the payment as it is once the attempt is over."""
        if wish.method is not None:
            check_method("method", wish.method, self._methods)

        async def charge() -> Answer:
            cause = Cause(None, usable_trace(traceparent))
            return json_answer(
                PaymentView.of(await self._payments.charge_now(wish.order_id, method=wish.method, cause=cause))
            )

        if key is None:
            return await charge()
        # Charging is safe to repeat by itself: an order has one payment, and a round one key at the provider's.
        return await self._keyed.once_apart("POST /payments", key, wish, charge)

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes for Litestar."""
        payments, organizer = self._payments, organizer_only(self._access)

        @post(
            "/payments",
            dto=JsonBody[ChargeOrder],
            return_dto=None,
            status_code=200,
            guards=[organizer],
            security=ORGANIZER,
            tags=["payments"],
            summary="Charge an order now",
            description=(
                "For a telephone sale, or again after a decline. An order that is paid is not charged twice. Once its "
                "hold has ended, it is charged only if its section has seats for it; should others be faster, the "
                "money goes back, and the answer says `Refunded`."
            ),
            responses=refusals(
                STATUS,
                Unauthorized,
                NotFound,
                PaymentClosed,
                SeatsGone,
                ConcertOver,
                IdempotencyKeyInFlight,
                Invalid,
                UnknownMethod,
                IdempotencyKeyReused,
                Busy,
            ),
        )
        async def charge_order(
            data: ChargeOrder,
            idempotency_key: IdempotencyKey = None,
            traceparent: Traceparent = None,
        ) -> Response[PaymentView]:
            return respond(await self.charge(data, idempotency_key, traceparent))

        @get(
            "/payments",
            guards=[organizer],
            security=ORGANIZER,
            tags=["payments"],
            summary="List payments",
            responses=refusals(STATUS, Unauthorized, Invalid, UnusableCursor),
        )
        async def list_payments(
            order_id: Annotated[str | None, QueryParameter(name="orderId")] = None,
            limit: Limit = DEFAULT_LIMIT,
            after: After = None,
        ) -> Response[Page[PaymentView]]:
            wanted = Query(after=after, limit=limit)
            if order_id is not None:
                wanted = wanted._replace(equal={"orderId": order_id}, partition=payment_id(order_id))
            found, following = await payments.find(wanted)
            return respond(json_answer(Page([PaymentView.of(each) for each in found], following)))

        @post(
            "/payments/compare",
            dto=JsonBody[CompareOrders],
            return_dto=None,
            status_code=200,
            guards=[organizer],
            security=ORGANIZER,
            include_in_schema=False,
        )
        async def compare_orders(data: CompareOrders) -> Response[ComparedOrders]:
            # For orders in a process of its own, about orders of which it hears nothing more.
            standings = await payments.compare(data.orders)
            return respond(json_answer(ComparedOrders(list(standings.values()))))

        return [charge_order, list_payments, compare_orders]
