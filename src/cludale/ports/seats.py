"""Seats: how orders asks concerts to hold seats. A call, not an event: the buyer is waiting for the answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

import msgspec

from cludale.kernel.allocation import Allocation
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.buyers import BuyerKeys, KnownBy
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid, NotFound, Refusal, RefusedForNow
from cludale.kernel.tills import Till
from cludale.kernel.times import rfc3339


class HoldRequest(msgspec.Struct, frozen=True, gc=False):
    """Hold `quantity` seats of `concert_id`, all or none; in `section`, or in the cheapest with room for all."""

    concert_id: str
    quantity: int
    order_id: str
    section: str | None = None
    traceparent: str | None = None
    max_price: Money | None = None
    """The most that one seat may cost."""
    buyers: BuyerKeys = ()
    """Who buys, by keyed hashes; empty: nobody whose tickets are counted."""
    wish: PriceWish | None = None
    """Which tickets, by what code; None: of the first category, without one."""
    till: Till | None = None
    """Sold at the box office: other limits hold there than for buyers. None: by a buyer."""
    waits: bool = False
    """Put it on the waiting list, and hold what it is offered there: raises InLine until then."""
    seats: tuple[str, ...] = ()
    """The ids of numbered seats, `quantity` of them; none: in a numbered section the best that are free."""
    wheelchairs: int = 0
    """How many of the places have to be for wheelchairs, in a numbered section."""


class SeatsHeld(msgspec.Struct, frozen=True, gc=False):
    """The seats are held until `expires_at`. `event_id` is the SeatsReserved that says so."""

    allocation: Allocation
    price: Money
    """Of one seat."""
    expires_at: datetime
    event_id: str | None
    cancel_until: datetime | None = None
    """Until when the buyer may cancel, as the concert has it; None: an older version said nothing of it."""
    bill: Bill | None = None
    """What they cost in all, where that is more to say than so many times `price`."""


class SeatsUnreachable(Exception):
    """Concerts gave no answer in time. The seats may be held or not: ask again with the same order."""


class ConcertNotFound(NotFound):
    """There is no such concert."""

    def __init__(self, concert_id: str) -> None:
        super().__init__("concert", concert_id)


class SectionNotFound(Invalid):
    """The concert has no such section."""

    def __init__(self, concert_id: str, section: str) -> None:
        super().__init__(("section", f"concert {concert_id!r} has no section {section!r}"))


class OverTheLimit(Invalid):
    """More seats than one order may have at this concert."""

    def __init__(self, concert_id: str, *, wanted: int, limit: int) -> None:
        super().__init__(("quantity", f"at most {limit} in one order for concert {concert_id!r}, {wanted} wanted"))
        self.values["limit"] = limit


_KNOWN_BY = {
    KnownBy.USER: "this userId",
    KnownBy.EMAIL: "this e-mail address",
    KnownBy.PHONE: "this phone number",
    KnownBy.ADDRESS: "this network address",
}


class BuyerLimitReached(RefusedForNow):
    """One buyer would have more tickets of this concert than its `limit`; `has` are theirs already.

    Tickets that they give back count no more. `knownBy` says by what the buyer is known: user, email or phone.
    """

    def __init__(self, concert_id: str, *, limit: int, has: int, wanted: int, known: KnownBy) -> None:
        super().__init__(
            f"One buyer can have at most {limit} tickets of concert {concert_id!r}; "
            f"{_KNOWN_BY[known]} has {has}, {wanted} wanted.",
            limit=limit,
            has=has,
            wanted=wanted,
            knownBy=known.value,
        )


class TooManyHolds(RefusedForNow):
    """This buyer, or this network address, has as many unpaid orders as may be at once: pay or cancel one first."""

    def __init__(self, *, limit: int, has: int, known: KnownBy) -> None:
        super().__init__(
            f"At most {limit} unpaid orders at once; {_KNOWN_BY[known]} has {has}. Pay one or cancel it first.",
            limit=limit,
            has=has,
            knownBy=known.value,
        )


class HoldsLapsed(RefusedForNow):
    """This buyer, or this network address, let holds lapse again and again, and has to wait until `waitUntil`."""

    def __init__(self, *, lapses: int, until: datetime, seconds: int, known: KnownBy) -> None:
        end = rfc3339(until)
        super().__init__(
            f"The last {lapses} orders of {_KNOWN_BY[known]} were not paid; the next can be placed at {end}.",
            lapses=lapses,
            waitUntil=end,
            retryAfter=seconds,
            knownBy=known.value,
        )
        self.retry_after_seconds = seconds


class NotOnSale(RefusedForNow):
    """The on-sale has not begun."""

    def __init__(self, concert_id: str, on_sale_at: datetime) -> None:
        opening = rfc3339(on_sale_at)
        super().__init__(f"Tickets for concert {concert_id!r} go on sale at {opening}.", onSaleAt=opening)


class ConcertOver(Refusal):
    """The concert is over: nothing of it is sold any more."""

    def __init__(self, concert_id: str, over_at: datetime) -> None:
        end = rfc3339(over_at)
        super().__init__(f"Concert {concert_id!r} was over at {end}; its sale has ended.", overAt=end)


class SaleEnded(Refusal):
    """The sale has ended, though the concert is not over."""

    def __init__(self, concert_id: str, off_sale_at: datetime) -> None:
        end = rfc3339(off_sale_at)
        super().__init__(f"The sale for concert {concert_id!r} ended at {end}.", offSaleAt=end)


class SalePaused(RefusedForNow):
    """The concert is postponed: nothing of it is sold until its new time is known."""

    def __init__(self, concert_id: str) -> None:
        super().__init__(f"Concert {concert_id!r} is postponed: nothing is sold until its new time is known.")


class CalledOff(Refusal):
    """The concert is called off: nothing of it is sold any more."""

    def __init__(self, concert_id: str, reason: str | None = None) -> None:
        why = "" if reason is None else f": {reason}"
        super().__init__(f"Concert {concert_id!r} is called off{why}", reason=reason)
        self.reason = reason


class SeatsUnavailable(RefusedForNow):
    """Not enough seats; `left` is the most that one order could still have, in `section`.

    `held` seats are not sold yet, and may come back: the next of them at `heldUntil`, if nobody pays for them.
    """

    def __init__(
        self,
        concert_id: str,
        *,
        wanted: int,
        left: int,
        section: str | None = None,
        held: int = 0,
        held_until: datetime | None = None,
        waiting: int = 0,
    ) -> None:
        where = "" if section is None else f" in section {section!r}"
        more: dict[str, object] = {"held": held}
        back = ""
        if section is not None:
            more["section"] = section
        if held and held_until is not None:
            more["heldUntil"] = rfc3339(held_until)
            back = f" {held} more are held by others; the next come back at {more['heldUntil']} if they are not paid."
        if waiting:
            more["waiting"] = waiting
            back += f" {waiting} wait for seats that come back; join the waiting list."
        super().__init__(
            f"Concert {concert_id!r} has {left} seats left{where}, {wanted} wanted.{back}",
            wanted=wanted,
            left=left,
            **more,
        )


class BlockNotFound(NotFound):
    """The concert has no such block, or its seats were let go."""

    def __init__(self, block: str) -> None:
        super().__init__("block", block)


class BlockTooSmall(RefusedForNow):
    """A block has not so many seats left; `left` are."""

    def __init__(self, block: str, *, wanted: int, left: int) -> None:
        super().__init__(
            f"Block {block!r} has {left} seats left, {wanted} wanted.", block=block, wanted=wanted, left=left
        )


class WaitingListFull(RefusedForNow):
    """As many wait for seats of the section as may."""

    def __init__(self, concert_id: str, section: str, *, length: int) -> None:
        detail = f"{length} wait for seats in section {section!r} of concert {concert_id!r}: its waiting list is full."
        super().__init__(detail, section=section, waiting=length)


class InLine(RefusedForNow):
    """There are no seats for it yet: it waits, as the `position`th of `waiting` on the section's list."""

    def __init__(self, concert_id: str, section: str, *, position: int, waiting: int) -> None:
        super().__init__(
            f"{position} of {waiting} on the waiting list of section {section!r} of concert {concert_id!r}.",
            section=section,
            position=position,
            waiting=waiting,
        )
        self.section = section
        self.position = position
        self.waiting = waiting


