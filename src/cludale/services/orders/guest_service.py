"""Guest lists at work: puts guests on, lists them, takes them off. Each is an order like any other."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cludale.kernel.events import Cause
from cludale.kernel.ids import from_key
from cludale.kernel.refusals import NotFound, Refusal
from cludale.ports.records import Query, Records
from cludale.runtime.aggregates import AnsweredBefore
from cludale.services.orders import guests
from cludale.services.orders.domain import Order, Status
from cludale.services.orders.events import CancelReason
from cludale.services.orders.guests import NewGuest
from cludale.services.orders.personal import NOTHING, Particulars
from cludale.services.orders.service import Orders
from cludale.services.orders.store import GUESTS

AT_ONCE = 16
"""Guests who are put on at once."""
PAGES = 20
"""How many pages one request looks through."""
MOST_AGAIN = 50
"""How often one guest may be taken off and put on again."""


class Added(NamedTuple):
    """What came of one guest."""

    guest: NewGuest
    order: Order | None
    is_new: bool
    """False: they were on the list before, or there was a refusal."""
    refusal: Refusal | None = None


class Listed(NamedTuple):
    """A guest who is on the list."""

    order: Order
    left: Particulars


class GuestLists:
    """The guest lists of all concerts."""

    def __init__(self, orders: Orders, records: Records) -> None:
        self._orders = orders
        self._records = records

    async def add(self, concert_id: str, wanted: Sequence[NewGuest], *, seller: str, cause: Cause) -> list[Added]:
        """Put them on the list; who is on it stays as they are. One after the other where the same is said of them.

        A refusal is of one guest: the others get their tickets. Asked again, only who has none yet gets some.
        """
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(guest: NewGuest, number: int) -> Added:
            async with limit:
                return await self._add(concert_id, guest, number, seller=seller, cause=cause)

        return await asyncio.gather(*(one(guest, number) for guest, number in guests.numbered(wanted)))

    async def preview(self, concert_id: str, wanted: Sequence[NewGuest]) -> list[Added]:
        """What `add` would make of them, as far as the list goes: who has no order would get one. Nothing is done."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(guest: NewGuest, number: int) -> Added:
            async with limit:
                live, _ = await self._places(concert_id, guest, number)
            return Added(guest, live[number], is_new=False) if len(live) > number else Added(guest, None, is_new=True)

        return await asyncio.gather(*(one(guest, number) for guest, number in guests.numbered(wanted)))

    async def _places(self, concert_id: str, guest: NewGuest, number: int) -> tuple[list[Order], list[str]]:
        """The orders of those on the list of whom this is said, and ids for more of them.

        `number`: how many of whom the same is said come before.
        """
        ids = [self._id(concert_id, guest, each) for each in range(number + MOST_AGAIN)]
        there = {order.id: order for order in await self._orders.named(ids)}
        live = [there[id] for id in ids if id in there and there[id].status is not Status.CANCELLED]
        return live, [id for id in ids if id not in there]

    async def _add(self, concert_id: str, guest: NewGuest, number: int, *, seller: str, cause: Cause) -> Added:
        live, free = await self._places(concert_id, guest, number)
        if len(live) > number:
            return Added(guest, live[number], is_new=False)
        # A place for each of the same that is missing, so that two at once never take the same one.
        place = number - len(live)
        if place >= len(free):
            return Added(guest, None, is_new=False, refusal=NotFound("place on the list for", "this guest"))
        try:
            order = await self._orders.place(guest.request(concert_id, seller), cause=cause, order_id=free[place])
        except AnsweredBefore:
            return Added(guest, await self._orders.order(free[place]), is_new=False)
        except Refusal as refusal:
            return Added(guest, None, is_new=False, refusal=refusal)
        return Added(guest, order, is_new=True)

    def _id(self, concert_id: str, guest: NewGuest, number: int) -> str:
        # By a keyed hash: whoever sees the id can't try names.
        return from_key("order", "guest", concert_id, self._orders.privacy.digest(guest.told), str(number))

    async def listed(self, concert_id: str, search: str | None, query: Query) -> tuple[list[Listed], str | None]:
        """A page of those who are on the list, as they were put on, and the cursor of the next one.

        With a `search` there may be fewer than the limit, even none, and yet a cursor.
        """
        found: list[Listed] = []
        after = query.after
        for _ in range(PAGES):
            asked = Query(equal={"concertId": concert_id}, after=after, limit=query.limit - len(found))
            known, page = await GUESTS.find(self._records, asked)
            ids = [each.state.order_id for each in known]
            orders: Mapping[str, Order] = {order.id: order for order in await self._orders.named(ids)}
            left = await self._orders.privacy.of(list(orders.values()))
            for id in ids:
                order = orders.get(id)
                if order is None or order.status is Status.CANCELLED:
                    continue
                if search is None or guests.matches(left.get(id, NOTHING), search):
                    found.append(Listed(order, left.get(id, NOTHING)))
            after = page.next
            if after is None or len(found) >= query.limit:
                break
        return found, after

    async def guest(self, order_id: str) -> Order:
        """The order of a guest. Raises NotFound for any other."""
        if order_id not in await GUESTS.load(self._records, (order_id,)):
            raise NotFound("guest", order_id)
        return await self._orders.order(order_id)

    async def remove(self, order_id: str, *, seller: str, cause: Cause) -> Order:
        """Take a guest off: their tickets are void, and their seats can be had again. Raises NotFound, Busy."""
        await self.guest(order_id)
        return await self._orders.cancel(order_id, CancelReason.ORGANIZER, cause, seller=seller)
