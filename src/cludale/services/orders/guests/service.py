"""Guest lists at work: puts guests on, all or none, lists them, takes them off. Each is an order like any other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

from cludale.kernel.events import Cause
from cludale.kernel.ids import from_key
from cludale.kernel.refusals import Invalid, NotFound
from cludale.ports.records import Put, Query, Records
from cludale.ports.seats import ConcertNotFound, LineRefused
from cludale.services.orders.events import CancelReason
from cludale.services.orders.guests import domain as guests
from cludale.services.orders.guests.domain import Guest, GuestLine, GuestsRefused, NewGuest
from cludale.services.orders.order import Order, OrderRequest, Status
from cludale.services.orders.privacy.domain import NOTHING, Particulars
from cludale.services.orders.service import Orders
from cludale.services.orders.store import GUESTS, ORDERS
from cludale.services.orders.together import Placing

PAGES = 20
"""How many pages one request looks through."""
MOST_AGAIN = 50
"""How often guests with the same particulars may be taken off the list and put on again."""


class Added(NamedTuple):
    """A guest who is on the list now, or, in a preview, would be."""

    guest: NewGuest
    order: Order | None
    """None: in a preview, of who would be new."""
    is_new: bool
    """False: they were on the list before."""


class Listed(NamedTuple):
    """A guest who is on the list."""

    order: Order
    left: Particulars


class _Place(NamedTuple):
    """A place on a list, which one guest has at most."""

    id: str
    order: Order | None
    """Of who has it."""


class GuestLists:
    """The guest lists of all concerts."""

    def __init__(self, orders: Orders, records: Records) -> None:
        self._orders = orders
        self._records = records
        self._adding: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By concert. Of two processes that add the same at once one finds no seats, or all of it there."""

    async def add(self, concert_id: str, wanted: Sequence[GuestLine], *, seller: str, cause: Cause) -> list[Added]:
        """Put all of them on the list, or none; who is on it stays as they are.

        Asked again after a crash, who has no tickets yet gets some, and nobody gets them twice. Raises GuestsRefused,
        ConcertNotFound, Busy.
        """
        async with self._adding.setdefault(concert_id, asyncio.Lock()):
            places = await self._places(concert_id, wanted)
            missing = [number for number, place in enumerate(places) if place.order is None]
            lines = [wanted[number] for number in missing]
            requests = _requests(lines, concert_id, seller)
            kept = [places[number].id for number in missing]
            placing = [Placing(id, request, _keep(id)) for id, request in zip(kept, requests, strict=True)]
            try:
                placed = await self._orders.place_together(placing, cause=cause) if placing else []
            except LineRefused as refused:
                if isinstance(refused.refusal, ConcertNotFound):
                    raise refused.refusal from refused
                why = {refused.line: refused.refusal.detail, **refused.also}
                raise GuestsRefused([(wanted[missing[line]].where, why[line]) for line in sorted(why)]) from refused
            new = dict(zip(missing, placed, strict=True))
            there = await self._at([places[number].id for number, order in new.items() if order is None])
        return [
            Added(line.guest, new.get(number) or place.order or there.get(place.id), new.get(number) is not None)
            for number, (line, place) in enumerate(zip(wanted, places, strict=True))
        ]

    async def preview(self, concert_id: str, wanted: Sequence[GuestLine]) -> list[Added]:
        """What `add` would make of them, as far as the list goes: who has no order would get one. Nothing is done.

        Raises GuestsRefused.
        """
        places = await self._places(concert_id, wanted)
        return [
            Added(line.guest, place.order, is_new=place.order is None)
            for line, place in zip(wanted, places, strict=True)
        ]

    async def _places(self, concert_id: str, wanted: Sequence[GuestLine]) -> list[_Place]:
        """A place for each: those of whom the same is said have the places of their own, one after the other.

        The place of somebody who was taken off is never had again. Raises GuestsRefused.
        """
        without: dict[str, list[int]] = {}
        for number, line in enumerate(wanted):
            without.setdefault(self._orders.privacy.digest(line.guest.told), []).append(number)
        found: dict[int, _Place] = {}
        looked = dict.fromkeys(without, 0)
        while without:
            asked = {
                digest: [
                    from_key("order", "guest", concert_id, digest, str(looked[digest] + each))
                    for each in range(len(numbers))
                ]
                for digest, numbers in without.items()
            }
            orders = await self._at([id for ids in asked.values() for id in ids])
            for digest, ids in asked.items():
                looked[digest] += len(ids)
                for id in ids:
                    order = orders.get(id)
                    if order is None or order.status is not Status.CANCELLED:
                        found[without[digest].pop(0)] = _Place(id, order)
            without = {digest: numbers for digest, numbers in without.items() if numbers}
            worn = [numbers[0] for digest, numbers in without.items() if looked[digest] > len(wanted) + MOST_AGAIN]
            if worn:
                raise GuestsRefused([(wanted[each].where, "was taken off too often: add a note") for each in worn])
        return [found[number] for number in range(len(wanted))]

    async def _at(self, places: Sequence[str]) -> Mapping[str, Order]:
        """The orders of those who have these places."""
        taken = await GUESTS.load(self._records, places) if places else {}
        ids = {each.state.order_id: place for place, each in taken.items()}
        return {ids[order.id]: order for order in await self._orders.finder.named(list(ids))}

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
            orders: Mapping[str, Order] = {order.id: order for order in await self._orders.finder.named(ids)}
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
        place = ORDERS.partition(order_id)
        found = (await GUESTS.load(self._records, (place,))).get(place)
        if found is None or found.state.order_id != order_id:
            raise NotFound("guest", order_id)
        return await self._orders.order(order_id)

    async def remove(self, order_id: str, *, seller: str, cause: Cause) -> Order:
        """Take a guest off: their tickets are void, and their seats can be had again. Raises NotFound, Busy."""
        await self.guest(order_id)
        return await self._orders.cancel(order_id, CancelReason.ORGANIZER, cause, seller=seller)


def _requests(lines: Sequence[GuestLine], concert_id: str, seller: str) -> list[OrderRequest]:
    """The orders that make them guests. Raises GuestsRefused, which names those of whom something can't be."""
    found: list[OrderRequest] = []
    wrong: list[tuple[str, str]] = []
    for line in lines:
        try:
            found.append(line.guest.request(concert_id, seller))
        except Invalid as refusal:
            wrong.append((line.where, refusal.detail))
    if wrong:
        raise GuestsRefused(wrong)
    return found


def _keep(place: str) -> Callable[[Order], Put]:
    """The record by which a guest has this place."""

    def keep(order: Order) -> Put:
        guest = Guest(order_id=order.id, concert_id=order.seats.concert_id, created_at=order.created_at, place=place)
        return GUESTS.put(guest, 0)

    return keep