class SeatsNotFree(RefusedForNow):
    """Seats that were named are somebody else's; `notFree` says which, by their ids."""

    def __init__(self, concert_id: str, not_free: Sequence[str]) -> None:
        super().__init__(
            f"Of the seats that were named at concert {concert_id!r} these are not free: {', '.join(not_free)}.",
            notFree=list(not_free),
        )


class PriceTooHigh(RefusedForNow):
    """Seats are left, but none for `maxPrice`; the cheapest cost `priceFrom` each."""

    def __init__(self, concert_id: str, *, max_price: Money, price_from: Money) -> None:
        super().__init__(
            f"A seat at concert {concert_id!r} costs at least {price_from} now, and at most {max_price} is wanted.",
            maxPrice=max_price,
            priceFrom=price_from,
        )


class OtherCurrency(Invalid):
    """The most that a seat, or all, may cost is said in another currency than the concert's prices; or the prices of a
    cart's line are in another than those of its first line.
    """

    def __init__(self, concert_id: str, currency: str, *, field: str = "maxPrice.currency") -> None:
        super().__init__((field, f"the prices of concert {concert_id!r} are in {currency}"))
        self.values["currency"] = currency


class HoldEnded(Refusal):
    """The seats that were held for this order were given back; they are not held a second time."""

    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"Reservation {reservation_id!r} has ended.", reservationId=reservation_id)


