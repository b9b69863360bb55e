"""Carts over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.bills import MOST_CATEGORIES, PriceWish, TicketCount
from cludale.kernel.carts import MOST_LINES
from cludale.kernel.ids import Id
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound, Refusal
from cludale.ports.entrance import AlreadyAdmitted
from cludale.ports.payment_gateway import UnknownMethod, check_method
from cludale.ports.records import Put, Records
from cludale.ports.seats import (
    HoldEnded,
    LineRefused,
    OtherOrganizer,
    SeatsNotFree,
)
from cludale.runtime.idempotency import IdempotencyKeys, Keep
from cludale.services.orders.api import (
    MAX_PRICE,
    MAX_TOTAL,
    REFUSED_PLACING,
    TICKETS,
    OrdersApi,
    PayAgain,
    ShowOrder,
    language_of,
    wish_of,
)
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.carts.domain import CartStatus, PartOfCart
from cludale.services.orders.carts.service import KnownCart
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import AlreadyPaid, ChargeOpen, NotReserved, OrderRequest, TooLateToCancel
from cludale.services.orders.privacy.domain import NOTHING
from cludale.services.orders.service import Orders
from cludale.services.orders.store import CARTS, home_of
from cludale.services.orders.views import BILLING, OrderView, PlacedOrder, view_of
from cludale.web.access import Access, Who
from cludale.web.fields import Email, LanguageTag, PaymentMethod, Phone, Quantity, Text, UserId
from cludale.web.keyed import Keyed
from cludale.web.ownership import Ownership
from cludale.web.problems import Problems, Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Credential, Owned, Reply, Request, route
from cludale.web.seats import QUANTITY, SeatIds, Wheelchairs, seats_wanted

STATUS: Statuses = {OtherOrganizer: 422, PartOfCart: 409}

_STATUS = (
    "Reserved: its seats are held, and it waits for its money. Paid: all lines were paid; each is an order by itself "
    "from then on. Cancelled: all lines are off, or about to be"
)
_LINES = "one order for each: a concert, a section, so many tickets"


class CartLineWish(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Tickets of one concert and section."""

    concert_id: Id
    quantity: Annotated[Quantity | UnsetType, Meta(description=QUANTITY)] = UNSET
    section: Id | None = None
    seats: SeatIds | UnsetType = UNSET
    wheelchairs: Wheelchairs | UnsetType = UNSET
    max_price: Annotated[Money | UnsetType | None, Meta(description=MAX_PRICE)] = UNSET
    tickets: (
        Annotated[list[TicketCount], Meta(min_length=1, max_length=MOST_CATEGORIES, description=TICKETS)] | UnsetType
    ) = UNSET
    code: Annotated[str, Meta(max_length=64, description="a discount code")] | UnsetType | None = UNSET
    max_total: Annotated[Money | UnsetType | None, Meta(description=MAX_TOTAL)] = UNSET

    @property
    def wish(self) -> PriceWish | None:
        """Which tickets, by what code, if that is said."""
        return wish_of(self.tickets, self.code, self.max_total)

    def seats_wanted(self, number: int) -> int:
        """How many. `number`: which line it is, from 0. Raises Invalid."""
        try:
            return seats_wanted(self.quantity, self.seats, self.wheelchairs, self.tickets)
        except Invalid as wrong:
            raise named(LineRefused(number, wrong)) from wrong


