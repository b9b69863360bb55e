"""What may be done about an order after it was placed, over HTTP: part refunds, changes, its confirmation again.

Shapes, routes, refusal → status. Decides nothing; the order itself is in `api.py`.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.bills import MOST_CATEGORIES, TicketCount
from cludale.kernel.money import Money
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.entrance import AlreadyAdmitted
from cludale.ports.records import Records
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.orders.aftersale.domain import (
    RESEND_SECONDS,
    AddressOnInvoice,
    Amendment,
    BuyerErased,
    CommentForOrganizers,
    NoAddress,
    NotPaid,
    RefundTooLarge,
    RefundWish,
    ResentTooSoon,
    TooManyChanges,
    TooManyTickets,
)
from cludale.services.orders.api import OrdersApi
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.carts.domain import PartOfCart
from cludale.services.orders.events import Party
from cludale.services.orders.order import Order, Status, TooLateToCancel
from cludale.services.orders.service import Orders
from cludale.services.orders.store import ORDERS
from cludale.services.orders.views import BILLING, COMMENT, OrderView, RefundView, shown
from cludale.web.access import Who
from cludale.web.fields import Email, Phone, Quantity, Text
from cludale.web.keyed import Keyed
from cludale.web.problems import Problems, Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Credential, Owned, Reply, Request, route
from cludale.web.seats import SeatIds, SeatView, seats_wanted

STATUS: Statuses = {
    AddressOnInvoice: 409,
    BuyerErased: 409,
    CommentForOrganizers: 403,
    NoAddress: 409,
    NotPaid: 409,
    RefundTooLarge: 409,
    ResentTooSoon: 429,
    TooManyChanges: 409,
    TooManyTickets: 409,
}


_WHICH = "which tickets, where the order has several categories"
_WHICH_SEATS = "which seats, by their ids, where they have numbers; without it those at the end of the order's"


class RefundPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be given back: tickets (`quantity`), at the price that was paid for them, or money only (`amount`)."""

    quantity: Quantity | None = None
    tickets: (
        Annotated[list[TicketCount], Meta(min_length=1, max_length=MOST_CATEGORIES, description=_WHICH)] | UnsetType
    ) = UNSET
    seats: Annotated[SeatIds, Meta(description=_WHICH_SEATS)] | UnsetType = UNSET
    amount: Annotated[Money, Meta(description="money without tickets; for the organizer only")] | None = None
    reason: Annotated[Text, Meta(description="why; for the organizer only, and needed for money without tickets")] | (
        None
    ) = None

    def wish(self, who: Who, seller: str | None = None) -> RefundWish:
        """What is wanted; `seller`: by which key or session. Raises Invalid, CommentForOrganizers."""
        of = () if self.tickets is UNSET else tuple(self.tickets)
        tickets = sum(each.quantity for each in of) or self.quantity
        if self.seats is not UNSET:
            tickets = seats_wanted(tickets or UNSET, self.seats)
        if (tickets is None) is (self.amount is None):
            raise Invalid(("quantity", "give either `quantity`, `tickets` or `seats`, or `amount`, for money only"))
        if self.quantity not in (None, tickets):
            raise Invalid(("quantity", f"is {self.quantity}, and `tickets` are {tickets}"))
        if who is Who.BUYER:
            for field in ("amount", "reason"):
                if getattr(self, field) is not None:
                    raise CommentForOrganizers(field)
        if self.amount is not None:
            if not self.amount.amount:
                raise Invalid(("amount.amount", "must be more than 0"))
            if self.reason is None:
                raise Invalid(("reason", "is required where money goes back without tickets"))
        by = Party.BUYER if who is Who.BUYER else Party.ORGANIZER
        return RefundWish(
            by=by,
            tickets=tickets or 0,
            of=of,
            amount=self.amount,
            reason=self.reason,
            seller=seller,
            seats=() if self.seats is UNSET else tuple(self.seats),
        )


_AS_SHOWN = "may stand here as it is shown, and can't be changed by that"
_FIXED = {
    "concert_id": ("concertId", "can't be changed: cancel the order, and place another"),
    "user_id": ("userId", "stays as it was when the order was placed"),
    "quantity": ("quantity", "can't be changed: give tickets back with `POST /orders/{id}/refunds`, or place another"),
    "section": ("section", "can't be changed: with numbered seats, `POST /concerts/{id}/seats/move` does that"),
    "seats": ("seats", "can't be changed: `POST /concerts/{id}/seats/move` does that"),
}
"""What an order is placed with and a change can't say: the field, and what to do instead."""


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be otherwise about an order. What isn't there stays as it is; null takes it away."""

    SHOWN_AS: ClassVar = OrderView

    name: Text | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    comment: Annotated[Text | UnsetType | None, Meta(description=COMMENT)] = UNSET
    billing_address: Annotated[BillingAddress | UnsetType | None, Meta(description=BILLING)] = UNSET

    concert_id: Annotated[str, Meta(description=_AS_SHOWN)] | UnsetType = UNSET
    user_id: Annotated[str, Meta(description=_AS_SHOWN)] | UnsetType = UNSET
    quantity: Annotated[int, Meta(description=_AS_SHOWN)] | UnsetType = UNSET
    section: Annotated[str, Meta(description=_AS_SHOWN)] | UnsetType | None = UNSET
    seats: Annotated[list[SeatView], Meta(description=_AS_SHOWN)] | UnsetType = UNSET
    status: Annotated[Status, Meta(description=_AS_SHOWN)] | UnsetType = UNSET

    def check_fixed(self, order: Order) -> None:
        """Does what can't be said here stand there as it is shown? Raises Invalid."""
        is_ = shown(order)
        wrong = [
            said
            for name, said in _FIXED.items()
            if getattr(self, name) is not UNSET and getattr(self, name) != is_[name]
        ]
        if self.status is Status.CANCELLED is not order.status:
            wrong.append(("status", "can't be changed: cancel with `POST /orders/{id}/cancel`"))
        if wrong:
            raise Invalid(*wrong)


