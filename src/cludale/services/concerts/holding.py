"""Holds at work: what is asked for is made sure of step by step, then decided in the section's command queue."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.bills import PriceWish
from cludale.kernel.events import Cause
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid, Refusal
from cludale.ports.seats import BlockNotFound, HoldRequest, SeatsHeld, SeatsUnavailable, SectionNotFound
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.aggregates import Updates
from cludale.runtime.batching import BatchingQueue
from cludale.services.concerts import domain, stock
from cludale.services.concerts.blocks.service import BlockService
from cludale.services.concerts.buyers.service import BuyerLimits, WantedSeats
from cludale.services.concerts.carts import service as carts
from cludale.services.concerts.choosing import Anywhere, Chooser, unless_held
from cludale.services.concerts.codes.service import CodeService, WantedUse
from cludale.services.concerts.commands import Done, QueuedCommand, Result, not_done
from cludale.services.concerts.concert import Concert, check_currency, check_on_sale, check_price
from cludale.services.concerts.directory import Directory
from cludale.services.concerts.domain import Hold
from cludale.services.concerts.prices.domain import Terms, counted
from cludale.services.concerts.prices.price_list import NO_PRICING
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.stock import Reservation
from cludale.services.concerts.store import SectionKey


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """A hold that somebody asks for, on its way to the section."""

    concert: Concert
    section: str | None
    """None: the cheapest with room for all."""
    request: HoldRequest
    command: Hold
    """What the section is to be told; each step adds what it made sure of."""
    may_be_repeated: bool


class Holding:
    """Holds of seats."""

    def __init__(
        self,
        updates: Updates,
        directory: Directory,
        command_queue: BatchingQueue[SectionKey, QueuedCommand, Result],
        *,
        chooser: Chooser,
        blocks: BlockService,
        seat_plans: SeatPlans,
        buyers: BuyerLimits,
        codes: CodeService,
        join: Callable[[HoldRequest], Awaitable[SeatsHeld]],
        hold_seconds: float,
        admission: AdmissionControl | None,
    ) -> None:
        """`join` puts an order on its waiting list."""
        self._updates = updates
        self._directory = directory
        self._command_queue = command_queue
        self._chooser = chooser
        self._blocks = blocks
        self._seat_plans = seat_plans
        self._buyers = buyers
        self._codes = codes
        self._join = join
        self._hold_seconds = hold_seconds
        self._admission = admission or AdmissionControl()

    async def reserve(self, request: HoldRequest, *, reservation_id: str | None = None) -> SeatsHeld:
        """`hold`, for those who come from outside: through admission control."""
        await self._admission.enter()
        try:
            return await self.hold(request, reservation_id=reservation_id)
        finally:
            self._admission.leave()

    async def hold(self, request: HoldRequest, *, reservation_id: str | None = None) -> SeatsHeld:
        """Hold seats, in the section named or the cheapest with room for all; asked again, the same hold.

        The hold belongs to the order, unless `reservation_id` says what to call it. Raises ConcertNotFound,
        ConcertOver, NotOnSale, SectionNotFound, OverTheLimit, SeatsUnavailable, PriceTooHigh, OtherCurrency,
        HoldEnded, HeldElsewhere, HeldOtherwise, BuyerLimitReached, TooManyHolds, HoldsLapsed, Busy.
        """
        if request.waits:
            return await self._join(request)
        now = self._updates.clock.now()
        known = await self._directory.priced(request.concert_id, now)
        concert, prices = known.concert, known.prices
        till = request.till
        check_on_sale(concert, quantity=request.quantity, now=now, till=till)
        if request.section is not None and request.section not in prices:
            raise SectionNotFound(concert.id, request.section)
        section = concert.sections[0].id if len(prices) == 1 else request.section
        block = None if till is None else till.block
        if block is not None:
            section = (await self._blocks.show(concert, block)).section
            if request.section not in (None, section):
                raise BlockNotFound(block)
        if section is None and (request.seats or request.wheelchairs):
            section = await self._section_for(concert, request)
        most = None
        if request.max_price is not None:
            check_currency(concert, request.max_price)
            most = request.max_price.amount
        may_be_repeated = reservation_id is not None or bool(request.order_id)
        if reservation_id is None:
            reservation_id = self._reservation_id(request)
        order_id, over_at = request.order_id or None, concert.over_at
        command = Hold(reservation_id, order_id, request.quantity, self._hold_seconds, over_at, most, block=block)
        if request.seats or request.wheelchairs:
            command = replace(command, seats=request.seats, wheelchairs=request.wheelchairs)
        asked = _Asked(concert, section, request, command, may_be_repeated)
        if request.wish is None and concert.more.pricing is None and not (till and till.is_complimentary):
            result = await self._hold_counted(asked)
        else:
            result = await self._hold_priced(asked)
        held = result.reservation
        price = prices[held.section] if held.price is UNSET else held.price
        return held_for(concert, request, result.reservation, price, result.event_id)

    async def _section_for(self, concert: Concert, request: HoldRequest) -> str:
        """The section of the seats that are named, or the cheapest with as many wheelchair places. Raises Invalid."""
        if request.seats:
            found = await self._seat_plans.section_with(concert, request.seats[0])
            if found is None:
                raise Invalid(("seats[0]", f"concert {concert.id!r} has no such seat"))
            return found
        (seen,) = await self._directory.standings([concert])
        by_id = {section.id: section for section in seen.sections}
        offered = [by_id[plan.id] for plan in concert.offered(seen.prices) if plan.plan is not UNSET]
        if not offered:
            raise Invalid(("wheelchairs", f"the seats of concert {concert.id!r} have no numbers"))
        free = [each for each in offered if each.available(seen.at) - each.available_to_all(seen.at)]
        return (free or offered)[0].id

    async def _hold_priced(self, asked: _Asked) -> Done:
        """Hold seats by the price list, perhaps with a code: its use is claimed before, and taken back where there are
        no seats. Where it is not known what came of it, the claim stays until it is forgotten.
        """
        concert, request, command = asked.concert, asked.request, asked.command
        wish = request.wish or PriceWish()
        pricing = concert.more.pricing or NO_PRICING
        counted(pricing, wish, request.quantity)
        if wish.max_total is not None:
            check_currency(concert, wish.max_total, field="maxTotal.currency")
        is_free = request.till is not None and request.till.is_complimentary
        terms, use = Terms(pricing, wish, complimentary=is_free), None
        if wish.code is not None:
            use = WantedUse(concert.id, wish.code, command.reservation_id, request.quantity, self._hold_seconds)
            claimed = await self._codes.claim(use)
            terms = replace(terms, code=claimed.terms)
            command = replace(command, claim_ends=claimed.ends)
        command = replace(command, terms=terms, revision=concert.revision)
        try:
            done = await self._hold_counted(replace(asked, command=command))
            stock.check_same_request(
                done.reservation,
                quantity=request.quantity,
                section=request.section,
                terms=command.terms,
                seats=request.seats,
            )
        except Refusal:
            if use is not None:
                await self._codes.give_up(use)
            raise
        return done

    def _hold_counted(self, asked: _Asked) -> Awaitable[Done]:
        """Hold seats, which count as somebody's where there are limits of buyers."""
        is_counted = self._buyers.concern(asked.concert, asked.request.buyers)
        return self._hold_for_buyers(asked) if is_counted else self._hold_in(asked)

    async def _hold_for_buyers(self, asked: _Asked) -> Done:
        """Hold seats that count as somebody's: claimed before, and the claim is taken back where there are none.

        Where it is not known what came of it, the claim stays until it is forgotten.
        """
        concert, request, command = asked.concert, asked.request, asked.command
        wanted = WantedSeats(
            concert, request.buyers, command.reservation_id, request.quantity, hold_seconds=self._hold_seconds
        )
        ends = await self._buyers.claim(wanted)
        buyers = () if concert.max_per_buyer is UNSET else request.buyers
        if command.claim_ends is not None:
            ends = min(ends, command.claim_ends)
        command = replace(command, buyers=buyers, claim_ends=ends)
        try:
            return await self._hold_in(replace(asked, command=command))
        except Refusal:
            await self._buyers.give_up(wanted)
            raise

    async def _hold_in(self, asked: _Asked) -> Done:
        """Hold seats in this section, or for None in the cheapest with room; raises what the result is else.

        Where this section has none left, that may be because this very order has them.
        """
        concert, command = asked.concert, asked.command
        queued = QueuedCommand(command, Cause(None, asked.request.traceparent))
        if asked.section is None:
            # By a price list or with a code it may cost less than the section's seats do: the section says.
            most = command.max_amount if command.terms is None else None
            result = await self._chooser.hold(Anywhere(concert, command, queued, most, asked.may_be_repeated))
        else:
            (result,) = await self._command_queue.submit(SectionKey(concert.id, asked.section), (queued,))
            if isinstance(result, SeatsUnavailable):
                records, id, now = self._updates.records, command.reservation_id, self._updates.clock.now()
                result = await unless_held(result, records, concert, asked.section, id, now)
        if not isinstance(result, Done):
            raise not_done(result)
        return result

    def _reservation_id(self, request: HoldRequest) -> str:
        if not request.order_id:
            return self._updates.ids.new("reservation")
        if request.order_id.startswith("order-"):
            return same_as("reservation", request.order_id)
        # Somebody else's name for an order says nothing beyond this concert; no id that is made or given has a colon.
        return f"reservation:{request.concert_id}:{request.order_id}"

    async def reserve_apart(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld | Exception]:
        """`reserve` for each of several that have nothing to do with each other: what it returned or raised."""

        async def one(request: HoldRequest) -> SeatsHeld | Exception:
            try:
                return await self.reserve(request)
            except Exception as error:  # noqa: BLE001 - not swallowed: who asked for this hold gets it
                return error

        return await asyncio.gather(*(one(each) for each in requests))

    async def reserve_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """`hold_all`, for those who come from outside: through admission control."""
        await self._admission.enter()
        try:
            return await self.hold_all(requests)
        finally:
            self._admission.leave()

    async def hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """Hold seats for the orders of one cart, all or none. Raises LineRefused, Busy."""
        return await carts.hold_all(self._directory.concert, self.hold, self._command_queue.submit, requests)


def held_for(
    concert: Concert, request: HoldRequest, reservation: Reservation, price: Money, event_id: str | None
) -> SeatsHeld:
    """The hold, as this request's response. Raises HeldOtherwise."""
    stock.check_same_request(reservation, quantity=request.quantity, section=request.section, seats=request.seats)
    bill = None if reservation.bill is UNSET else reservation.bill
    if bill is not None:
        price = domain.dearest(bill)
    if request.max_price is not None:
        check_price(concert, request.max_price, price)
    return SeatsHeld(
        reservation.allocation,
        price,
        reservation.expires_at,
        event_id,
        concert.cancellable_until,
        bill,
    )
