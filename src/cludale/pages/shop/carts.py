"""A cart that was bought: how it stands as a whole, its second try to pay, its cancellation, and its orders."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cludale.kernel.allocation import seats_line
from cludale.pages.api import Problem, path
from cludale.pages.shop import memory
from cludale.pages.shop.bought import BoughtPages, attempt_of
from cludale.pages.shop.buying import METHODS
from cludale.pages.shop.orders import WAIT_SECONDS, is_settled, standing
from cludale.pages.shop.views import Concert, Order, PlacedCart
from cludale.pages.site import Missing, Visit, checked
from cludale.web.responses import Response
from cludale.web.routing import Route


class OpenedCart(NamedTuple):
    """A cart, and who may see it."""

    cart: PlacedCart
    token: str


class CartPages(BoughtPages[OpenedCart]):
    """The carts' pages."""

    AT = "/shop/carts"
    API = ("orders", "carts")
    PART = "shop/cartstate.html"

    def routes(self) -> list[Route]:
        """Its routes."""
        return [self._site.route("GET", "/shop/carts/{cart_id}", self._show), *self._common_routes()]

    async def _show(self, visit: Visit) -> Response:
        key = visit.query.get("key")
        if key is not None:
            return await self._open(visit, key)
        return await self._page(visit, await self._known(visit, wait=True), is_again="again" in visit.query)

    async def _page(
        self,
        visit: Visit,
        known: OpenedCart,
        *,
        is_again: bool = False,
        wrong: str = "",
        refusal: Problem | None = None,
        status: int = 200,
    ) -> Response:
        values = await self._values(visit, known, wrong=wrong)
        link = f"{self._site.base(visit)}/shop/carts/{known.cart.id}?key={known.token}"
        return self._site.private(
            visit, "shop/cart.html", status=status, link=link, is_again=is_again, refusal=refusal, **values
        )

    async def _values(self, visit: Visit, known: OpenedCart, *, wrong: str = "") -> dict[str, Any]:
        del visit  # a cart has nothing else to ask for
        cart, now = known.cart, self._site.now()
        lines = [(order, await self._programme.known(order.concert_id), standing(order)) for order in cart.lines]
        paid_at = max((order.payment.at.isoformat() for order in cart.lines if order.payment is not None), default="")
        ends = [order.cancel_until for order in cart.lines if order.cancel_until is not None]
        return {
            "cart": cart,
            "lines": [(order, concert, each, _section(order, concert)) for order, concert, each in lines],
            "standing": whole(cart),
            "is_called_off": any(order.reason == "concert-called-off" for order in cart.lines),
            "is_settled": all(map(is_settled, cart.lines)) and whole(cart) in ("paid", "cancelled"),
            "until": round(cart.expires_at.timestamp() * 1000),
            "may_cancel": cart.status != "Cancelled" and all(now < end for end in ends),
            "methods": METHODS,
            "wrong": wrong,
            # one attempt a decline: the form sent twice charges once
            "attempt": attempt_of(cart.id, known.token, paid_at),
        }

    async def _known(self, visit: Visit, *, wait: bool) -> OpenedCart:
        """The cart, for whoever has its token. Raises Missing."""
        token = memory.orders(visit).get(visit.segment)
        if token is None:
            raise Missing
        query = {"wait": WAIT_SECONDS} if wait else {}
        answer = await self._site.ask(visit, "GET", path("orders", "carts", visit.segment, **query), token=token)
        return OpenedCart(checked(answer).read(PlacedCart), token)


def _section(order: Order, concert: Concert | None) -> str:
    names = {} if concert is None else {each.id: each.name for each in concert.sections}
    section, seats = names.get(order.section or "", order.section or ""), seats_line(order.seats)
    return f"{section}: {seats}" if seats else section


_LATEST: Sequence[str] = ("failed", "paying", "asking", "confirming")


def whole(cart: PlacedCart) -> str:
    """How a cart stands, as its page says it; as `orders.standing` says it of an order."""
    if cart.status in ("Paid", "Cancelled"):
        return cart.status.lower()
    each = {standing(order) for order in cart.lines}
    return next((one for one in _LATEST if one in each), "confirming")
