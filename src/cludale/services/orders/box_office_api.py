"""Sales at the box office over HTTP. The order goes the way of all orders; only its money is not the provider's."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel import languages
from cludale.kernel.bills import MOST_CATEGORIES, PriceWish, TicketCount
from cludale.kernel.ids import Id
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, Invalid
from cludale.kernel.tills import MOST_AT_OFFICE, Receipt, Till, TillMethod
from cludale.ports.prices import (
    CategoryNotFound,
    CategoryNotSold,
    CodeOver,
    CodeUnknown,
    CodeUsedUp,
    TotalTooHigh,
)
from cludale.ports.records import StoreUnavailable
from cludale.ports.seats import (
    BlockNotFound,
    BlockTooSmall,
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    SaleEnded,
    SalePaused,
    SeatsNotFree,
    SeatsUnavailable,
    SectionNotFound,
)
from cludale.services.orders.api import OrdersApi
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.order import OrderRequest
from cludale.services.orders.views import BILLING, PlacedOrder
from cludale.web.fields import Email, LanguageTag, Phone, Text, UserId
from cludale.web.ownership import Ownership
from cludale.web.responses import Response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Owned, Reply, Request, asking, route
from cludale.web.seats import QUANTITY, SeatIds, Wheelchairs, seats_wanted

SOLD_TO = "box-office"
"""The `userId` of an order that names none."""

_METHOD = "cash; terminal: by a card terminal that is not ours; complimentary: it costs nothing, and needs a `reason`"
_ANY_TIME = "also before the concert's `onSaleAt` and after its `offSaleAt`; never once it is over"
_TICKETS = "how many of which category, `quantity` together; without it all are of the concert's first"
_BLOCK = "out of this block of seats that are held back: `GET /concerts/{id}/blocks`"
_REASON = "why it is complimentary; only organizers see it"


class SellAtBoxOffice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is sold at the box office."""

    SHOWN_AS: ClassVar = PlacedOrder

    concert_id: Id
    quantity: Annotated[int, Meta(ge=1, le=MOST_AT_OFFICE, description=QUANTITY)] | UnsetType = UNSET
    method: Annotated[TillMethod, Meta(description=_METHOD)]
    receipt: Receipt | None = None
    reason: Annotated[Text, Meta(description=_REASON)] | None = None
    section: Id | None = None
    tickets: (
        Annotated[list[TicketCount], Meta(min_length=1, max_length=MOST_CATEGORIES, description=_TICKETS)] | UnsetType
    ) = UNSET
    code: Annotated[str, Meta(max_length=64, description="a discount code")] | None = None
    max_total: Annotated[Money, Meta(description="what the seller told the buyer: it may not cost more")] | None = None
    any_time: Annotated[bool, Meta(description=_ANY_TIME)] = False
    block: Annotated[Id, Meta(description=_BLOCK)] | UnsetType = UNSET
    user_id: UserId = SOLD_TO
    name: Text | None = None
    email: Annotated[Email, Meta(description="where the tickets are sent, if anywhere")] | None = None
    phone: Phone | None = None
    language: LanguageTag | None = None
    seats: SeatIds | UnsetType = UNSET
    wheelchairs: Wheelchairs | UnsetType = UNSET
    billing_address: Annotated[BillingAddress | UnsetType | None, Meta(description=BILLING)] = UNSET

    def check(self) -> None:
        """Raises Invalid for what does not go together."""
        is_free = self.method is TillMethod.COMPLIMENTARY
        wrong: list[tuple[str, str]] = []
        if is_free and self.reason is None:
            wrong.append(("reason", "is required for complimentary tickets"))
        if not is_free and self.reason is not None:
            wrong.append(("reason", "is for complimentary tickets only"))
        if self.receipt is not None and self.method is not TillMethod.TERMINAL:
            wrong.append(("receipt", "is a card terminal's"))
        for field, given in (("code", self.code), ("maxTotal", self.max_total)):
            if is_free and given is not None:
                wrong.append((field, "complimentary tickets cost nothing"))
        if wrong:
            raise Invalid(*wrong)

    def request(self, seller: Principal) -> OrderRequest:
        """The order, as this seller wants it. Raises Invalid."""
        self.check()
        tickets = () if self.tickets is UNSET else tuple(self.tickets)
        wish = PriceWish(tickets=tickets, code=self.code, max_total=self.max_total)
        quantity = seats_wanted(self.quantity, self.seats, self.wheelchairs, self.tickets)
        if quantity > MOST_AT_OFFICE:
            raise Invalid(("quantity", f"must be at most {MOST_AT_OFFICE}"))
        has_contact = self.email is not None or self.phone is not None
        return OrderRequest(
            concert_id=self.concert_id,
            user_id=self.user_id,
            quantity=quantity,
            section=self.section,
            payment_method=self.method.value,
            email=self.email,
            phone=self.phone,
            name=self.name,
            language=languages.of_tag(self.language) if self.language is not None and has_contact else None,
            wish=wish if wish != PriceWish() else None,
            till=Till(
                method=self.method,
                seller=seller.id,
                receipt=self.receipt,
                any_time=self.any_time,
                block=self.block or None,
            ),
            why_free=self.reason,
            seats=() if self.seats is UNSET else tuple(self.seats),
            wheelchairs=self.wheelchairs or 0,
            billing=self.billing_address or None,
        )


class BoxOfficeApi:
    """The routes of the box office."""

    def __init__(self, api: OrdersApi, ownership: Ownership) -> None:
        self._api = api
        self._ownership = ownership

    @route(
        "POST",
        "/orders/box-office",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Sell at the box office",
        description=(
            "For cash, by a card terminal that is not ours, or as complimentary tickets. Seats, prices, categories and "
            "codes are those of all buyers, and it is Paid as any order is, once its seats are sold: "
            "`GET /orders/{id}?wait=2` tells. The payment provider is never asked: the money is noted as taken by "
            "whoever's key or session this is, and as given back when the order is cancelled or refunded in part. "
            f"An order may have {MOST_AT_OFFICE} tickets, whatever the concert's limits for buyers. Without an e-mail "
            "address or a phone number nobody is told; the order's token opens its tickets, to be printed."
        ),
        replies={201: Reply(PlacedOrder, "The order, Reserved."), 202: Reply(PlacedOrder, "The order, Pending.")},
        refusals=(
            ConcertNotFound,
            SeatsUnavailable,
            SeatsNotFree,
            NotOnSale,
            SaleEnded,
            SalePaused,
            CalledOff,
            ConcertOver,
            OverTheLimit,
            CategoryNotFound,
            CategoryNotSold,
            CodeUnknown,
            CodeOver,
            CodeUsedUp,
            TotalTooHigh,
            OtherCurrency,
            SectionNotFound,
            BlockNotFound,
            BlockTooSmall,
            Busy,
            StoreUnavailable,
        ),
    )
    async def sell_at_box_office(self, request: Request, body: SellAtBoxOffice) -> Response:
        """201 the order, Reserved; 202 Pending, when concerts gave no answer in time."""
        seller = asking(request)
        await self._ownership.check(seller, body.concert_id)
        wanted = body.request(seller)
        return await self._api.placed(request, wanted, body, named="POST /orders/box-office", kind=b"box-office ")
