"""Waiting lists at work: joined, left, offered what comes back, and ended with the sale. Decided in waiting.py."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET

from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.ports.records import StoreUnavailable
from cludale.ports.seats import ConcertNotFound, HoldRequest, InLine, NoWaitingList, SeatsHeld, SectionNotFound
from cludale.runtime.aggregates import Updates, Versioned
from cludale.services.concerts.commands import ListDone, QueuedCommand, Result
from cludale.services.concerts.concert import Concert, check_on_sale
from cludale.services.concerts.events import ConcertStatus, WhyLeft
from cludale.services.concerts.stock import Reservation, Section
from cludale.services.concerts.store import WAITING, SectionKey
from cludale.services.concerts.waiting import EndList, Entry, Join, MakeOffers, is_waited_for

OFFER_SECONDS = 30 * 60.0
SWEEP_PAGE = 200

Submit = Callable[[SectionKey, Sequence[QueuedCommand]], Awaitable[Sequence[Result]]]


class Waits(NamedTuple):
    """An entry of a concert's lists, and its position in its own."""

    section: str
    entry: Entry
    position: int


class WaitingService:
    """The waiting lists of all concerts."""

    def __init__(
        self,
        updates: Updates,
        concert: Callable[[str], Awaitable[Concert]],
        submit: Submit,
        held: Callable[[Concert, HoldRequest, Reservation], SeatsHeld],
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

        Raises InLine until then; ConcertNotFound, SectionNotFound, NoWaitingList, WaitingListFull, HoldEnded,
        CalledOff, ConcertOver, NotOnSale, SaleEnded, SalePaused, OverTheLimit, Invalid, Busy.
        """
        concert = await self._concert(request.concert_id)
        now = self._updates.clock.now()
        section = request.section or concert.sections[0].id
        plan = concert.plan(section)
        if request.section is None and len(concert.sections) > 1:
            raise Invalid(("section", "is required on a waiting list where the concert has several"))
        if concert.max_per_buyer is not UNSET:
            raise NoWaitingList(concert.id)
        if request.wish is not None and request.wish.code is not None:
            raise Invalid(("code", "is not taken on a waiting list"))
        check_on_sale(concert, quantity=request.quantity, now=now)
        key = SectionKey(concert.id, plan.id)
        command = Join(order_id=request.order_id, quantity=request.quantity, wish=request.wish, over_at=concert.over_at)
        cause = Cause(None, request.traceparent)
        done = await self._ask(key, command, cause)
        if done.changed:  # there may be seats that nobody before it can use
            await self._offer_in(key)
            done = await self._ask(key, command, cause)
        if done.reservation is not None:
            return self._held(concert, request, done.reservation)
        position = done.waiting.position(request.order_id) or 1
        raise InLine(concert.id, plan.id, position=position, waiting=len(done.waiting.entries))

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
        command = MakeOffers(
            offer_seconds=self._offer_seconds,
            over_at=concert.over_at,
            pricing=concert.more.pricing,
            revision=concert.revision,
        )
        done = await self._ask(key, command, Cause())
        if not done.changed:
            self._stirred.pop(key, None)  # nobody fits: not before more comes back
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
