"""How many tickets a buyer may have."""

from contextlib import ExitStack
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from cludale.kernel import buyers
from cludale.kernel.decision import Decision
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts.buyers import domain as allowances
from cludale.services.concerts.buyers.looks import Looks
from cludale.services.concerts.domain import Sell
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.stock import Reservation
from cludale_proof.planted.planting import bug, swap


@bug("tickets that were paid count no more for their buyer")
def _(stack: ExitStack) -> None:
    def looked_at(known: allowances.Allowance, found: Any, *, unpaid_only: bool, now: datetime) -> allowances.Allowance:
        return right(known, found, unpaid_only=True, now=now)

    right = allowances.looked_at
    swap(stack, allowances, "looked_at", looked_at)


@bug("a hold whose time is over counts no more for its buyer, though it may yet be sold", theme="clocks")
def _(stack: ExitStack) -> None:
    def looked_at(
        known: allowances.Allowance, found: dict[str, Reservation], *, unpaid_only: bool, now: datetime
    ) -> allowances.Allowance:
        kept = {id: each for id, each in known.claims.items() if id not in found or found[id].is_live(now)}
        known = known if len(kept) == len(known.claims) else replace(known, claims=kept)
        return right(known, found, unpaid_only=unpaid_only, now=now)

    async def not_stored(self: Any, claims: Any) -> dict[str, Reservation]:
        found: dict[str, Reservation] = await self.at(claims)
        return found

    right = allowances.looked_at
    swap(stack, allowances, "looked_at", looked_at)
    swap(stack, Looks, "ended", not_stored)


@bug("money that came late gets seats again, whatever its buyer has by now", theme="clocks + slow payments")
def _(stack: ExitStack) -> None:
    def seat_late_money(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        return right(seating, replace(ended, buyers=msgspec.UNSET), sale, now)

    right = concerts_domain.seat_late_money
    swap(stack, concerts_domain, "seat_late_money", seat_late_money)


@bug("a buyer who writes the e-mail address in another way is another buyer")
def _(stack: ExitStack) -> None:
    swap(stack, buyers, "folded_email", str)
