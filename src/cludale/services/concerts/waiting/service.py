"""Waiting lists at work: joined, left, offered what comes back, and ended with the sale. Decided in domain.py."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.ports.records import StoreUnavailable
from cludale.ports.seats import ConcertNotFound, HoldRequest, InLine, SeatsHeld, SectionNotFound
from cludale.runtime.aggregates import Updates, Versioned
from cludale.services.concerts.buyers.service import BuyerLimits, WantedSeats
from cludale.services.concerts.codes.service import CodeService, WantedUse
from cludale.services.concerts.commands import ListDone, QueuedCommand, Result
from cludale.services.concerts.concert import Concert, check_on_sale
from cludale.services.concerts.events import ClaimRefused, ConcertStatus, WhyLeft
from cludale.services.concerts.prices.domain import CodeTerms, counted
from cludale.services.concerts.prices.price_list import NO_PRICING
from cludale.services.concerts.stock import Reservation, Section
from cludale.services.concerts.store import RESERVATIONS, WAITING, SectionKey
from cludale.services.concerts.waiting.domain import (
    EndList,
    Grant,
    Join,
    MakeOffers,
    WaitingEntry,
    is_waited_for,
    reservation_of,
    to_grant,
)

OFFER_SECONDS = 30 * 60.0
SWEEP_PAGE = 200

Submit = Callable[[SectionKey, Sequence[QueuedCommand]], Awaitable[Sequence[Result]]]


class Waits(NamedTuple):
    """An entry of a concert's lists, and its position in its own."""

    section: str
    entry: WaitingEntry
    position: int


class WaitingClaims:
    """What an offer claims before its seats: tickets of a buyer, and a use of a code, as a hold does."""

    def __init__(self, buyers: BuyerLimits, codes: CodeService) -> None:
        self.buyers = buyers
        self.codes = codes

    async def grant(self, concert: Concert, entry: WaitingEntry, offer_seconds: float) -> Grant:
        """Claim what this entry needs. Raises Busy."""
        wanted, use = _wanted(concert, entry, offer_seconds)
        ends: list[datetime] = []
        terms: CodeTerms | None = None
        try:
            if wanted is not None:
                ends.append(await self.buyers.claim(wanted))
            if use is not None:
                claimed = await self.codes.claim(use)
                terms = claimed.terms
                ends += [] if claimed.ends is None else [claimed.ends]
        except Busy:
            raise
        except Refusal:
            is_code = wanted is None or bool(ends)  # the buyer's tickets are claimed first
            if wanted is not None and is_code:
                await self.buyers.give_up(wanted)
            return Grant(is_refused=True, claim=ClaimRefused.CODE if is_code else ClaimRefused.BUYER)
        buyers = () if wanted is None else wanted.buyers
        return Grant(buyers=buyers, code=terms, ends=min(ends, default=None))

    async def give_up(self, concert: Concert, entry: WaitingEntry, offer_seconds: float) -> None:
        """It was not offered anything: take its claims back."""
        wanted, use = _wanted(concert, entry, offer_seconds)
        if wanted is not None:
            await self.buyers.give_up(wanted)
        if use is not None:
            await self.codes.give_up(use)


def _wanted(concert: Concert, entry: WaitingEntry, offer_seconds: float) -> tuple[WantedSeats | None, WantedUse | None]:
    seats = use = None
    if entry.buyers and concert.max_per_buyer is not UNSET:
        seats = _seats(concert, entry.buyers, entry.order_id, entry.quantity, offer_seconds)
    if entry.code is not None:
        reservation = reservation_of(entry.order_id)
        use = WantedUse(concert.id, entry.code, reservation, entry.quantity, offer_seconds)
    return seats, use


def _seats(concert: Concert, buyers: BuyerKeys, order_id: str, quantity: int, offer_seconds: float) -> WantedSeats:
    # That unpaid orders are limited concerns who orders, not who is offered what they waited for.
    return WantedSeats(concert, buyers, reservation_of(order_id), quantity, offer_seconds, counts_holds=False)