class CartView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A cart and its lines as they stand now."""

    id: str
    user_id: str
    status: Annotated[CartStatus, Meta(description=_STATUS)]
    total: Annotated[Money, Meta(description="of all lines, charged at once")]
    created_at: datetime
    expires_at: Annotated[datetime, Meta(description="the seats of all lines are held until then")]
    lines: Annotated[Sequence[OrderView], Meta(description=_LINES)]

    @classmethod
    def of(cls, known: KnownCart, lines: list[OrderView]) -> "CartView":
        """The view of a cart."""
        return cls(**_shown(known), lines=lines)


class PlacedCart(CartView, frozen=True, kw_only=True, rename="camel"):
    """A new cart, with the bearer token that opens it; each line has one of its own."""

    lines: Annotated[Sequence[PlacedOrder], Meta(description=_LINES)]
    access_token: Annotated[str, Meta(description="the bearer token of this cart's routes; shown only here")]


def _shown(known: KnownCart) -> dict[str, Any]:
    cart = known.cart
    return {
        "id": cart.id,
        "user_id": cart.user_id,
        "status": known.status,
        "total": cart.total,
        "created_at": cart.created_at,
        "expires_at": cart.expires_at,
    }


class PlaceCart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a buyer orders at once: for one organizer's concerts, in one currency."""

    SHOWN_AS: ClassVar = PlacedCart

    user_id: UserId
    lines: Annotated[list[CartLineWish], Meta(min_length=1, max_length=MOST_LINES, description=_LINES)]
    payment_method: PaymentMethod = "card-ok"
    email: Email | None = None
    phone: Phone | None = None
    name: Text | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET
    billing_address: Annotated[BillingAddress | UnsetType | None, Meta(description=BILLING)] = UNSET


