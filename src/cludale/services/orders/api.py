"""Orders over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, ClassVar, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel import languages
from cludale.kernel.bills import MOST_CATEGORIES, PriceWish, TicketCount
from cludale.kernel.ids import Id
from cludale.kernel.money import Money
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.entrance import AlreadyAdmitted
from cludale.ports.payment_gateway import UnknownMethod, check_method
from cludale.ports.prices import (
    CategoryNotFound,
    CategoryNotSold,
    CodeOver,
    CodeUnknown,
    CodeUsedUp,
    TotalTooHigh,
    UnderTheMinimum,
)
from cludale.ports.records import Put, Records, StoreUnavailable
from cludale.ports.seats import (
    BuyerLimitReached,
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    HoldsLapsed,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SaleEnded,
    SalePaused,
    SeatsNotFree,
    SeatsUnavailable,
    SectionNotFound,
    TooManyHolds,
    WaitingListFull,
)
from cludale.runtime.admission import TOO_MANY
from cludale.runtime.idempotency import IdempotencyKeys, Keep
from cludale.services.orders import queueing
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.carts.domain import PartOfCart
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import (
    AlreadyPaid,
    ChargeOpen,
    NotReserved,
    Order,
    OrderRequest,
    Status,
    TooLateToCancel,
)
from cludale.services.orders.privacy.domain import NOTHING, words
from cludale.services.orders.queueing import NothingOffered
from cludale.services.orders.service import Orders
from cludale.services.orders.store import ORDERS, Search, home_of, keyed_id, listed
from cludale.services.orders.views import BILLING, OrderView, PlacedOrder, WaitingView, shown, view_of
from cludale.web.access import Access, Who
from cludale.web.fields import Email, LanguageTag, PaymentMethod, Phone, Quantity, Text, TimeParameter, UserId, moment
from cludale.web.keyed import Keyed
from cludale.web.ownership import Ownership
from cludale.web.problems import Problems, Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Credential, Owned, Reply, Request, asking, route
from cludale.web.seats import QUANTITY, SeatIds, Wheelchairs, seats_wanted

REFUSED_PLACING = (
    ConcertNotFound,
    SeatsUnavailable,
    PriceTooHigh,
    NotOnSale,
    SaleEnded,
    SalePaused,
    CalledOff,
    ConcertOver,
    UnknownMethod,
    OverTheLimit,
    UnderTheMinimum,
    CategoryNotFound,
    CategoryNotSold,
    CodeUnknown,
    CodeOver,
    CodeUsedUp,
    TotalTooHigh,
    BuyerLimitReached,
    TooManyHolds,
    HoldsLapsed,
    OtherCurrency,
    SectionNotFound,
    Busy,
    StoreUnavailable,
)
"""Why tickets are not ordered, whatever is ordered with them."""

STATUS: Statuses = {
    BuyerLimitReached: 409,
    TooManyHolds: 409,
    HoldsLapsed: 429,
    CalledOff: 409,
    SaleEnded: 409,
    SalePaused: 409,
    ConcertNotFound: 404,
    ConcertOver: 409,
    CategoryNotFound: 422,
    CategoryNotSold: 409,
    CodeOver: 409,
    CodeUnknown: 422,
    CodeUsedUp: 409,
    TotalTooHigh: 409,
    UnderTheMinimum: 422,
    HeldOtherwise: 409,
    HeldElsewhere: 409,
    HoldEnded: 409,
    NotOnSale: 409,
    OtherCurrency: 422,
    OverTheLimit: 422,
    WaitingListFull: 409,
    NothingOffered: 409,
    PriceTooHigh: 409,
    SeatsUnavailable: 409,
    SeatsNotFree: 409,
    SectionNotFound: 422,
    TooLateToCancel: 409,
    AlreadyAdmitted: 409,
    UnknownMethod: 422,
    NotReserved: 409,
    AlreadyPaid: 409,
    ChargeOpen: 409,
}

MAX_WAIT_SECONDS = 30

MAX_PRICE = "the most that one seat may cost; where it costs more, the answer is 409 price-too-high"

TICKETS = (
    "how many of which category, `quantity` together; without it all are of the concert's first. `POST "
    "/concerts/{id}/quote` says what they cost"
)
MAX_TOTAL = "the most that all may cost, with fees and taxes; where it is more, the answer is 409 total-too-high"
_WAITING_LIST = (
    "wait for seats that come back: the order is Pending, `waiting` says where it stands, and once seats are held for "
    "it, `POST /orders/{id}/payment` takes them; nothing is charged before. Needs an e-mail address or a phone number. "
    "A `code` is used, and `maxPerBuyer` counts, once seats are held for it: who has as many tickets by then, or whose "
    "code is over or used up, gets none, and the order is Cancelled"
)


_encode = msgspec.json.Encoder().encode

_PROBLEMS = Problems(STATUS)

Wait = Annotated[
    float,
    Meta(ge=0, le=MAX_WAIT_SECONDS, description="seconds to wait for Paid or Cancelled at most"),
]


_SEARCHED = "these are looked for page by page: there may be a `next` after few items or none"
_NAMED = f"words with which those of the buyer's name begin, without regard to capitals and accents; {_SEARCHED}"


class PayAgain(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Another way to pay for an order whose charge failed."""

    payment_method: PaymentMethod


