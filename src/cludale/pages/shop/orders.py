"""An order's page: how it stands, its second try to pay, its cancellation; and the list of this browser's orders."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cludale.kernel.allocation import seats_line
from cludale.kernel.carts import cart_of, is_cart
from cludale.pages import billing, forms
from cludale.pages.api import Problem, path
from cludale.pages.bills import Line
from cludale.pages.shop import memory
from cludale.pages.shop.bought import BoughtPages, attempt_of
from cludale.pages.shop.buying import METHODS
from cludale.pages.shop.views import Concert, Invoice, Invoices, Order, PlacedCart
from cludale.pages.site import SECURITY, Missing, Visit, checked
from cludale.web.responses import Response
from cludale.web.routing import Route

WAIT_SECONDS = "0.6"
"""How long a page waits for a payment that is under way before it shows so."""


class OpenedOrder(NamedTuple):
    """An order, and who may see it."""

    order: Order
    token: str


class OrderPages(BoughtPages[OpenedOrder]):
    """The orders' pages."""

    AT = "/shop/orders"
    API = ("orders",)
    PART = "shop/state.html"

    def routes(self) -> list[Route]:
        """Its routes."""
        route = self._site.route
        return [
            route("GET", "/shop/orders", self._mine),
            route("GET", "/shop/orders/{order_id}", self._show),
            route("GET", "/shop/invoices/{invoice_id}.pdf", self._invoice),
            *self._common_routes(),
            route("GET", "/shop/orders/{order_id}/invoice-address", self._ask_address),
            route("POST", "/shop/orders/{order_id}/invoice-address", self._address),
            route("POST", "/shop/orders/{order_id}/give-back", self._give_back),
            route("POST", "/shop/orders/{order_id}/resend", self._resend),
        ]

    async def _mine(self, visit: Visit) -> Response:
        """What was bought with this browser."""
        found: list[tuple[Order, Concert | None, str]] = []
        for id, token in memory.orders(visit).items():
            if is_cart(id):
                found += await self._of_cart(visit, id, token)
                continue
            answer = await self._site.ask(visit, "GET", path("orders", id), token=token)
            if answer.status == 200:
                order = answer.read(Order)
                found.append((order, await self._programme.known(order.concert_id), standing(order)))
        return self._site.private(visit, "shop/orders.html", orders=found)

    async def _of_cart(self, visit: Visit, id: str, token: str) -> list[tuple[Order, Concert | None, str]]:
        answer = await self._site.ask(visit, "GET", path("orders", "carts", id), token=token)
        orders = answer.read(PlacedCart).lines if answer.status == 200 else ()
        return [(order, await self._programme.known(order.concert_id), standing(order)) for order in orders]

    async def _show(self, visit: Visit) -> Response:
        key = visit.query.get("key")
        if key is not None:
            return await self._open(visit, key)
        known = await self._known(visit, wait=True)
        return await self._page(visit, known, is_again="again" in visit.query, is_sent="sent" in visit.query)

    async def _invoice(self, visit: Visit) -> Response:
        """An invoice to print, for whoever has the token of its order."""
        token = memory.token_of(visit, visit.segment.rpartition(".")[0])
        if token is None:
            raise Missing
        file = path("orders", "invoices", f"{visit.segment}.pdf")
        answer = checked(await self._site.ask(visit, "GET", file, token=token))
        return Response(200, answer.body, "application/pdf", (*SECURITY, ("cache-control", "private, no-store")))

    async def _invoices(self, visit: Visit, known: OpenedOrder) -> list[Invoice]:
        """Those of an order that was paid. A page that can't have them is shown without."""
        order = known.order
        if standing(order) not in ("paid", "cancelled") or order.total is None or not order.total.amount:
            return []
        answer = await self._site.ask(visit, "GET", path("orders", order.id, "invoices"), token=known.token)
        return answer.read(Invoices).items if answer.status == 200 else []

    async def _ask_address(self, visit: Visit) -> Response:
        known = await self._known(visit, wait=False)
        invoices = await self._invoices(visit, known)
        return self._addressing(visit, known, {}, {}, is_there=any(each.has_address for each in invoices))

    async def _address(self, visit: Visit) -> Response:
        """The postal address that stands on the invoice from then on."""
        fields = forms.read(visit.request)
        known = await self._known(visit, wait=False)
        body, wrong = billing.body_of(fields)
        if wrong:
            return self._addressing(visit, known, fields, wrong)
        answer = await self._site.ask(visit, "PATCH", path("orders", known.order.id), body, token=known.token)
        if answer.status in (409, 422):
            is_there = answer.problem.name == "address-on-invoice"
            return self._addressing(visit, known, fields, billing.at_fields(answer.problem), is_there=is_there)
        checked(answer)
        return self._site.see(visit, f"/shop/orders/{known.order.id}")

    def _addressing(
        self,
        visit: Visit,
        known: OpenedOrder,
        fields: Mapping[str, str],
        wrong: Mapping[str, str],
        *,
        is_there: bool = False,
    ) -> Response:
        return self._site.private(
            visit,
            "shop/invoice-address.html",
            status=422 if wrong else 200,
            order=known.order,
            fields=fields,
            wrong=wrong,
            is_there=is_there,
            countries=billing.countries(visit.language.code),
        )

    async def _give_back(self, visit: Visit) -> Response:
        """Some of its tickets: their seats go back on sale, and what was paid for them goes back."""
        fields = forms.read(visit.request)
        known = await self._known(visit, wait=False)
        wanted = {line.category: fields.get(f"tickets-{line.category}", "") for line in lines_of(known.order)}
        counts = {category: int(count) for category, count in wanted.items() if re.fullmatch(r"[1-9]\d?", count)}
        attempt = fields.get("attempt", "")
        if not counts or not memory.is_token(attempt):
            return await self._page(visit, known, wrong="tickets", status=422)
        if sum(counts.values()) >= known.order.held:
            return await self._page(visit, known, wrong="all", status=422)
        body: dict[str, object] = {"quantity": sum(counts.values())}
        if known.order.bill is not None and len(known.order.bill.lines) > 1:
            body["tickets"] = [{"category": category, "quantity": count} for category, count in counts.items()]
        return await self._tell(visit, known, "refunds", body, attempt=attempt)

    async def _resend(self, visit: Visit) -> Response:
        """The confirmation, once more."""
        forms.read(visit.request)
        return await self._tell(visit, await self._known(visit, wait=False), "resend", then="?sent=1")

    # What pages are made of

    async def _page(
        self,
        visit: Visit,
        known: OpenedOrder,
        *,
        is_again: bool = False,
        is_sent: bool = False,
        wrong: str = "",
        refusal: Problem | None = None,
        status: int = 200,
    ) -> Response:
        values = await self._values(visit, known, wrong=wrong)
        link = f"{self._site.base(visit)}/shop/orders/{known.order.id}?key={known.token}"
        return self._site.private(
            visit,
            "shop/order.html",
            status=status,
            link=link,
            is_again=is_again,
            is_sent=is_sent,
            refusal=refusal,
            **values,
        )

    async def _values(self, visit: Visit, known: OpenedOrder, *, wrong: str = "") -> dict[str, Any]:
        order, now = known.order, self._site.now()
        concert = await self._programme.known(order.concert_id)
        sections = {each.id: each.name for each in concert.sections} if concert else {}
        offered = () if order.waiting is None else order.waiting.seats
        section, seats = sections.get(order.section or "", order.section or ""), seats_line(order.seats or offered)
        paid_at = "" if order.payment is None else order.payment.at.isoformat()
        ends_at = order.expires_at
        if ends_at is None and order.waiting is not None:
            ends_at = order.waiting.offered_until
        return {
            "order": order,
            "concert": concert,
            "in_cart": cart_of(order.id) or "",
            "section": f"{section}: {seats}" if seats else section,
            "standing": standing(order),
            "invoices": await self._invoices(visit, known),
            "is_settled": is_settled(order),
            "until": None if ends_at is None else round(ends_at.timestamp() * 1000),
            "ends_at": ends_at,
            "may_cancel": _may_be_cancelled(order) and (order.cancel_until is None or now < order.cancel_until),
            "methods": METHODS,
            "wrong": wrong,
            "lines": lines_of(order),
            # one attempt for what is left, as for a card
            "giving": attempt_of(order.id, known.token, "back", str(len(order.refunds))),
            # one attempt a decline: the form sent twice charges once
            "attempt": attempt_of(order.id, known.token, paid_at),
        }

    async def _known(self, visit: Visit, *, wait: bool) -> OpenedOrder:
        """The order, for whoever has its token. Raises Missing."""
        token = memory.token_of(visit, visit.segment)
        if token is None:
            raise Missing
        query = {"wait": WAIT_SECONDS} if wait else {}
        answer = await self._site.ask(visit, "GET", path("orders", visit.segment, **query), token=token)
        return OpenedOrder(checked(answer).read(Order), token)


