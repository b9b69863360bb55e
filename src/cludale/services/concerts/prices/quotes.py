"""Quotes: what an order would cost, and in which section. Nothing is held or claimed."""

from typing import NamedTuple

from cludale.kernel.bills import Bill, PriceWish
from cludale.ports.clock import Clock
from cludale.ports.seats import SectionNotFound
from cludale.services.concerts.codes.service import CodeService
from cludale.services.concerts.concert import check_currency, check_on_sale
from cludale.services.concerts.directory import ConcertSnapshot, Directory
from cludale.services.concerts.prices.domain import PricedPlace, Terms, bill, counted
from cludale.services.concerts.prices.price_list import NO_PRICING
from cludale.services.concerts.stock import unavailable


class Quote(NamedTuple):
    """What an order would cost, in which section, and how many seats that has left."""

    section: str
    left: int
    bill: Bill
    unlocked: str | None


def quoted(seen: ConcertSnapshot, section: str | None, terms: Terms, quantity: int) -> Quote:
    """The quote, in the section named or the cheapest with room. Raises SeatsUnavailable, what `pricing.bill` does."""
    by_id = {each.id: each for each in seen.sections}
    ids = [section] if section is not None else [plan.id for plan in seen.concert.offered(seen.prices)]
    room = [by_id[id] for id in ids if by_id[id].available_to_all(seen.at) >= quantity and not by_id[id].waiting]
    if not room:
        raise unavailable(seen.concert.id, [by_id[id] for id in ids], wanted=quantity, now=seen.at)
    chosen, now = room[0], room[0].moment(seen.at)
    taken = chosen.taken(now) + quantity
    made = bill(terms, PricedPlace(seen.concert.id, chosen.id, chosen.price, taken, now), quantity)
    return Quote(chosen.id, chosen.available(now), made, None if terms.code is None else terms.code.unlocks)


class Quotes:
    """What orders would cost."""

    def __init__(self, clock: Clock, directory: Directory, codes: CodeService) -> None:
        self._clock = clock
        self._directory = directory
        self._codes = codes

    async def quote(self, concert_id: str, section: str | None, quantity: int, wish: PriceWish) -> Quote:
        """What such an order would cost now, or when the sale begins, in the section named or in the one that it would
        get. Changes nothing.

        Raises what `hold` raises, but for NotOnSale and what is about a buyer or a hold that is there.
        """
        now = self._clock.now()
        concert = await self._directory.concert(concert_id)
        at = now if concert.on_sale_at is None else max(now, concert.on_sale_at)
        check_on_sale(concert, quantity=quantity, now=at)
        if section is not None and all(plan.id != section for plan in concert.sections):
            raise SectionNotFound(concert.id, section)
        if wish.max_total is not None:
            check_currency(concert, wish.max_total, field="maxTotal.currency")
        pricing = concert.more.pricing or NO_PRICING
        counted(pricing, wish, quantity)
        code = None if wish.code is None else await self._codes.quoted(concert.id, wish.code, quantity)
        (seen,) = await self._directory.standings([concert])
        return quoted(seen._replace(at=at), section, Terms(pricing, wish, code), quantity)