def wish_of(
    tickets: Sequence[TicketCount] | UnsetType, code: str | UnsetType | None, max_total: Money | UnsetType | None
) -> PriceWish | None:
    """Which tickets, by what code, for how much at most; None where nothing of that is said."""
    if tickets is UNSET and not code and not max_total:
        return None
    return PriceWish(tickets=() if tickets is UNSET else tuple(tickets), code=code or None, max_total=max_total or None)


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a buyer orders. `paymentMethod` is the payment provider's name for how it is paid."""

    SHOWN_AS: ClassVar = PlacedOrder

    concert_id: Id
    user_id: UserId
    quantity: Annotated[Quantity | UnsetType, Meta(description=QUANTITY)] = UNSET
    section: Id | None = None
    payment_method: PaymentMethod = "card-ok"
    email: Email | None = None
    phone: Phone | None = None
    max_price: Annotated[Money | UnsetType | None, Meta(description=MAX_PRICE)] = UNSET
    name: Text | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET
    tickets: (
        Annotated[list[TicketCount], Meta(min_length=1, max_length=MOST_CATEGORIES, description=TICKETS)] | UnsetType
    ) = UNSET
    code: Annotated[str, Meta(max_length=64, description="a discount code")] | UnsetType | None = UNSET
    max_total: Annotated[Money | UnsetType | None, Meta(description=MAX_TOTAL)] = UNSET
    waiting_list: Annotated[bool | UnsetType, Meta(description=_WAITING_LIST)] = UNSET
    seats: SeatIds | UnsetType = UNSET
    wheelchairs: Wheelchairs | UnsetType = UNSET
    billing_address: Annotated[BillingAddress | UnsetType | None, Meta(description=BILLING)] = UNSET

    @property
    def wish(self) -> PriceWish | None:
        """Which tickets, by what code, if that is said."""
        return wish_of(self.tickets, self.code, self.max_total)


class ShowOrder(msgspec.Struct, frozen=True):
    """How an order is shown."""

    wait: Wait = 0


class OrderSort(StrEnum):
    """By what orders are sorted."""

    CREATED = "createdAt"
    LATEST = "-createdAt"