class AftersaleApi:
    """The routes of an order that was placed."""

    def __init__(self, orders: Orders, api: OrdersApi, records: Records, statuses: Statuses) -> None:
        """`statuses`: those of all refusals of orders, for answers that are kept."""
        self._orders = orders
        self._api = api
        self._keyed = Keyed(IdempotencyKeys("orders", records), Problems(statuses))

    @route(
        "POST",
        "/orders/{order_id}/refunds",
        credential=Credential.BUYER,
        scope=Scope.REFUND,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Give a part of an order back",
        description=(
            "With a `quantity`, so many tickets: their seats can be had again, and what was paid for them goes back, "
            "with their fees and taxes. Where the order has several categories, `tickets` says which. "
            "With an `amount` and a `reason`, money only. The buyer can give tickets back until the order's "
            "`cancelUntil`, but none with which somebody was let in; the organizer can do both at any time. Never more "
            "than was paid goes back, in as many parts as there are; to give all tickets back, cancel the order. "
            "Without an `Idempotency-Key`, each request is a refund of its own."
        ),
        replies={202: Reply(RefundView, "The refund, Pending. `GET /orders/{id}` tells when it is Completed.")},
        refusals=(
            NotFound,
            NotPaid,
            TooLateToCancel,
            AlreadyAdmitted,
            TooManyTickets,
            RefundTooLarge,
            TooManyChanges,
            CommentForOrganizers,
            PartOfCart,
            Busy,
        ),
    )
    async def refund_part(self, request: Request, body: RefundPart) -> Response:
        """202 the refund, on its way."""
        wish = body.wish(*await self._api.party(request, Scope.REFUND))
        order_id, cause, key = request.segment, request.cause, request.idempotency_key

        def answer(order: Order) -> Response:
            # Without the reason, for this answer may be kept; so the view is that of the buyer.
            return json_response(RefundView.of(order.refunds[-1], Who.BUYER, {}), 202)

        return await self._keyed.changed(
            f"POST /orders/{order_id}/refunds",
            key,
            body,
            lambda keep: self._orders.refund(order_id, wish, cause=cause, keep=keep),
            answer,
            partition=ORDERS.partition(order_id),
        )

    @route(
        "PATCH",
        "/orders/{order_id}",
        credential=Credential.BUYER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Change name, address or comment",
        description=(
            "The buyer's name, e-mail address and phone number, the postal address for the invoice, and the "
            "organizer's comment. An invoice that has no postal address yet gets this one; from then on only the "
            "organizer can correct it."
        ),
        replies={200: Reply(OrderView)},
        refusals=(NotFound, CommentForOrganizers, AddressOnInvoice, BuyerErased, TooManyChanges, Busy),
    )
    async def amend_order(self, request: Request, body: AmendOrder) -> Response:
        """The order as it is now."""
        who = await self._api.who(request, Scope.SELL)
        body.check_fixed(await self._orders.order(request.segment))
        wanted = Amendment(
            name=body.name, email=body.email, phone=body.phone, comment=body.comment, billing=body.billing_address
        )
        by = Party.BUYER if who is Who.BUYER else Party.ORGANIZER
        order = await self._orders.amend(request.segment, wanted, by=by, cause=request.cause)
        return await self._api.shown_to(who, order)

    @route(
        "POST",
        "/orders/{order_id}/resend",
        credential=Credential.BUYER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Send the confirmation again",
        description=f"To the address that the order has now; once in {RESEND_SECONDS} s at most.",
        replies={202: Reply(OrderView, "The order; its confirmation is on its way.")},
        refusals=(NotFound, NotPaid, NoAddress, ResentTooSoon, TooManyChanges, Busy),
    )
    async def resend_confirmation(self, request: Request) -> Response:
        """202 the order."""
        who = await self._api.who(request, Scope.SELL)
        return await self._api.shown_to(who, await self._orders.resend(request.segment, cause=request.cause), 202)