class WaitingService:
    """The waiting lists of all concerts."""

    def __init__(
        self,
        updates: Updates,
        concert: Callable[[str], Awaitable[Concert]],
        submit: Submit,
        held: Callable[[Concert, HoldRequest, Reservation], SeatsHeld],
        claims: WaitingClaims,
        *,
        offer_seconds: float = OFFER_SECONDS,
    ) -> None:
        """`held`: a reservation as it is answered to orders. `offer_seconds`: how long an offer is held, where the
        concert does not say.
        """
        self._updates = updates
        self._concert = concert
        self._submit = submit
        self._held = held
        self._claims = claims
        self._offer_seconds = offer_seconds
        self._stirred: dict[SectionKey, None] = {}
        """Sections in which somebody waits, and seats can be had."""

    def learn(self, known: Versioned[Section]) -> None:
        """How a batch of commands left a section."""
        section = known.state
        if is_waited_for(section) and section.available_to_all(self._updates.clock.now()) > 0:
            self._stirred[SectionKey(section.concert_id, section.id)] = None

    async def join(self, request: HoldRequest) -> SeatsHeld:
        """Have an order wait for seats; asked again, how it stands. What it is offered, once that is so.

        Raises InLine until then; ConcertNotFound, SectionNotFound, WaitingListFull, HoldEnded, CalledOff, ConcertOver,
        NotOnSale, SaleEnded, SalePaused, OverTheLimit, BuyerLimitReached, CodeUnknown, CodeOver, CodeUsedUp,
        CategoryNotFound, Invalid, Busy.
        """
        concert = await self._concert(request.concert_id)
        now = self._updates.clock.now()
        section = request.section or concert.sections[0].id
        plan = concert.plan(section)
        if request.section is None and len(concert.sections) > 1:
            raise Invalid(("section", "is required on a waiting list where the concert has several"))
        check_on_sale(concert, quantity=request.quantity, now=now)
        key = SectionKey(concert.id, plan.id)
        buyers = () if concert.max_per_buyer is UNSET else request.buyers
        await self._check_first(concert, key, request, buyers)
        command = Join(
            order_id=request.order_id,
            quantity=request.quantity,
            wish=request.wish,
            over_at=concert.over_at,
            buyers=buyers,
        )
        cause = Cause(None, request.traceparent)
        done = await self._ask(key, command, cause)
        if done.changed:  # there may be seats that nobody before it can use
            await self._offer_in(key)
            done = await self._ask(key, command, cause)
        if done.reservation is not None:
            return self._held(concert, request, done.reservation)
        position = done.waiting.position(request.order_id) or 1
        raise InLine(concert.id, plan.id, position=position, waiting=len(done.waiting.entries))

    async def _check_first(self, concert: Concert, key: SectionKey, request: HoldRequest, buyers: BuyerKeys) -> None:
        """Could who joins be offered seats, as things stand? Nothing is claimed before they are.

        Raises BuyerLimitReached, CodeUnknown, CodeOver, CodeUsedUp, CategoryNotFound, Invalid.
        """
        code = None if request.wish is None else request.wish.code
        if not buyers and code is None:
            return
        records, offered = self._updates.records, reservation_of(request.order_id)
        found = (await WAITING.load(records, (key.partition,))).get(key.partition)
        if found is not None and found.state.position(request.order_id) is not None:
            return
        if offered in await RESERVATIONS.load(records, (offered,), partition=key.partition):
            return
        if code is not None and request.wish is not None:
            counted(concert.more.pricing or NO_PRICING, request.wish, request.quantity)
            await self._claims.codes.quoted(concert.id, code, request.quantity)
        if buyers:
            wanted = _seats(concert, buyers, request.order_id, request.quantity, self._offer_seconds)
            refusal = await self._claims.buyers.refusal(wanted)
            if refusal is not None:
                raise refusal

    async def _ask(self, key: SectionKey, command: Join | MakeOffers | EndList, cause: Cause) -> ListDone:
        (result,) = await self._submit(key, (QueuedCommand(command, cause),))
        if isinstance(result, ListDone):
            return result
        raise result if isinstance(result, Exception) else TypeError(f"another answer than was asked for: {result}")

    async def offer(self) -> None:
        """Offer what came back, in each section where somebody waits; what can't be done now is left to the sweep."""
        while self._stirred:
            key = next(iter(self._stirred))
            del self._stirred[key]
            try:
                await self._offer_in(key)
            except (Refusal, StoreUnavailable):
                continue

    async def _offer_in(self, key: SectionKey) -> bool:
        """Offer what can be had, or end a list whose sale has ended; did anything happen?"""
        concert = await self._concert(key.concert_id)
        now = self._updates.clock.now()
        why = _why_over(concert, now)
        if why is not None:
            return (await self._ask(key, EndList(reason=why), Cause())).changed
        if concert.status in (ConcertStatus.POSTPONED, ConcertStatus.DRAFT):
            return False  # nothing is sold until its new time is known
        minutes = concert.more.offer_minutes
        command = MakeOffers(
            offer_seconds=self._offer_seconds if minutes is None else minutes * 60.0,
            over_at=concert.over_at,
            pricing=concert.more.pricing,
            revision=concert.revision,
        )
        done = await self._ask(key, command, Cause())
        changed = done.changed
        entries = to_grant(done.section, done.waiting, self._updates.clock.now())
        if entries:
            changed = await self._offer_claimed(concert, key, command, entries) or changed
        if not changed:
            self._stirred.pop(key, None)  # nobody fits: not before more comes back
        return changed

    async def _offer_claimed(
        self, concert: Concert, key: SectionKey, command: MakeOffers, entries: Sequence[WaitingEntry]
    ) -> bool:
        """Offer seats to these, after what each of them needs is claimed; what is not used goes back."""
        grants: dict[str, Grant] = {}
        for entry in entries:
            try:
                grants[entry.order_id] = await self._claims.grant(concert, entry, command.offer_seconds)
            except Busy:
                break  # who comes later waits for who comes before
        if not grants:
            return False
        done = await self._ask(key, replace(command, grants=grants), Cause())
        waiting_yet = {entry.order_id for entry in done.waiting.entries}
        for entry in entries:
            if entry.order_id in waiting_yet and entry.order_id in grants:
                await self._claims.give_up(concert, entry, command.offer_seconds)
        return done.changed

    async def sweep(self) -> int:
        """Look at every list on which somebody waits; returns in how many anything happened."""
        query = WAITING.due(until=self._updates.clock.now(), limit=SWEEP_PAGE)
        found, _ = await WAITING.find(self._updates.records, query)
        partitions = [SectionKey(each.state.concert_id, each.state.section) for each in found]
        count = 0
        for key in partitions:
            try:
                count += await self._offer_in(key)
            except (ConcertNotFound, Busy):
                continue
        await self.offer()
        return count

    async def all_of(self, concert: Concert, section: str | None = None) -> list[Waits]:
        """Who waits for seats of a concert, or of one section, section by section. Raises SectionNotFound."""
        ids = [plan.id for plan in concert.sections if section in (None, plan.id)]
        if not ids:
            raise SectionNotFound(concert.id, section or "")
        lists = await WAITING.load(self._updates.records, [SectionKey(concert.id, id).partition for id in ids])
        found = [lists[partition].state for id in ids if (partition := SectionKey(concert.id, id).partition) in lists]
        return [Waits(each.section, entry, at) for each in found for at, entry in enumerate(each.entries, 1)]


def _why_over(concert: Concert, now: datetime) -> WhyLeft | None:
    """Why nothing of it is sold any more, if it is so."""
    if concert.status is ConcertStatus.CANCELLED:
        return WhyLeft.CALLED_OFF
    if now >= concert.over_at:
        return WhyLeft.CONCERT_OVER
    off = concert.more.off_sale_at
    return WhyLeft.SALE_ENDED if off is not None and now >= off else None
