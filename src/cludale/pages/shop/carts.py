"""A cart that was bought: how it stands as a whole, its second try to pay, its cancellation, and its orders."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from cludale.pages import forms
from cludale.pages.api import Answer, Problem, Refused, path
from cludale.pages.shop import memory
from cludale.pages.shop.buying import METHODS
from cludale.pages.shop.orders import WAIT_SECONDS, is_settled, standing
from cludale.pages.shop.programme import Programme
from cludale.pages.shop.views import Concert, Order, PlacedCart
from cludale.pages.site import SECURITY, Missing, Site, Visit, checked
from cludale.web.responses import HTML, Response
from cludale.web.routing import Route


class Known(NamedTuple):
    """A cart, and who may see it."""

    cart: PlacedCart
    token: str


class CartPages:
    """The carts' pages."""

    def __init__(self, site: Site, programme: Programme) -> None:
        self._site = site
        self._programme = programme

    def routes(self) -> list[Route]:
        """Its routes."""
        route = self._site.route
        return [
            route("GET", "/shop/carts/{cart_id}", self._show),
            route("GET", "/shop/carts/{cart_id}/state", self._state),
            route("POST", "/shop/carts/{cart_id}/pay", self._pay),
            route("POST", "/shop/carts/{cart_id}/cancel", self._cancel),
        ]

    async def _show(self, visit: Visit) -> Response:
        key = visit.query.get("key")
        if key is not None:
            return await self._open(visit, key)
        return await self._page(visit, await self._known(visit, wait=True), is_again="again" in visit.query)

    async def _open(self, visit: Visit, token: str) -> Response:
        """A link that brings the token: it is kept, and taken out of the address."""
        if not (memory.is_id(visit.segment) and memory.is_token(token)):
            raise Missing
        checked(await self._site.ask(visit, "GET", path("orders", "carts", visit.segment), token=token))
        tokens = memory.with_token(memory.orders(visit), visit.segment, token)
        cookie = forms.cookie(memory.ORDERS, tokens, secure=visit.secure)
        return self._site.see(visit, f"/shop/carts/{visit.segment}", headers=(cookie,))

    async def _state(self, visit: Visit) -> Response:
        """The part of the page that changes."""
        values = await self._values(await self._known(visit, wait=False))
        seed, _ = self._site.form_seed(visit)
        html = self._site.html(visit, "shop/cartstate.html", csrf=forms.token(seed), **values)
        tag = ("etag", f'"{hashlib.sha256(html).hexdigest()[:24]}"')
        return Response(200, html, HTML, (*SECURITY, ("cache-control", "private, no-cache"), tag))

    async def _pay(self, visit: Visit) -> Response:
        fields = forms.read(visit.request)
        known = await self._known(visit, wait=False)
        card, attempt = fields.get("card", ""), fields.get("attempt", "")
        if card not in METHODS or not memory.is_token(attempt):
            return await self._page(visit, known, wrong="card", status=422)
        answer = await self._site.ask(
            visit,
            "POST",
            path("orders", "carts", visit.segment, "payment"),
            {"paymentMethod": card},
            token=known.token,
            headers={"idempotency-key": f"shop-{attempt}"},
        )
        return await self._done(visit, answer)

    async def _cancel(self, visit: Visit) -> Response:
        forms.read(visit.request)
        known = await self._known(visit, wait=False)
        cancel = path("orders", "carts", visit.segment, "cancel")
        return await self._done(visit, await self._site.ask(visit, "POST", cancel, token=known.token))

    async def _done(self, visit: Visit, answer: Answer) -> Response:
        here = f"/shop/carts/{visit.segment}"
        if answer.status < 400:
            return self._site.see(visit, here)
        if answer.status in (404, 500):
            raise Refused(answer.problem)
        if answer.problem.name in ("already-paid", "charge-open", "idempotency-key-in-flight"):
            return self._site.see(visit, here)
        known = await self._known(visit, wait=False)
        return await self._page(visit, known, refusal=answer.problem, status=answer.status)

    async def _page(
        self,
        visit: Visit,
        known: Known,
        *,
        is_again: bool = False,
        wrong: str = "",
        refusal: Problem | None = None,
        status: int = 200,
    ) -> Response:
        values = await self._values(known, wrong=wrong)
        link = f"{self._site.base(visit)}/shop/carts/{known.cart.id}?key={known.token}"
        return self._site.private(
            visit, "shop/cart.html", status=status, link=link, is_again=is_again, refusal=refusal, **values
        )

    async def _values(self, known: Known, *, wrong: str = "") -> dict[str, Any]:
        cart, now = known.cart, self._site.now()
        lines = [(order, await self._programme.known(order.concert_id), standing(order)) for order in cart.lines]
        paid_at = max((order.payment.at.isoformat() for order in cart.lines if order.payment is not None), default="")
        ends = [order.cancel_until for order in cart.lines if order.cancel_until is not None]
        return {
            "cart": cart,
            "lines": [(order, concert, each, _section(order, concert)) for order, concert, each in lines],
            "standing": whole(cart),
            "is_settled": all(map(is_settled, cart.lines)) and whole(cart) in ("paid", "cancelled"),
            "until": round(cart.expires_at.timestamp() * 1000),
            "may_cancel": cart.status != "Cancelled" and all(now < end for end in ends),
            "methods": METHODS,
            "wrong": wrong,
            # one attempt a decline: the form sent twice charges once
            "attempt": hashlib.sha256(f"{cart.id} {known.token} {paid_at}".encode()).hexdigest()[:40],
        }

    async def _known(self, visit: Visit, *, wait: bool) -> Known:
        """The cart, for whoever has its token. Raises Missing."""
        token = memory.orders(visit).get(visit.segment)
        if token is None:
            raise Missing
        query = {"wait": WAIT_SECONDS} if wait else {}
        answer = await self._site.ask(visit, "GET", path("orders", "carts", visit.segment, **query), token=token)
        return Known(checked(answer).read(PlacedCart), token)


def _section(order: Order, concert: Concert | None) -> str:
    names = {} if concert is None else {each.id: each.name for each in concert.sections}
    return names.get(order.section or "", order.section or "")


_LATEST: Sequence[str] = ("failed", "paying", "asking", "confirming")


def whole(cart: PlacedCart) -> str:
    """How a cart stands, as its page says it; as `orders.standing` says it of an order."""
    if cart.status in ("Paid", "Cancelled"):
        return cart.status.lower()
    each = {standing(order) for order in cart.lines}
    return next((one for one in _LATEST if one in each), "confirming")
