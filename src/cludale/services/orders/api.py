"""Orders over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Self

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from cludale.http.access import Access, Who
from cludale.http.answers import Answer, json_answer
from cludale.http.bodies import Body, check_media_type
from cludale.http.fields import Email, PaymentMethod, Phone, Quantity, Text
from cludale.http.keyed import Keyed
from cludale.http.paging import DEFAULT_LIMIT, After, Limit, Page
from cludale.http.problems import Problems, Statuses, Unauthorized
from cludale.http.routing import (
    ANYONE,
    BUYER,
    ORGANIZER,
    Authorization,
    Express,
    ExpressRequest,
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
from cludale.ports.contacts import Contact
from cludale.ports.payment_gateway import UnknownMethod, check_method
from cludale.ports.records import Put, Query, Records, StoreUnavailable, UnusableCursor
from cludale.ports.seats import (
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SeatsUnavailable,
    SectionNotFound,
)
from cludale.runtime.gate import TOO_MANY
from cludale.runtime.idempotency import IdempotencyKeys, Keep
from cludale.services.orders.domain import (
    AlreadyPaid,
    ChargeOpen,
    NotReserved,
    Order,
    OrderPayment,
    PaymentStatus,
    Status,
    TooLateToCancel,
    Wish,
)
from cludale.services.orders.events import CancelReason
from cludale.services.orders.service import Orders
from cludale.services.orders.store import ORDERS, home_of, keyed_id

STATUS: Statuses = {
    ConcertNotFound: 404,
    ConcertOver: 409,
    HeldOtherwise: 409,
    HeldElsewhere: 409,
    HoldEnded: 409,
    NotOnSale: 409,
    OtherCurrency: 422,
    OverTheLimit: 422,
    PriceTooHigh: 409,
    SeatsUnavailable: 409,
    SectionNotFound: 422,
    TooLateToCancel: 409,
    UnknownMethod: 422,
    NotReserved: 409,
    AlreadyPaid: 409,
    ChargeOpen: 409,
}

MAX_WAIT_SECONDS = 30

_MAX_PRICE = "the most that one seat may cost; where it costs more, the answer is 409 price-too-high"

_PAYMENT_STATUS = (
    "Pending: a charge is open. Completed: the money was taken. Declined: the card was; Failed: no money came for "
    "another reason (`GET /payments` says Failed for both). Refunded: the money was given back"
)

_encode = msgspec.json.Encoder().encode

_PROBLEMS = Problems(STATUS)

Wait = Annotated[
    float,
    QueryParameter(name="wait", ge=0, le=MAX_WAIT_SECONDS, description="seconds to wait for Paid or Cancelled at most"),
]


_CONTACT = "where the buyer wants to be told; for the organizer only"


class PayAgain(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Another way to pay for an order whose charge failed."""

    payment_method: PaymentMethod


class OrderPaymentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the money of an order stands."""

    status: Annotated[PaymentStatus, Meta(description=_PAYMENT_STATUS)]
    at: Annotated[datetime, Meta(description="since when it stands so")]
    attempts: Annotated[int, Meta(description="tries of the charge that is open, or was the last")]

    @classmethod
    def of(cls, payment: OrderPayment) -> Self:
        """The view of an order's payment."""
        return cls(status=payment.status, at=payment.at, attempts=payment.attempts)


class OrderView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as it stands now."""

    id: str
    concert_id: str
    section: Annotated[str | None, Meta(description="the wished one until seats are had, then theirs")]
    user_id: str
    quantity: int
    status: Status
    reason: Annotated[CancelReason | None, Meta(description="why it was cancelled")]
    total: Annotated[Money | None, Meta(description="known once seats are had")]
    created_at: datetime
    expires_at: Annotated[datetime | None, Meta(description="the seats are held until then")]
    email: Annotated[str | UnsetType | None, Meta(description=_CONTACT)] = UNSET
    phone: Annotated[str | UnsetType | None, Meta(description=_CONTACT)] = UNSET
    cancel_until: Annotated[
        datetime | None, Meta(description="from then on only the organizer can cancel it; known once seats are had")
    ]
    payment: Annotated[OrderPaymentView | None, Meta(description="known once seats are had")]


class PlacedOrder(OrderView, frozen=True, kw_only=True, rename="camel"):
    """A new order, with the bearer token that opens it."""

    access_token: Annotated[str, Meta(description="the bearer token of this order's routes; shown only here")]


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A buyer's wish. `paymentMethod` is the payment provider's name for how it is paid."""

    SHOWN_AS: ClassVar = PlacedOrder

    concert_id: Id
    user_id: Text
    quantity: Quantity
    section: Id | None = None
    payment_method: PaymentMethod = "card-ok"
    email: Email | None = None
    phone: Phone | None = None
    max_price: Annotated[Money | UnsetType | None, Meta(description=_MAX_PRICE)] = UNSET