class HeldElsewhere(Refusal):
    """This order holds seats of another concert; an order is for one."""

    def __init__(self, reservation_id: str, *, concert_id: str) -> None:
        super().__init__(f"Reservation {reservation_id!r} is for concert {concert_id!r}.", concertId=concert_id)


class HeldOtherwise(Refusal):
    """This order holds other seats already than are asked for: its id or key was used before, for another request."""

    def __init__(self, order_id: str, *, wanted: int, held: int, section: str) -> None:
        super().__init__(
            f"Order {order_id!r} holds {held} seats in section {section!r}, not what this request asks for; "
            "use a new Idempotency-Key, or a new orderId, for a new order.",
            wanted=wanted,
            held=held,
            section=section,
        )


class OtherOrganizer(Invalid):
    """The lines of one cart are for concerts of one organizer: money goes to one."""

    def __init__(self, concert_id: str) -> None:
        super().__init__(("concertId", f"concert {concert_id!r} is another organizer's than the first line's"))


MOST_HOLDS_APART = 64
"""The most holds that travel in one call without having to do with each other."""
MOST_HOLDS = 500
"""How many can be asked for together, all or none."""


class LineRefused(Exception):
    """Of several holds at least one was refused, so none of them is left."""

    def __init__(self, line: int, refusal: Refusal, also: Mapping[int, str] = MappingProxyType({})) -> None:
        super().__init__(f"line {line}: {refusal}")
        self.line = line
        """The first of them, from 0."""
        self.refusal = refusal
        self.also = also
        """Why later ones were refused, in words, by their lines."""


class Seats(Protocol):
    """The concerts service, seen from orders."""

    async def hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """Hold seats for several orders, MOST_HOLDS at most, all or none: what was held already is given back at once.

        Raises SeatsUnreachable: what was held then lapses; LineRefused, with the refusals above and OtherOrganizer.
        """
        ...

    async def hold(self, request: HoldRequest) -> SeatsHeld:
        """Hold seats; asked again for the same order and the same request, the same hold.

        Raises SeatsUnreachable, and the refusals above.
        """
        ...