def _may_be_cancelled(order: Order) -> bool:
    """A line of a cart is given back by itself only once it is paid."""
    return order.status == "Paid" if cart_of(order.id) else order.status != "Cancelled"


def lines_of(order: Order) -> Sequence[Line]:
    """The categories of an order's tickets, for the form that gives some back; one line where there are none."""
    if order.bill is not None and order.bill.lines:
        return order.bill.lines
    return (Line("all", "", order.held, 0),)


def is_settled(order: Order) -> bool:
    """Will nothing change by itself any more? After a cancellation the money may be on its way back."""
    is_refunding = order.payment is not None and order.payment.status == "Completed"
    return order.status == "Paid" or (order.status == "Cancelled" and not is_refunding)


def standing(order: Order) -> str:
    """How an order stands, as its page says it: `waiting`, `offered`, `asking`, `paying`, `confirming`, `failed`,
    `paid`, `cancelled`.

    `failed`: the card was declined, or no money came for another reason; it can be paid until the hold ends.
    """
    if order.status in ("Paid", "Cancelled"):
        return order.status.lower()
    if order.status == "Pending":
        if order.waiting is None:
            return "asking"
        return "waiting" if order.waiting.offered_until is None else "offered"
    match None if order.payment is None else order.payment.status:
        case "Declined" | "Failed":
            return "failed"
        case "Completed":
            return "confirming"
        case _:
            return "paying"