class OrdersApi:
    """The routes of orders; both lanes call the same methods."""

    def __init__(self, orders: Orders, records: Records, access: Access, *, methods: Sequence[str]) -> None:
        """`methods`: the ways to pay that the provider knows."""
        self._methods = methods
        self._orders = orders
        self._access = access
        self._keyed = Keyed(IdempotencyKeys("orders", records), _PROBLEMS)
        self._place_body = Body(PlaceOrder)
        self._turned_away = _PROBLEMS.answer(Busy(TOO_MANY))

    async def place(self, wish: PlaceOrder, key: str | None, traceparent: str | None) -> Answer:
        """201 the order, Reserved; 202 Pending, when concerts gave no answer in time."""
        check_method("paymentMethod", wish.payment_method, self._methods)
        wanted = Wish(
            concert_id=wish.concert_id,
            user_id=wish.user_id,
            quantity=wish.quantity,
            section=wish.section,
            payment_method=wish.payment_method,
            email=wish.email,
            phone=wish.phone,
            max_price=wish.max_price or None,
        )
        cause = Cause(None, usable_trace(traceparent))
        if key is None:
            return self._placed(await self._orders.place(wanted, cause=cause))

        async def act(keep: Keep) -> Answer:
            def keep_answer(order: Order) -> Put:
                return keep(Keyed.kept(self._placed(order)))

            order_id = keyed_id(key, _encode(wish))
            return self._placed(await self._orders.place(wanted, cause=cause, order_id=order_id, keep=keep_answer))

        return await self._keyed.once("POST /orders", key, wish, act, partition=home_of(key))

    def _placed(self, order: Order) -> Answer:
        view = PlacedOrder(
            id=order.id,
            concert_id=order.concert_id,
            section=order.section,
            user_id=order.user_id,
            quantity=order.quantity,
            status=order.status,
            reason=order.reason,
            total=order.total,
            created_at=order.created_at,
            expires_at=order.expires_at,
            cancel_until=order.cancel_until,
            payment=_payment(order),
            access_token=self._access.token_for(order.id),
        )
        return json_answer(view, 202 if order.status is Status.PENDING else 201)

    async def pay_again(self, order_id: str, wish: PayAgain, key: str | None, traceparent: str | None) -> Answer:
        """202 the order, its payment Pending again."""
        check_method("paymentMethod", wish.payment_method, self._methods)

        cause = Cause(None, usable_trace(traceparent))
        if key is None:
            return _accepted(await self._orders.pay_again(order_id, method=wish.payment_method, cause=cause))

        async def act(keep: Keep) -> Answer:
            def keep_answer(order: Order) -> Put:
                return keep(Keyed.kept(_accepted(order)))

            order = await self._orders.pay_again(order_id, method=wish.payment_method, cause=cause, keep=keep_answer)
            return _accepted(order)

        route = f"POST /orders/{order_id}/payment"
        return await self._keyed.once(route, key, wish, act, partition=ORDERS.partition(order_id))

    def place_express(self, request: ExpressRequest) -> Answer | Awaitable[Answer]:
        """`place` below the framework. Whoever is turned away is so before anything else was looked at."""
        return self._turned_away if self._orders.turns_away() else self._place_express(request)

    async def _place_express(self, request: ExpressRequest) -> Answer:
        check_media_type(request.header(b"content-type"))
        wish = self._place_body.decode(request.body)
        return await self.place(wish, request.header(b"idempotency-key"), request.header(b"traceparent"))

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes for Litestar."""
        orders, access, organizer = self._orders, self._access, organizer_only(self._access)

        @post(
            "/orders",
            dto=JsonBody[PlaceOrder],
            return_dto=None,
            status_code=201,
            security=ANYONE,
            tags=["orders"],
            summary="Order tickets",
            response_description="The order, Reserved.",
            description=(
                "Holds the seats and takes the order. Without a `section`, the seats are in the cheapest one that has "
                "room for all of them, of equal ones in the one listed first; a section that is free of charge is had "
                "by its name only, unless all are. With a `maxPrice` no seat costs more. Payment follows by itself; "
                "`GET /orders/{id}?wait=2` tells how it went. 202 means that the seats could not be asked for in time: "
                "the order is Pending and is finished in the background."
            ),
            responses={
                202: ResponseSpec(PlacedOrder, description="The order, Pending.", generate_examples=False),
                **refusals(
                    STATUS,
                    ConcertNotFound,
                    SeatsUnavailable,
                    PriceTooHigh,
                    NotOnSale,
                    ConcertOver,
                    IdempotencyKeyInFlight,
                    Invalid,
                    UnknownMethod,
                    OverTheLimit,
                    OtherCurrency,
                    SectionNotFound,
                    IdempotencyKeyReused,
                    Busy,
                    StoreUnavailable,
                ),
            },
        )
        async def place_order(
            data: PlaceOrder, idempotency_key: IdempotencyKey = None, traceparent: Traceparent = None
        ) -> Response[PlacedOrder]:
            return respond(await self.place(data, idempotency_key, traceparent))

        @get(
            "/orders/{order_id:str}",
            security=BUYER,
            tags=["orders"],
            summary="Look at an order",
            response_description="The order.",
            responses=refusals(STATUS, NotFound, Invalid),
        )
        async def show_order(order_id: str, authorization: Authorization = None, wait: Wait = 0) -> Response[OrderView]:
            who = access.who_sees(order_id, authorization)
            order = await (orders.settled(order_id, wait_seconds=wait) if wait else orders.order(order_id))
            return respond(json_answer(_view(order, who)))

        @post(
            "/orders/{order_id:str}/cancel",
            status_code=200,
            security=BUYER,
            tags=["orders"],
            summary="Cancel an order",
            description=(
                "Seats and money go back. Cancelled again, it stays as it is. Once it has seats, the buyer can do so "
                "until its `cancelUntil`, the organizer at any time."
            ),
            responses=refusals(STATUS, NotFound, TooLateToCancel, Busy),
        )
        async def cancel_order(
            order_id: str, authorization: Authorization = None, traceparent: Traceparent = None
        ) -> Response[OrderView]:
            who = access.who_sees(order_id, authorization)
            reason = CancelReason.BUYER if who is Who.BUYER else CancelReason.ORGANIZER
            order = await orders.cancel(order_id, reason, Cause(None, usable_trace(traceparent)))
            return respond(json_answer(_view(order, who)))

        @post(
            "/orders/{order_id:str}/payment",
            dto=JsonBody[PayAgain],
            return_dto=None,
            status_code=202,
            security=BUYER,
            tags=["orders"],
            summary="Pay in another way",
            response_description="The order, its payment Pending.",
            description=(
                "After a charge that failed the seats stay held until `expiresAt`: charge anew, by this method. "
                "`GET /orders/{id}?wait=2` tells how it went."
            ),
            responses=refusals(
                STATUS,
                NotFound,
                NotReserved,
                AlreadyPaid,
                ChargeOpen,
                HoldEnded,
                IdempotencyKeyInFlight,
                Invalid,
                UnknownMethod,
                IdempotencyKeyReused,
                Busy,
            ),
        )
        async def pay_order_again(
            order_id: str,
            data: PayAgain,
            authorization: Authorization = None,
            idempotency_key: IdempotencyKey = None,
            traceparent: Traceparent = None,
        ) -> Response[OrderView]:
            access.who_sees(order_id, authorization)
            return respond(await self.pay_again(order_id, data, idempotency_key, traceparent))

        @get(
            "/orders",
            guards=[organizer],
            security=ORGANIZER,
            tags=["orders"],
            summary="List orders",
            responses=refusals(STATUS, Unauthorized, Invalid, UnusableCursor),
        )
        async def list_orders(
            concert_id: Annotated[str | None, QueryParameter(name="concertId")] = None,
            status: Annotated[Status | None, QueryParameter(name="status")] = None,
            user_id: Annotated[
                str | None,
                QueryParameter(
                    name="userId",
                    max_length=128,
                    description="these are looked for page by page: there may be a `next` after few items or none",
                ),
            ] = None,
            limit: Limit = DEFAULT_LIMIT,
            after: After = None,
        ) -> Response[Page[OrderView]]:
            wanted = {"concertId": concert_id, "status": None if status is None else status.value}
            equal = {field: value for field, value in wanted.items() if value is not None}
            query = Query(equal=equal, after=after, limit=limit)
            found, following = await (orders.find(query) if user_id is None else orders.find_of_user(user_id, query))
            return respond(json_answer(Page([_view(each, Who.ORGANIZER) for each in found], following)))

        @get("/orders/{order_id:str}/contact", guards=[organizer], security=ORGANIZER, include_in_schema=False)
        async def show_contact(order_id: str) -> Response[Contact]:
            # For notifications in a process of its own: the address is in no event.
            found = await orders.contacts([order_id])
            if order_id not in found:
                raise NotFound("order", order_id)
            return respond(json_answer(found[order_id]))

        return [place_order, show_order, cancel_order, pay_order_again, list_orders, show_contact]

    def express(self) -> Express:
        """The hot route, below the framework."""
        return {("POST", "/orders"): self.place_express}


def _view(order: Order, who: Who) -> OrderView:
    is_organizer = who is Who.ORGANIZER
    return OrderView(
        email=order.email if is_organizer else UNSET,
        phone=order.phone if is_organizer else UNSET,
        id=order.id,
        concert_id=order.concert_id,
        section=order.section,
        user_id=order.user_id,
        quantity=order.quantity,
        status=order.status,
        reason=order.reason,
        total=order.total,
        created_at=order.created_at,
        expires_at=order.expires_at,
        cancel_until=order.cancel_until,
        payment=_payment(order),
    )


def _accepted(order: Order) -> Answer:
    return json_answer(_view(order, Who.BUYER), 202)


def _payment(order: Order) -> OrderPaymentView | None:
    return OrderPaymentView.of(order.payment) if order.payment is not None else None
