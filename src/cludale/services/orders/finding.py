"""Orders are looked for: by what they are, by where their buyer is reached, by ids."""

from collections.abc import Sequence

from cludale.ports.records import Query
from cludale.runtime.aggregates import Updates
from cludale.services.orders.order import Order
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.store import ORDERS, Search, is_among

SEARCH_PAGES = 20
"""How many pages of orders one request looks through."""


class Finder:
    """Looks for orders."""

    def __init__(self, updates: Updates, privacy: Privacy) -> None:
        self._updates = updates
        self._privacy = privacy

    async def find(self, query: Query) -> tuple[list[Order], str | None]:
        """A page of orders and the cursor of the next one."""
        found, page = await ORDERS.find(self._updates.records, query)
        return [each.state for each in found], page.next

    async def search(self, search: Search, query: Query) -> tuple[list[Order], str | None]:
        """Those of a page that match, and more pages until there are `query.limit`, SEARCH_PAGES at most.

        An e-mail address is found by its hash, a name by opening those of the orders that match otherwise. Nobody asks
        for anything else while tickets are sold, so that has no index, which each order would pay for. There may be
        fewer than the limit, even none, and yet a cursor.
        """
        orders: list[Order] = []
        after = query.after
        for _ in range(SEARCH_PAGES):
            asked = query._replace(after=after, limit=query.limit - len(orders))
            if search.email is not None:
                found, after = await self._privacy.orders_of(search.email, asked)
                found = [order for order in found if is_among(order, asked)]
            else:
                found, after = await self.find(asked)
                if found and search.is_past(found[-1], descending=query.descending):
                    after = None
            found = [order for order in found if search.matches(order)]
            orders += found if search.name is None else await self._privacy.named(found, search.name)
            if after is None or len(orders) >= query.limit:
                break
        return orders, after

    async def named(self, order_ids: Sequence[str]) -> list[Order]:
        """The orders with these ids, as far as they exist."""
        found = await ORDERS.load(self._updates.records, list(dict.fromkeys(order_ids)))
        return [each.state for each in found.values()]