class FindOrders(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which orders to list."""

    concert_id: str | None = None
    status: Status | None = None
    user_id: Annotated[str, Meta(max_length=128, description=_SEARCHED)] | None = None
    email: Annotated[str, Meta(max_length=320, description=f"the whole address, in any case; {_SEARCHED}")] | None = (
        None
    )
    name: Annotated[str, Meta(min_length=1, max_length=200, description=_NAMED)] | None = None
    id_prefix: Annotated[str, Meta(max_length=64, description=f"how the id begins; {_SEARCHED}")] | None = None
    since: Annotated[TimeParameter, Meta(description="placed at this time or later")] | None = None
    until: Annotated[TimeParameter, Meta(description="placed before this time")] | None = None
    sort: Annotated[OrderSort, Meta(description="as they were placed, or the latest first")] = OrderSort.CREATED


class AskProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The orders after which change of which concert."""

    concert_id: str
    revision: int


class OrdersApi:
    """The routes of orders."""

    def __init__(
        self,
        orders: Orders,
        records: Records,
        access: Access,
        ownership: Ownership,
        *,
        methods: Sequence[str],
        address: Callable[[str, Mapping[bytes, bytes]], str] | None = None,
        partitions_apart: bool = False,
    ) -> None:
        """`methods`: the ways to pay that the provider knows. `address(peer, headers)`: where a request comes from,
        if unpaid orders are counted by that. `partitions_apart`: a record is found in its own partition only.
        """
        self.partitions_apart = partitions_apart
        self._address = address
        self._ownership = ownership
        self._methods = methods
        self._orders = orders
        self._access = access
        self._keyed = Keyed(IdempotencyKeys("orders", records), _PROBLEMS)
        self._turned_away = _PROBLEMS.answer(Busy(TOO_MANY))

    def turn_away(self) -> Response | None:
        """Nothing else is looked at then."""
        return self._turned_away if self._orders.turns_away() else None

    def address_of(self, request: Request) -> str | None:
        """Where it comes from, if unpaid orders are counted by that."""
        return None if self._address is None else self._address(request.peer, request.headers)

    @route(
        "POST",
        "/orders",
        turned_away=turn_away,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Order tickets",
        description=(
            "Holds the seats and takes the order. Without a `section`, the seats are in the cheapest one that has "
            "room for all of them, of equal ones in the one listed first; a section that is free of charge is had "
            "by its name only, unless all are. With a `maxPrice` no seat costs more, and with a `maxTotal` all do not, "
            "with fees and taxes. Payment follows by itself; "
            "`GET /orders/{id}?wait=2` tells how it went. 202 means that the seats could not be asked for in time: "
            "the order is Pending and is finished in the background. Messages are in `language`, or in what "
            "Accept-Language says, as far as there are messages in it."
        ),
        replies={201: Reply(PlacedOrder, "The order, Reserved."), 202: Reply(PlacedOrder, "The order, Pending.")},
        refusals=(*REFUSED_PLACING, SeatsNotFree, WaitingListFull),
    )
    async def place_order(self, request: Request, body: PlaceOrder) -> Response:
        """201 the order, Reserved; 202 Pending, when concerts gave no answer in time."""
        check_method("paymentMethod", body.payment_method, self._methods)
        wanted = OrderRequest(
            concert_id=body.concert_id,
            user_id=body.user_id,
            quantity=seats_wanted(body.quantity, body.seats, body.wheelchairs, body.tickets),
            section=body.section,
            payment_method=body.payment_method,
            email=body.email,
            phone=body.phone,
            max_price=body.max_price or None,
            name=body.name or None,
            language=language_of(request, body),
            wish=body.wish,
            address=self.address_of(request),
            waits=body.waiting_list is True,
            seats=() if body.seats is UNSET else tuple(body.seats),
            wheelchairs=body.wheelchairs or 0,
            billing=body.billing_address or None,
        )
        if wanted.waits and (wanted.seats or wanted.wheelchairs):
            field = "seats" if wanted.seats else "wheelchairs"
            raise Invalid((field, "are not waited for: who waits gets the best seats that come back"))
        if wanted.waits and wanted.contact is None:
            raise Invalid(("email", "or `phone` is required on the waiting list: it is told there that seats are back"))
        return await self.placed(request, wanted, body, named="POST /orders")

    async def placed(
        self, request: Request, wanted: OrderRequest, body: msgspec.Struct, *, named: str, kind: bytes = b""
    ) -> Response:
        """Place an order, once for its idempotency key: the answer is kept under `named`. The order's id follows from
        the key, the `kind` and the body.
        """
        cause, key = request.cause, request.idempotency_key
        if key is None:
            return self._answer(await self._orders.place(wanted, cause=cause))

        home = home_of(key, partitions_apart=self.partitions_apart)

        async def act(keep: Keep) -> Response:
            response: Response | None = None

            def keep_answer(order: Order) -> Put:
                nonlocal response
                response = self._answer(order)
                return keep(Keyed.kept(response))

            id = keyed_id(home, kind + _encode(body))
            order = await self._orders.place(wanted, cause=cause, order_id=id, keep=keep_answer)
            return response or self._answer(order)

        return await self._keyed.once(named, key, body, act, partition=home)

    def _answer(self, order: Order) -> Response:
        return json_response(self.placed_view(order), 202 if order.status is Status.PENDING else 201)

    def placed_view(self, order: Order) -> PlacedOrder:
        """A new order, with its token."""
        return PlacedOrder(**shown(order), access_token=self._access.token_for(order.id))

    @route(
        "GET",
        "/orders/{order_id}",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Look at an order",
        replies={200: Reply(OrderView, "The order.")},
        refusals=(NotFound,),
    )
    async def show_order(self, request: Request, query: ShowOrder) -> Response:
        """The order; with `wait`, once it is settled."""
        who, order_id = await self.who(request, Scope.READ), request.segment
        if query.wait:
            order = await self._orders.news.settled(order_id, wait_seconds=query.wait)
        else:
            order = await self._orders.order(order_id)
        if not queueing.is_waiting(order):
            return await self.shown_to(who, order)
        left = {} if who is Who.BUYER else await self._orders.privacy.of((order,))
        waiting = WaitingView.of(order, await self._orders.in_line(order))
        view = msgspec.structs.replace(view_of(order, who, left.get(order.id, NOTHING)), waiting=waiting)
        return json_response(view)

    @route(
        "POST",
        "/orders/{order_id}/cancel",
        credential=Credential.BUYER,
        scope=Scope.REFUND,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Cancel an order",
        description=(
            "Seats and money go back. Cancelled again, it stays as it is. Once it has seats, the buyer can do so "
            "until its `cancelUntil`, if nobody was let in with a ticket of it; the organizer at any time."
        ),
        replies={200: Reply(OrderView)},
        refusals=(NotFound, TooLateToCancel, AlreadyAdmitted, PartOfCart, Busy),
    )
    async def cancel_order(self, request: Request) -> Response:
        """The order, Cancelled."""
        who, seller = await self.party(request, Scope.REFUND)
        reason = CancelReason.BUYER if who is Who.BUYER else CancelReason.ORGANIZER
        order = await self._orders.cancel(request.segment, reason, request.cause, seller=seller)
        return await self.shown_to(who, order)

    @route(
        "POST",
        "/orders/{order_id}/payment",
        credential=Credential.BUYER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Pay in another way",
        description=(
            "After a charge that failed the seats stay held until `expiresAt`: charge anew, by this method. An order "
            "that waited takes by it what it is offered. "
            "`GET /orders/{id}?wait=2` tells how it went."
        ),
        replies={202: Reply(OrderView, "The order, its payment Pending.")},
        refusals=(
            NotFound,
            NotReserved,
            NothingOffered,
            AlreadyPaid,
            ChargeOpen,
            HoldEnded,
            PartOfCart,
            UnknownMethod,
            Busy,
        ),
    )
    async def pay_order_again(self, request: Request, body: PayAgain) -> Response:
        """202 the order, its payment Pending again."""
        await self.who(request, Scope.SELL)
        check_method("paymentMethod", body.payment_method, self._methods)
        order_id, method, cause, key = request.segment, body.payment_method, request.cause, request.idempotency_key
        return await self._keyed.changed(
            f"POST /orders/{order_id}/payment",
            key,
            body,
            lambda keep: self._orders.pay_again(order_id, method=method, cause=cause, keep=keep),
            _accepted,
            partition=ORDERS.partition(order_id),
        )

    @route(
        "GET",
        "/orders",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List orders",
        description=(
            "Those of the organizer's own concerts. Where several organizers sell, they are looked for page by page, "
            "unless a concert is named: there may be a `next` after few items or none."
        ),
        replies={200: Reply(Page[OrderView])},
    )
    async def list_orders(self, request: Request, query: FindOrders) -> Response:
        """A page of them."""
        principal = asking(request)
        concert_id = principal.concert_id if query.concert_id is None else query.concert_id
        asked = listed(
            concert_id=concert_id,
            status=query.status,
            after=query.after,
            limit=query.limit,
            descending=query.sort is OrderSort.LATEST,
        )
        search = Search(
            email=query.email,
            name=None if query.name is None else _words(query.name),
            id_prefix=query.id_prefix,
            user_id=query.user_id,
            since=moment("since", query.since),
            until=moment("until", query.until),
        )
        if concert_id is not None and not await self._ownership.owns(principal, concert_id):
            return json_response(Page[OrderView]([], None))
        if search.narrows:
            found, following = await self._orders.finder.search(search, asked)
        else:
            found, following = await self._orders.finder.find(asked)
        if concert_id is None:
            found = await self._ownership.of(principal, found, lambda order: order.seats.concert_id)
        left = await self._orders.privacy.of(found)
        views = [view_of(each, Who.ORGANIZER, left.get(each.id, NOTHING)) for each in found]
        return json_response(Page(views, following))

    @route("GET", "/orders/{order_id}/contact", credential=Credential.SERVICE, callers=("notifications", "tickets"))
    async def show_contact(self, request: Request) -> Response:
        """For notifications in a process of its own: the address is in no event."""
        found = await self._orders.privacy.contacts([request.segment])
        if request.segment not in found:
            raise NotFound("order", request.segment)
        return json_response(found[request.segment])

    @route("GET", "/orders/-/jobs", credential=Credential.SERVICE, callers=("concerts",))
    async def show_progress(self, _: Request, query: AskProgress) -> Response:
        """For concerts in a process of its own: 204 where nothing is known of it yet."""
        progress = await self._orders.progress(query.concert_id, query.revision)
        return Response(204, b"") if progress is None else json_response(progress)

    async def shown_to(self, who: Who, order: Order, status: int = 200) -> Response:
        """The order, as the buyer or the organizer sees it. Raises Busy where the organizer's part can't be read."""
        left = {} if who is Who.BUYER else await self._orders.privacy.of((order,))
        return json_response(view_of(order, who, left.get(order.id, NOTHING)), status)

    async def who(self, request: Request, scope: Scope) -> Who:
        """Who asks for this order. Raises NotFound for anyone but its buyer and its organizer, ScopeMissing."""
        return (await self.party(request, scope))[0]

    async def party(self, request: Request, scope: Scope) -> tuple[Who, str | None]:
        """Who asks for this order, and by which key or session if it is not its buyer. Raises as `who`."""
        principal = self._access.of_order(request.segment, request.authorization, scope)
        if principal is None:
            return Who.BUYER, None
        if not self._ownership.sees_all(principal):
            order = await self._orders.order(request.segment)
            if not await self._ownership.owns(principal, order.seats.concert_id):
                raise NotFound("order", request.segment)
        return Who.ORGANIZER, principal.id


def _words(name: str) -> Sequence[str]:
    """What to look for. Raises Invalid."""
    sought = words(name)
    if not sought:
        raise Invalid(("name", "has no letter or digit to look for"))
    return sought


class Contacted(Protocol):
    """A request that says where the buyer gets messages, and in which language."""

    @property
    def email(self) -> str | None:
        """The e-mail address."""

    @property
    def phone(self) -> str | None:
        """The phone number."""

    @property
    def language(self) -> str | UnsetType | None:
        """A language tag."""


def language_of(request: Request, body: Contacted) -> str | None:
    """Which language the buyer reads, as far as there are messages in it; nobody asks where there is no address."""
    if body.email is None and body.phone is None:
        return None
    if body.language:
        return languages.of_tag(body.language)
    header = request.headers.get(b"accept-language")
    return None if header is None else languages.accepted(header.decode("latin-1"))


def _accepted(order: Order) -> Response:
    return json_response(view_of(order, Who.BUYER), 202)