class CartsApi:
    """The routes of carts."""

    def __init__(
        self,
        orders: Orders,
        single: OrdersApi,
        records: Records,
        statuses: Statuses,
        access: Access,
        ownership: Ownership,
        *,
        methods: Sequence[str],
    ) -> None:
        """`single`: the routes of single orders. `statuses`: of all that orders refuses."""
        self._orders = orders
        self._single = single
        self._access = access
        self._ownership = ownership
        self._methods = methods
        self._problems = Problems(statuses)
        self._keyed = Keyed(IdempotencyKeys("orders", records), self._problems)

    def _turn_away(self) -> Response | None:
        return self._single.turn_away()

    @route(
        "POST",
        "/orders/carts",
        turned_away=_turn_away,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Order tickets of several concerts or sections at once",
        description=(
            "Holds the seats of all lines or of none, and charges them together, once. A refusal says in `line` which "
            "line it is about, from 0, and names its fields `lines[0].section`. Each line becomes an order, which is "
            "shown, given back and refunded by itself once the cart is Paid; until then all of it is paid or none. "
            "All lines are for concerts of one organizer, in one currency. `GET /orders/carts/{id}?wait=2` tells how "
            "it went."
        ),
        replies={201: Reply(PlacedCart, "The cart, Reserved.")},
        refusals=(*REFUSED_PLACING, SeatsNotFree, OtherOrganizer),
    )
    async def place_cart(self, request: Request, body: PlaceCart) -> Response:
        """201 the cart, Reserved, with its lines."""
        check_method("paymentMethod", body.payment_method, self._methods)
        wanted = self._wanted(request, body)
        cause, key = request.cause, request.idempotency_key
        try:
            if key is None:
                return self._answer(await self._orders.carts.place(wanted, cause=cause))
            home = home_of(key, partitions_apart=self._single.partitions_apart, route="POST /orders/carts")

            async def act(keep: Keep) -> Response:
                def keep_answer(known: KnownCart) -> Put:
                    return keep(Keyed.kept(self._answer(known)))

                try:
                    placed = await self._orders.carts.place(wanted, cause=cause, home=home, keep=keep_answer)
                except LineRefused as refused:
                    raise named(refused) from refused
                return self._answer(placed)

            return await self._keyed.once("POST /orders/carts", key, body, act, partition=home)
        except LineRefused as refused:
            raise named(refused) from refused

    def _wanted(self, request: Request, body: PlaceCart) -> list[OrderRequest]:
        address, language = self._single.address_of(request), language_of(request, body)
        return [
            OrderRequest(
                concert_id=line.concert_id,
                user_id=body.user_id,
                quantity=line.seats_wanted(number),
                section=line.section,
                seats=() if line.seats is UNSET else tuple(line.seats),
                wheelchairs=line.wheelchairs or 0,
                payment_method=body.payment_method,
                email=body.email,
                phone=body.phone,
                max_price=line.max_price or None,
                name=body.name or None,
                language=language,
                wish=line.wish,
                address=address,
                billing=body.billing_address or None,
            )
            for number, line in enumerate(body.lines)
        ]

    def _answer(self, known: KnownCart) -> Response:
        lines = [self._single.placed_view(order) for order in known.orders]
        view = PlacedCart(**_shown(known), lines=lines, access_token=self._access.token_for(known.cart.id))
        return json_response(view, 201)

    @route(
        "GET",
        "/orders/carts/{cart_id}",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Look at a cart",
        replies={200: Reply(CartView, "The cart.")},
        refusals=(NotFound,),
    )
    async def show_cart(self, request: Request, query: ShowOrder) -> Response:
        """The cart; with `wait`, once all its lines are settled."""
        who = await self._who(request, Scope.READ)
        if query.wait:
            known = await self._orders.news.settled_cart(request.segment, wait_seconds=query.wait)
        else:
            known = await self._orders.carts.cart(request.segment)
        return await self._shown_to(who, known)

    @route(
        "POST",
        "/orders/carts/{cart_id}/cancel",
        credential=Credential.BUYER,
        scope=Scope.REFUND,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Cancel a cart",
        description=(
            "Seats and money of all lines go back. Cancelled again, it stays as it is. The buyer can do so until the "
            "first of its lines' `cancelUntil`, the organizer at any time."
        ),
        replies={200: Reply(CartView)},
        refusals=(NotFound, TooLateToCancel, AlreadyAdmitted, Busy),
    )
    async def cancel_cart(self, request: Request) -> Response:
        """The cart, Cancelled."""
        who = await self._who(request, Scope.REFUND)
        reason = CancelReason.BUYER if who is Who.BUYER else CancelReason.ORGANIZER
        return await self._shown_to(who, await self._orders.carts.cancel(request.segment, reason, cause=request.cause))

    @route(
        "POST",
        "/orders/carts/{cart_id}/payment",
        credential=Credential.BUYER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Pay a cart in another way",
        description=(
            "After a charge that failed the seats stay held until `expiresAt`: charge all of it anew, by this method."
        ),
        replies={202: Reply(CartView, "The cart, the payment of its lines Pending.")},
        refusals=(NotFound, NotReserved, AlreadyPaid, ChargeOpen, HoldEnded, UnknownMethod, Busy),
    )
    async def pay_cart_again(self, request: Request, body: PayAgain) -> Response:
        """202 the cart, its payment Pending again."""
        await self._who(request, Scope.SELL)
        check_method("paymentMethod", body.payment_method, self._methods)
        cart_id, method, cause, key = request.segment, body.payment_method, request.cause, request.idempotency_key
        return await self._keyed.changed(
            f"POST /orders/carts/{cart_id}/payment",
            key,
            body,
            lambda keep: self._orders.carts.pay_again(cart_id, method=method, cause=cause, keep=keep),
            _accepted,
            partition=CARTS.partition(cart_id),
        )

    async def _shown_to(self, who: Who, known: KnownCart) -> Response:
        left = {} if who is Who.BUYER else await self._orders.privacy.of(known.orders)
        lines = [view_of(order, who, left.get(order.id, NOTHING)) for order in known.orders]
        return json_response(CartView.of(known, lines))

    async def _who(self, request: Request, scope: Scope) -> Who:
        """Who asks for this cart. Raises NotFound for anyone but its buyer and its organizer, ScopeMissing."""
        principal: Principal | None = self._access.of_order(request.segment, request.authorization, scope)
        if principal is None:
            return Who.BUYER
        if not self._ownership.sees_all(principal):
            known = await self._orders.carts.cart(request.segment)
            owned = await self._ownership.owned(principal, [each.seats.concert_id for each in known.orders])
            if any(each.seats.concert_id not in owned for each in known.orders):
                raise NotFound("cart", request.segment)
        return Who.ORGANIZER


def named(refused: LineRefused) -> Refusal:
    """The refusal of a line, which says which line it is about."""
    refusal, line = refused.refusal, refused.line
    if "errors" in refusal.values:
        errors: list[Mapping[str, str]] = refusal.values["errors"]
        refusal.values["errors"] = [{**each, "field": f"lines[{line}].{each['field']}"} for each in errors]
        refusal.detail = "; ".join(f"{each['field']}: {each['message']}" for each in refusal.values["errors"])
    else:
        refusal.detail = f"lines[{line}]: {refusal.detail}"
    refusal.values["line"] = line
    return refusal


def _accepted(known: KnownCart) -> Response:
    lines = [view_of(order, Who.BUYER) for order in known.orders]
    return json_response(CartView.of(known, lines), 202)
