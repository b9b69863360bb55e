"""Personal data over HTTP: what is kept of a buyer, and its erasure. For keys with the scope `privacy`.

An e-mail address is in a request's body, never in its path or query: those stand in the logs of whatever is between.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cludale.kernel.money import Money
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid
from cludale.ports.records import Query
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.events import ErasureReason
from cludale.services.orders.order import Order, Status
from cludale.services.orders.privacy.domain import NOTHING
from cludale.services.orders.service import Orders
from cludale.services.orders.store import Search, listed
from cludale.web.fields import Email, Text
from cludale.web.ownership import Ownership
from cludale.web.queries import Page
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, route

MOST = 200

_ID = Annotated[str, Meta(min_length=1, max_length=128)]
_AFTER = Annotated[str, Meta(max_length=512, description="the `next` of the page before")]


class WhichBuyer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Whose data: one of the three."""

    user_id: Text | None = None
    email: Email | None = None
    order_ids: Annotated[list[_ID], Meta(min_length=1, max_length=MOST)] | None = None
    after: _AFTER | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 50


class PersonalData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One order of the buyer, with what they left there."""

    order_id: str
    concert_id: str
    user_id: str
    status: Status
    quantity: int
    section: str | None
    total: Money | None
    created_at: datetime
    email: str | None
    phone: str | None
    name: str | None
    comment: Annotated[str | None, Meta(description="the organizer's own note on the order")]
    refund_reasons: Annotated[
        dict[str, str], Meta(description="why the organizer gave money back, by the number of the part refund")
    ]
    language: Annotated[str | None, Meta(description="in which they read messages")] = None
    invoiced_name: Annotated[str | None, Meta(description="as it stands on the order's invoice")] = None
    invoiced_email: Annotated[str | None, Meta(description="as it stands on the order's invoice")] = None
    billing_address: Annotated[BillingAddress | None, Meta(description="whom it is to be invoiced to")] = None
    invoiced_address: Annotated[BillingAddress | None, Meta(description="as it stands on the order's invoice")] = None
    erased_at: Annotated[datetime | None, Meta(description="when all of these were erased, if there were any")]


class ErasedOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One order of the buyer, with nothing of them any more but the `userId`, which is the seller's."""

    order_id: str
    concert_id: str
    erased_at: datetime | None
    reason: ErasureReason | None


class PrivacyApi:
    """The routes for personal data."""

    def __init__(self, orders: Orders, ownership: Ownership) -> None:
        self._orders = orders
        self._ownership = ownership

    @route(
        "POST",
        "/orders/-/buyers/export",
        scope=Scope.PRIVACY,
        owned=Owned.FILTERED,
        summary="What is kept of a buyer",
        description=(
            "By `userId`, by `email` or by `orderIds`, one of them. By `userId` orders are looked for page by page: "
            "there may be a `next` after few items or none."
        ),
        replies={200: Reply(Page[PersonalData])},
        refusals=(Busy,),
    )
    async def export_buyer(self, request: Request, body: WhichBuyer) -> Response:
        """A page of the buyer's orders."""
        found, following = await self._found(request, body)
        kept = await self._orders.privacy.kept([order.id for order in found])
        particulars = await self._orders.privacy.of(found)
        invoiced = await self._orders.privacy.invoiced([order.id for order in found])
        items = []
        for order in found:
            on_invoice = invoiced.get(order.id)
            left, personal = particulars.get(order.id, NOTHING), kept.get(order.id)
            erased_at = None if personal is None else personal.erased_at
            items.append(
                PersonalData(
                    **_shown(order),
                    email=left.email,
                    phone=left.phone,
                    name=left.name,
                    comment=left.comment,
                    language=left.language,
                    invoiced_name=None if on_invoice is None else on_invoice.name,
                    invoiced_email=None if on_invoice is None else on_invoice.email,
                    refund_reasons=dict(left.reasons),
                    billing_address=left.billing,
                    invoiced_address=None if on_invoice is None else on_invoice.billing,
                    erased_at=erased_at,
                )
            )
        return json_response(Page(items, following))

    @route(
        "POST",
        "/orders/-/buyers/erase",
        scope=Scope.PRIVACY,
        owned=Owned.FILTERED,
        headers=(TRACEPARENT,),
        summary="Erase what is kept of a buyer",
        description=(
            "The key under which e-mail address, phone number, name, language, comment and the postal address for "
            "invoices are kept is dropped, and they can't be set again. "
            "With them go the names that the buyer gave of whom tickets were passed on to. "
            "Orders, payments and the log stay, with the `userId`. Tickets stay valid; what is still to be told goes "
            "to nobody. Again, it changes nothing. A page at a time, as the export; with `orderIds`, for what a "
            "restored backup brought back."
        ),
        replies={200: Reply(Page[ErasedOrder])},
        refusals=(Busy,),
    )
    async def erase_buyer(self, request: Request, body: WhichBuyer) -> Response:
        """A page of the buyer's orders, erased."""
        found, following = await self._found(request, body)
        erased = await self._orders.privacy.erase(found, request.cause)
        items = []
        for order in found:
            personal = erased.get(order.id)
            items.append(
                ErasedOrder(
                    order_id=order.id,
                    concert_id=order.seats.concert_id,
                    erased_at=None if personal is None else personal.erased_at,
                    reason=None if personal is None else personal.reason,
                )
            )
        return json_response(Page(items, following))

    async def _found(self, request: Request, which: WhichBuyer) -> tuple[Sequence[Order], str | None]:
        """A page of the orders that are asked for, as far as they are of the key's own concerts. Raises Invalid."""
        asked = [name for name in ("user_id", "email", "order_ids") if getattr(which, name) is not None]
        if len(asked) != 1:
            raise Invalid(("body", "says one of userId, email and orderIds"))
        principal, after, limit = asking(request), which.after, which.limit
        found: Sequence[Order]
        following: str | None = None
        if which.order_ids is not None:
            found = await self._orders.finder.named(which.order_ids)
        elif which.email is not None:
            found, following = await self._orders.privacy.orders_of(which.email, Query(after=after, limit=limit))
        else:
            query = listed(concert_id=principal.concert_id, status=None, after=after, limit=limit)
            found, following = await self._orders.finder.search(Search(user_id=which.user_id), query)
        return await self._ownership.of(principal, found, lambda order: order.seats.concert_id), following


def _shown(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "concert_id": order.seats.concert_id,
        "user_id": order.user_id,
        "status": order.status,
        "quantity": order.seats.quantity,
        "section": order.seats.section,
        "total": order.total,
        "created_at": order.created_at,
    }
