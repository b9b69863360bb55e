"""Prices, codes and what is charged."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts.buyers import domain as allowances
from cludale.services.concerts.codes import domain as codes
from cludale.services.concerts.codes.domain import Code
from cludale.services.concerts.domain import Sell
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.prices.price_list import Pricing
from cludale.services.concerts.stock import Reservation
from cludale.services.orders import parts as order_parts
from cludale_proof.planted.planting import bug, swap


@bug("codes: a code is used once too often", theme="prices")
def _(stack: ExitStack) -> None:
    right = codes.check_room

    def wrong(code: Code, tickets: int) -> None:
        limits = code.limits
        more = None if limits.max_uses is None else limits.max_uses + 1
        right(replace(code, limits=replace(limits, max_uses=more)), tickets)

    swap(stack, codes, "check_room", wrong)


@bug("codes: a hold that nobody paid gives its use back before its end is stored", theme="prices")
def _(stack: ExitStack) -> None:
    right = codes.looked_at

    def wrong(code: Code, found: Any, *, now: datetime) -> Code:
        held = {id: each for id, each in found.items() if each.status != "Held"}
        return right(code, held, now=now + timedelta(seconds=allowances.FORGOTTEN_SECONDS))

    swap(stack, codes, "looked_at", wrong)


@bug("codes: money that comes late uses its code again, though others have used it up", theme="prices")
def _(stack: ExitStack) -> None:
    right = codes.claim

    def wrong(code: Any, reservation_id: str, wanted: Any) -> Any:
        return code if "." in reservation_id else right(code, reservation_id, wanted)

    swap(stack, codes, "claim", wrong)


@bug("prices: a tier that is full is charged on", theme="prices")
def _(stack: ExitStack) -> None:
    right = Pricing.row

    def wrong(self: Pricing, section: str, category: str, *, now: datetime, taken: int) -> Any:
        return right(self, section, category, now=now, taken=taken - 1)

    swap(stack, Pricing, "row", wrong)


@bug("prices: who holds seats before a tier ends is charged the next one", theme="prices")
def _(stack: ExitStack) -> None:
    right = Pricing.row

    def wrong(self: Pricing, section: str, category: str, *, now: datetime, taken: int) -> Any:
        return right(self, section, category, now=now + timedelta(seconds=2), taken=taken)

    swap(stack, Pricing, "row", wrong)


@bug("prices: a ticket that is given back is worth its price, without its fees", theme="prices")
def _(stack: ExitStack) -> None:
    right = order_parts.priced

    def wrong(bill: Any, *rest: Any) -> Any:
        if bill is not None:
            lines = tuple(replace(line, total=line.total - line.fee) for line in bill.lines)
            bill = replace(bill, lines=lines)
        return right(bill, *rest)

    swap(stack, order_parts, "priced", wrong)


@bug("prices: seats for late money are priced as if it were asked for now", theme="prices")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        return right(seating, replace(ended, bill=UNSET, priced=UNSET), sale, now)

    swap(stack, concerts_domain, "seat_late_money", wrong)
