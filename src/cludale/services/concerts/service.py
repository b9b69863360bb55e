"""Concerts at work: schedules and finds concerts, and has a command queue for each section. Load → decide → commit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Handled, Query, Records, StoreUnavailable
from cludale.ports.sales import SaleOutlook
from cludale.ports.seats import ConcertNotFound, HoldRequest, SeatsHeld, SectionNotFound
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.recent import Recent
from cludale.services.concerts import dates, domain
from cludale.services.concerts.choosing import Anywhere, Chooser, too_many_wait, unless_held
from cludale.services.concerts.commands import Done, QueuedCommand, Result
from cludale.services.concerts.domain import (
    Cancel,
    Command,
    Concert,
    ConcertExists,
    Expire,
    Hold,
    Reservation,
    Seating,
    Section,
    Sell,
)
from cludale.services.concerts.events import ReleaseReason
from cludale.services.concerts.key_service import KeyService
from cludale.services.concerts.sections import Sections, near
from cludale.services.concerts.store import CONCERTS, RESERVATIONS, SECTIONS, SectionKey, folded, searched
from cludale.services.orders.events import CancelReason, OrderCancelled
from cludale.services.payments.events import PaymentCompleted

SWEEP_PAGE = 200
SWEEP_PAGES = 100
SEARCH_PAGES = 100
"""How many pages of the store are gone through for one that has something in it."""
CONCERTS_REMEMBERED = 1_000


class ConcertSnapshot(NamedTuple):
    """A concert and its sections at the time `at`."""

    concert: Concert
    sections: Sequence[Section]
    at: datetime


class Search(NamedTuple):
    """What to look for: text within artist and venue, days or times from and to (inclusive), the order, the page.

    A concert is found by a day that is one of its own, there where it is; by a time at which it is.
    """

    artist: str | None = None
    venue: str | None = None
    since: str | None = None
    until: str | None = None
    order_by: str = "date"
    descending: bool = False
    after: str | None = None
    limit: int = 50
    unlisted_of: Principal | None = None
    """Those of its own, too, that are not listed; they come last."""

    def matches(self, concert: Concert) -> bool:
        """Is it among those that are looked for?"""
        return (
            (concert.listed or self._owns(concert))
            and folded(self.artist or "") in folded(concert.artist)
            and folded(self.venue or "") in folded(concert.venue or "")
            and (self.since is None or concert.is_on_from(self.since))
            and (self.until is None or concert.is_on_until(self.until))
        )

    def _owns(self, concert: Concert) -> bool:
        return self.unlisted_of is not None and self.unlisted_of.owns(concert.organizer, concert.id)


class Concerts:
    """The concerts service."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        hold_seconds: float,
        max_per_order: int,
        admission: AdmissionControl | None = None,
        commit_limit: int | None = None,
        partitions_apart: bool = False,
    ) -> None:
        """`commit_limit` is the most records and inbox entries that the store takes in one commit; None: any number.

        `partitions_apart`: the store may have records with one id in several partitions, so in several sections.
        """
        self._updates = Updates("concerts", records, clock=clock, ids=ids)
        self._hold_seconds = hold_seconds
        self.max_per_order = max_per_order
        """The limit of a concert that names none."""
        self._remembered: Recent[str, tuple[Concert, Mapping[str, Money]]] = Recent(CONCERTS_REMEMBERED)
        """Concerts, and the price of a seat by section."""
        self._admission = admission or AdmissionControl()
        self._sections = Sections(self._updates, self.concert, commit_limit=commit_limit)
        self.command_queue: BatchingQueue[SectionKey, QueuedCommand, Result] = BatchingQueue(
            self._sections.run_commands, of="commands", refuse=too_many_wait
        )
        self._chooser = Chooser(self._updates, self.command_queue.submit, partitions_apart=partitions_apart)
        self._sections.learn = self._chooser.learn
        self.keys = KeyService(self._updates)

    async def schedule(self, concert: Concert, cause: Cause) -> ConcertSnapshot:
        """Put a concert on. Raises ConcertExists."""

        def decide(stored: Concert | None, _: datetime) -> Decision[Concert]:
            return domain.schedule(concert) if stored is None else Decision(stored)

        ((result, _),) = await self._updates.update((Change(CONCERTS, concert.id, decide, cause, known=NEW),))
        if result is not ChangeResult.CHANGED:
            raise ConcertExists(concert.id)
        sections = [domain.untouched(concert.id, plan) for plan in concert.sections]
        return ConcertSnapshot(concert, sections, self._updates.clock.now())

    async def concert(self, concert_id: str) -> Concert:
        """The concert; it does not change once scheduled. Raises ConcertNotFound."""
        return (await self._priced(concert_id))[0]

    async def _priced(self, concert_id: str) -> tuple[Concert, Mapping[str, Money]]:
        known = self._remembered.get(concert_id)
        if known is None:
            found = await CONCERTS.load(self._updates.records, (concert_id,))
            if concert_id not in found:
                raise ConcertNotFound(concert_id)
            concert = found[concert_id].state
            known = concert, {plan.id: plan.price for plan in concert.sections}
            self._remembered.remember({concert_id: known})
        return known

    async def details(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """What these concerts are, and whose, as far as there are any."""
        found: dict[str, ConcertDetails] = {}
        for id in concert_ids:
            try:
                concert = await self.concert(id)
            except ConcertNotFound:
                continue
            names = {plan.id: plan.name for plan in concert.sections}
            found[id] = ConcertDetails(
                concert.artist, concert.date, concert.venue, names, concert.organizer, concert.ends_at
            )
        return found

    async def standing(self, concert_id: str) -> ConcertSnapshot:
        """The concert and how many seats are left now. Raises ConcertNotFound."""
        (standing,) = await self._standings([await self.concert(concert_id)])
        return standing

    async def search(self, search: Search) -> tuple[Sequence[ConcertSnapshot], str | None]:
        """A page of concerts, and the cursor of the next one.

        It is full while there are more, save where SEARCH_PAGES looks at the store did not fill it.
        """
        query = _query(search)
        wanted: list[Concert] = []
        for _ in range(SEARCH_PAGES):
            found, page = await CONCERTS.find(self._updates.records, query)
            wanted += [each.state for each in found if search.matches(each.state)]
            if page.next is None or len(wanted) == search.limit:
                break
            query = query._replace(after=page.next, limit=search.limit - len(wanted))
        return await self._standings(wanted), page.next

    async def _standings(self, concerts: Sequence[Concert]) -> list[ConcertSnapshot]:
        keys = [SectionKey(concert.id, plan.id).partition for concert in concerts for plan in concert.sections]
        stored = await SECTIONS.load(self._updates.records, keys)
        now = self._updates.clock.now()
        standings = []
        for concert in concerts:
            sections = []
            for plan in concert.sections:
                found = stored.get(SectionKey(concert.id, plan.id).partition)
                sections.append(found.state if found else domain.untouched(concert.id, plan))
            standings.append(ConcertSnapshot(concert, sections, now))
        return standings

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
        HoldEnded, HeldElsewhere, HeldOtherwise, Busy.
        """
        concert, prices = await self._priced(request.concert_id)
        domain.check_on_sale(concert, quantity=request.quantity, now=self._updates.clock.now())
        if request.section is not None and request.section not in prices:
            raise SectionNotFound(concert.id, request.section)
        section = concert.sections[0].id if len(prices) == 1 else request.section
        if request.max_price is not None:
            domain.check_price(concert, request.max_price, section=section)
        may_be_repeated = reservation_id is not None or bool(request.order_id)
        if reservation_id is None:
            reservation_id = self._reservation_id(request)
        command = Hold(
            reservation_id, request.order_id or None, request.quantity, self._hold_seconds, over_at=concert.over_at
        )
        asked = QueuedCommand(command, Cause(None, request.traceparent))
        if section is None:
            most = None if request.max_price is None else request.max_price.amount
            result = await self._chooser.hold(Anywhere(concert, command, asked, most, may_be_repeated))
        else:
            result = await self._hold_in(concert, section, asked)
        if not isinstance(result, Done):
            raise result
        price = prices[result.reservation.section]
        return self._held(concert, request, result.reservation, price, result.event_id)

    async def _hold_in(self, concert: Concert, section: str, asked: QueuedCommand) -> Result:
        """Hold seats in this section; where it has none left, the hold that this very order has there."""
        (result,) = await self.command_queue.submit(SectionKey(concert.id, section), (asked,))
        id = asked.command.reservation_id
        return await unless_held(result, self._updates.records, concert, section, id, self._updates.clock.now())

    async def sale_outlook(self, concert_id: str, section_id: str, reservation_id: str) -> SaleOutlook:
        """What would come of money for this reservation now; for payments alone.

        Raises ConcertNotFound, SectionNotFound.
        """
        concert = await self.concert(concert_id)
        section, loaded = await self._sections.load(SectionKey(concert.id, section_id), (reservation_id,))
        seating = Seating(section.state, near({each: known.state for each, known in loaded.items()}, reservation_id))
        return domain.sale_outlook(seating, reservation_id, over_at=concert.over_at, now=self._updates.clock.now())

    def _reservation_id(self, request: HoldRequest) -> str:
        if not request.order_id:
            return self._updates.ids.new("reservation")
        if request.order_id.startswith("order-"):
            return same_as("reservation", request.order_id)
        # Somebody else's name for an order says nothing beyond this concert; no id that is made or given has a colon.
        return f"reservation:{request.concert_id}:{request.order_id}"

    def _held(
        self, concert: Concert, request: HoldRequest, reservation: Reservation, price: Money, event_id: str | None
    ) -> SeatsHeld:
        """The hold, as this request's response. Raises HeldOtherwise."""
        domain.check_same_request(reservation, quantity=request.quantity, section=request.section)
        if request.max_price is not None:
            domain.check_price(concert, request.max_price, section=reservation.section)
        return SeatsHeld(
            reservation.allocation,
            price,
            reservation.expires_at,
            event_id,
            concert.cancellable_until,
        )

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """PaymentCompleted sells the held seats; OrderCancelled gives them back."""
        answers = [Acknowledgement.SUCCESS] * len(deliveries)
        by_section: dict[SectionKey, list[tuple[int, QueuedCommand]]] = {}
        for i, delivery in enumerate(deliveries):
            event = delivery.event
            command = await self.HANDLERS[type(event.data)](self, event)
            if command is not None:
                asked = QueuedCommand(command, Cause.of(event), Handled("concerts", event.id))
                by_section.setdefault(SectionKey.of(event.data.allocation), []).append((i, asked))
        for key, results in await self._submit_each(by_section):
            for (i, _), result in zip(by_section[key], results, strict=True):
                if isinstance(result, StoreUnavailable):
                    raise result
                answers[i] = Acknowledgement.SUCCESS if isinstance(result, Done) else Acknowledgement.RETRY
        return answers

    async def _on_payment_completed(self, event: Envelope) -> Command:
        paid: PaymentCompleted = event.data
        over_at = (await self.concert(paid.concert_id)).over_at
        return Sell(
            paid.allocation.reservation_id,
            paid.order_id,
            paid.round,
            over_at=over_at,
            payment_attempts=paid.attempts,
            paid_at=event.time,
            again=event.repeated,
        )

    async def _on_order_cancelled(self, event: Envelope) -> Command | None:
        cancelled: OrderCancelled = event.data
        if cancelled.allocation is None:
            return None  # it was cancelled before it had seats
        return Cancel(
            cancelled.allocation.reservation_id,
            _why_released(cancelled.reason),
            on_purpose=cancelled.reason.is_on_purpose,
        )

    HANDLERS: ClassVar[Mapping[type[Event], Callable[["Concerts", Envelope], Awaitable[Command | None]]]] = {
        PaymentCompleted: _on_payment_completed,
        OrderCancelled: _on_order_cancelled,
    }
    """What the service hears, and the command to the section that follows from it."""

    async def _submit_each(
        self, by_section: dict[SectionKey, list[tuple[int, QueuedCommand]]]
    ) -> Iterable[tuple[SectionKey, Sequence[Result]]]:
        keys = list(by_section)
        waiting = (self.command_queue.submit(key, [asked for _, asked in by_section[key]]) for key in keys)
        return zip(keys, await asyncio.gather(*waiting), strict=True)

    async def sweep(self) -> int:
        """Publish the holds whose time is over; returns how many there were. Availability does not wait for it."""
        released = 0
        for _ in range(SWEEP_PAGES):
            found, page = await RESERVATIONS.find(
                self._updates.records, RESERVATIONS.due(until=self._updates.clock.now(), limit=SWEEP_PAGE)
            )
            by_section: dict[SectionKey, list[tuple[int, QueuedCommand]]] = {}
            for i, each in enumerate(found):
                key = SectionKey(each.state.concert_id, each.state.section)
                by_section.setdefault(key, []).append((i, QueuedCommand(Expire(each.state.id), Cause())))
            for _, results in await self._submit_each(by_section):
                released += sum(isinstance(result, Done) for result in results)
            if page.next is None:
                break
        return released

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {"cludale_holds_waiting": self.command_queue.waiting}


def _query(search: Search) -> Query:
    # of unlisted ones, which have no date in the index, none can be narrowed down
    return searched(
        artist=None if search.unlisted_of else search.artist,
        venue=None if search.unlisted_of else search.venue,
        days=None if search.unlisted_of else dates.days_around(search.since, search.until),
        order_by=search.order_by,
        descending=search.descending,
        after=search.after,
        limit=search.limit,
    )


def _why_released(reason: CancelReason) -> ReleaseReason:
    if reason.is_on_purpose:
        return ReleaseReason.CANCELLED
    return ReleaseReason.EXPIRED if reason is CancelReason.EXPIRED else ReleaseReason.UNPAID
