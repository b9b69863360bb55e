"""Who waits for news of an order: told by what is done here, and looking for what another replica did."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from cludale.runtime.aggregates import Versioned
from cludale.services.orders.carts.service import KnownCart
from cludale.services.orders.order import Order


class News:
    """Requests that wait until an order has come somewhere."""

    def __init__(
        self,
        order: Callable[[str], Awaitable[Order]],
        cart: Callable[[str], Awaitable[KnownCart]],
        *,
        look_again_seconds: float,
    ) -> None:
        """`order`, `cart`: the one with this id; raise NotFound.

        `look_again_seconds`: how often who waits looks, for what another replica did; what is done here is told.
        """
        self._order = order
        self._cart = cart
        self._look_again_seconds = look_again_seconds
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._is_ending = False

    async def settled(self, order_id: str, *, wait_seconds: float) -> Order:
        """The order once it is Paid or Cancelled, or waits for its buyer to pay in another way.

        Or as it is after `wait_seconds`. Raises NotFound.
        """
        order = await self._order(order_id)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while not order.is_settled:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._is_ending:
                break
            await self._news_of(order_id, at_most=min(left, self._look_again_seconds))
            order = await self._order(order_id)
        return order

    async def settled_cart(self, cart_id: str, *, wait_seconds: float) -> KnownCart:
        """As `settled`, of all lines of a cart. Raises NotFound."""
        known = await self._cart(cart_id)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while not known.is_settled:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._is_ending:
                break
            await self._news_of(known.orders[0].id, at_most=min(left, self._look_again_seconds))
            known = await self._cart(cart_id)
        return known

    @property
    def waiting(self) -> int:
        """How many requests wait for news of an order."""
        return sum(len(waiters) for waiters in self._waiters.values())

    def end(self) -> None:
        """The process ends: tell whoever waits for an order how it stands, now and from here on at once."""
        self._is_ending = True
        for waiters in self._waiters.values():
            for future in waiters:
                if not future.done():
                    future.set_result(None)

    def tell_all(self, changed: Iterable[Versioned[Order]]) -> None:
        """Wake those who wait for one of these orders: they look at it now."""
        if self._waiters:
            for each in changed:
                self.tell(each.state)

    def tell(self, order: Order) -> None:
        """Wake those who wait for this order: they look at it now."""
        for future in self._waiters.get(order.id, ()):
            if not future.done():
                future.set_result(None)

    async def _news_of(self, order_id: str, *, at_most: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(order_id, [])
        waiters.append(future)
        try:
            await asyncio.wait((future,), timeout=at_most)
        finally:
            waiters.remove(future)
            if not waiters:
                self._waiters.pop(order_id, None)
