"""Concerts at work: schedules and finds concerts, and has a command queue for each section. Load → decide → commit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel import dates
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.principals import Principal
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.calling_off import CallOffs, Progress
from cludale.ports.clock import Clock, IdSource
from cludale.ports.entrance import Entrance
from cludale.ports.prices import CodeUsedUp
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Handled, Query, Records, StoreUnavailable
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import (
    BlockNotFound,
    BuyerLimitReached,
    ConcertNotFound,
    HoldRequest,
    SeatsHeld,
    SectionNotFound,
)
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates, Versioned
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.recent import Recent
from cludale.services.concerts import domain, stock
from cludale.services.concerts.blocks.domain import BlockCommand
from cludale.services.concerts.blocks.service import BlockService
from cludale.services.concerts.buyers.domain import CLAIM_SECONDS
from cludale.services.concerts.buyers.looks import Looks
from cludale.services.concerts.buyers.service import NO_QUOTAS, BuyerLimits, Quotas, WantedSeats
from cludale.services.concerts.carts import service as cart_holds
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.choosing import Anywhere, Chooser, too_many_wait, unless_held
from cludale.services.concerts.codes.service import CodeService, WantedUse
from cludale.services.concerts.commands import Done, ListDone, QueuedCommand, Result, SectionDone
from cludale.services.concerts.concert import (
    Concert,
    ConcertExists,
    check_currency,
    check_on_sale,
    check_price,
    schedule,
)
from cludale.services.concerts.domain import (
    BlockSeats,
    Cancel,
    ChangeSection,
    Close,
    Command,
    Expire,
    Hold,
    LateSeatsUnclaimed,
    Return,
    Seating,
    SectionCommand,
    Sell,
)
from cludale.services.concerts.events import ConcertFields, ConcertStatus, ReleaseReason
from cludale.services.concerts.key_service import KeyService
from cludale.services.concerts.pairing_service import PairingService
from cludale.services.concerts.prices.domain import Place, Terms, bill, counted
from cludale.services.concerts.prices.price_list import NO_PRICING
from cludale.services.concerts.seat_moves.service import SeatMoves
from cludale.services.concerts.seat_plans.changing import prepared
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.seating.plans import Plan
from cludale.services.concerts.sections import Sections, near
from cludale.services.concerts.session_service import SessionService
from cludale.services.concerts.stock import Reservation, Section, unavailable, untouched
from cludale.services.concerts.store import CONCERTS, RESERVATIONS, SECTIONS, SectionKey, folded, searched
from cludale.services.concerts.waiting.domain import Leave
from cludale.services.concerts.waiting.service import OFFER_SECONDS, WaitingClaims, WaitingService
from cludale.services.orders.events import CancelReason, OrderCancelled, PartRefundRequested
from cludale.services.payments.events import PaymentCompleted

SWEEP_PAGE = 200
SWEEP_PAGES = 100
SEARCH_PAGES = 100
"""How many pages of the store are gone through for one that has something in it."""
CONCERTS_REMEMBERED = 1_000
FRESH_SECONDS = 0.5
"""How long what a concert is is taken for what another replica may have changed since."""


class Known(NamedTuple):
    """A concert as it was read at the time `at`, and the price at which each section was put on."""

    concert: Concert
    prices: Mapping[str, Money]
    at: datetime


class SectionWish(NamedTuple):
    """What is to become of a section; None: as it is."""

    id: str
    total: int | None = None
    price: Money | None = None


class ConcertSnapshot(NamedTuple):
    """A concert and its sections at the time `at`."""

    concert: Concert
    sections: Sequence[Section]
    at: datetime

    @property
    def prices(self) -> Mapping[str, Money]:
        """What a seat costs, by section."""
        return {section.id: section.price for section in self.sections}

    @property
    def tag(self) -> str:
        """Changes with each change of the concert, of its seats or prices; not with each sale."""
        return f"{self.concert.revision}.{sum(section.changes for section in self.sections)}"


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
    made = bill(terms, Place(seen.concert.id, chosen.id, chosen.price, taken, now), quantity)
    return Quote(chosen.id, chosen.available(now), made, None if terms.code is None else terms.code.unlocks)


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


class _Asked(NamedTuple):
    """A hold that somebody asks for, on its way to the section."""

    concert: Concert
    section: str | None
    """None: the cheapest with room for all."""
    request: HoldRequest
    command: Hold
    """What the section is to be told; each step adds what it made sure of."""
    may_be_repeated: bool


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
        call_offs: CallOffs | None = None,
        entrance: Entrance | None = None,
        quotas: Quotas = NO_QUOTAS,
        offer_seconds: float = OFFER_SECONDS,
    ) -> None:
        """`commit_limit` is the most records and inbox entries that the store takes in one commit; None: any number.

        `partitions_apart`: the store may have records with one id in several partitions, so in several sections.
        `quotas`: of unpaid orders. `offer_seconds`: how long seats are held for who waited for them.
        """
        self._updates = Updates("concerts", records, clock=clock, ids=ids)
        self.clock = clock
        self._hold_seconds = hold_seconds
        self.max_per_order = max_per_order
        """The limit of a concert that names none."""
        self._remembered: Recent[str, Known] = Recent(CONCERTS_REMEMBERED)
        self._call_offs = call_offs
        self._admission = admission or AdmissionControl()
        self.seat_plans = SeatPlans(self._updates)
        hall_of = self.seat_plans.hall_of
        self._sections = Sections(self._updates, self.concert, hall_of=hall_of, commit_limit=commit_limit)
        self.command_queue: BatchingQueue[SectionKey, QueuedCommand, Result] = BatchingQueue(
            self._sections.run_commands, of="commands", refuse=too_many_wait
        )
        self._chooser = Chooser(self._updates, self.command_queue.submit, partitions_apart=partitions_apart)
        self._sections.learn = self._learn
        self.blocks = BlockService(self._updates, self._ask_section)
        self.seat_moves = SeatMoves(records, self.command_queue.submit, self.seat_plans, entrance)
        looks = Looks(self._updates, self.concert, self.command_queue.submit, partitions_apart=partitions_apart)
        self._buyers = BuyerLimits(self._updates, looks, quotas)
        self.codes = CodeService(self._updates, looks)
        self.waiting = WaitingService(
            self._updates,
            self.concert,
            self.command_queue.submit,
            self._offered,
            WaitingClaims(self._buyers, self.codes),
            offer_seconds=offer_seconds,
        )
        self.keys = KeyService(self._updates)
        self.sessions = SessionService(self._updates, lambda: self.keys.changed())  # noqa: PLW0108 - set later
        self.pairing = PairingService(self._updates, self.keys)

    def _learn(self, known: Versioned[Section]) -> None:
        self._chooser.learn(known)
        if known.state.waiting:
            self.waiting.learn(known)

    def _offered(self, concert: Concert, request: HoldRequest, reservation: Reservation) -> SeatsHeld:
        price = concert.plan(reservation.section).price if reservation.price is UNSET else reservation.price
        return self._held(concert, request, reservation, price, None)

    async def schedule(self, concert: Concert, cause: Cause) -> ConcertSnapshot:
        """Put a concert on. Raises ConcertExists."""

        def decide(stored: Concert | None, _: datetime) -> Decision[Concert]:
            return schedule(concert) if stored is None else Decision(stored)

        ((result, _),) = await self._updates.update((Change(CONCERTS, concert.id, decide, cause, known=NEW),))
        if result is not ChangeResult.CHANGED:
            raise ConcertExists(concert.id)
        sections = [untouched(concert.id, plan) for plan in concert.sections]
        return ConcertSnapshot(concert, sections, self._updates.clock.now())

    async def concert(self, concert_id: str) -> Concert:
        """The concert, as it was FRESH_SECONDS ago at most. Raises ConcertNotFound."""
        return (await self._priced(concert_id, self._updates.clock.now())).concert

    async def _priced(self, concert_id: str, now: datetime) -> Known:
        known = self._remembered.get(concert_id)
        if known is not None:
            age = (now - known.at).total_seconds()
            if 0 <= age < FRESH_SECONDS:
                return known
            self._remembered.remember({concert_id: known._replace(at=now)})  # one reads it anew, the others go on
        try:
            return await self._read(concert_id, now)
        except StoreUnavailable:
            if known is not None:
                self._remembered.remember({concert_id: known})
            raise

    async def _read(self, concert_id: str, now: datetime) -> Known:
        found = await CONCERTS.load(self._updates.records, (concert_id,))
        if concert_id not in found:
            raise ConcertNotFound(concert_id)
        return self._remember(found[concert_id].state, now)

    def _remember(self, concert: Concert, now: datetime) -> Known:
        known = Known(concert, {plan.id: plan.price for plan in concert.sections}, now)
        self._remembered.remember({concert.id: known})
        return known

    async def fresh(self, concert_id: str) -> Concert:
        """The concert as it is stored now. Raises ConcertNotFound."""
        return (await self._read(concert_id, self._updates.clock.now())).concert

    # -- what becomes of a concert

    async def change(
        self,
        concert_id: str,
        fields: Callable[[Concert], ConcertFields],
        sections: Sequence[SectionWish],
        *,
        tag: str | None,
        by: str,
        cause: Cause,
        plan: Plan | None = None,
    ) -> ConcertSnapshot:
        """Say anew what a concert is, and how many seats its sections have at what price, and where.

        `plan`: the seating plan of its numbered sections from now on. `fields` says it of the concert as it is then.
        `tag`: the snapshot's that whoever asks has seen; None: whatever. Sections come first, one after the other; a
        refusal ends it there. Raises ConcertNotFound, ChangedMeanwhile, SectionNotFound, SeatsInUse, SeatsKept,
        CalledOff, StatusRefused, Invalid, Busy.
        """
        concert = await self.fresh(concert_id)
        (seen,) = await self._standings([concert])
        if tag is not None and seen.tag != tag:
            raise changes.ChangedMeanwhile(concert_id)
        by_id = {section.id: section for section in seen.sections}
        missing = [wish.id for wish in sections if wish.id not in by_id]
        if missing:
            raise SectionNotFound(concert_id, missing[0])
        # What would be refused is refused before a seat is moved.
        changes.change(concert, fields(concert), expected=None, by=by)
        counts = {id: section.changes for id, section in by_id.items()}
        if plan is not None:
            expected_of = None if tag is None else counts
            for id, change in await prepared(self.seat_plans, seen.sections, plan, by=by, expected=expected_of):
                counts[id] = (await self._ask_section(SectionKey(concert_id, id), change, cause)).changes
                self.seat_plans.changed(concert_id)
        for wish in sections:
            command = ChangeSection(by, None if tag is None else counts[wish.id], wish.total, wish.price)
            await self._ask_section(SectionKey(concert_id, wish.id), command, cause)
        expected = None if tag is None else concert.revision

        def decide(stored: Concert, _: datetime) -> Decision[Concert]:
            return changes.change(stored, fields(stored), expected=expected, by=by)

        return await self._moved(concert_id, decide, cause)

    async def _moved(
        self, concert_id: str, decide: Callable[[Concert, datetime], Decision[Concert]], cause: Cause
    ) -> ConcertSnapshot:
        """As it is after a change by which it may begin at another time: blocks that end by that follow."""
        standing = await self._change(concert_id, decide, cause)
        if all(section.blocks is UNSET for section in standing.sections):
            return standing
        await self.blocks.retime(standing.concert, cause)
        (standing,) = await self._standings([standing.concert])
        return standing

    async def postpone(
        self,
        concert_id: str,
        decide: Callable[[Concert, datetime], Decision[Concert]],
        cause: Cause,
    ) -> ConcertSnapshot:
        """Move it. Raises ConcertNotFound, CalledOff, StatusRefused, Invalid, Busy."""
        return await self._moved(concert_id, decide, cause)

    async def call_off(self, concert_id: str, *, reason: str, by: str, cause: Cause) -> ConcertSnapshot:
        """Call it off; again changes nothing. Raises ConcertNotFound, Busy."""

        def decide(stored: Concert, _: datetime) -> Decision[Concert]:
            return changes.cancel(stored, reason=reason, expected=None, by=by)

        standing = await self._change(concert_id, decide, cause)
        await self.close(concert_id)
        return standing

    async def _change(
        self, concert_id: str, decide: Callable[[Concert, datetime], Decision[Concert]], cause: Cause
    ) -> ConcertSnapshot:
        await self.fresh(concert_id)  # 404 is a concert's own
        concert = await self._updates.change(CONCERTS, concert_id, decide, cause)
        self._remember(concert, self._updates.clock.now())
        (standing,) = await self._standings([concert])
        return standing

    async def close(self, concert_id: str) -> None:
        """From here on nobody gets seats of this concert, if it is called off; again changes nothing.

        Raises ConcertNotFound, Busy, StoreUnavailable.
        """
        concert = await self.fresh(concert_id)
        if concert.status is not ConcertStatus.CANCELLED:
            raise Busy(f"Concert {concert_id!r} is not called off yet, as far as is known here.")
        await asyncio.gather(
            *(self._ask_section(SectionKey(concert_id, plan.id), Close(), Cause()) for plan in concert.sections)
        )

    async def block_seats(
        self, concert_id: str, seats: Sequence[str], *, reason: str | None, by: str, cause: Cause
    ) -> None:
        """Nobody gets these seats of one section, or (without a reason) they can be had again.

        Raises ConcertNotFound, Invalid, SeatsNotFree, CalledOff, Busy.
        """
        concert = await self.fresh(concert_id)
        section = await self.seat_plans.section_with(concert, seats[0])
        if section is None:
            raise Invalid(("seats[0]", f"concert {concert_id!r} has no such seat"))
        await self._ask_section(SectionKey(concert_id, section), BlockSeats(by, tuple(seats), reason), cause)

    async def _ask_section(
        self, key: SectionKey, command: SectionCommand | BlockCommand | ChangePlan, cause: Cause
    ) -> Section:
        (result,) = await self.command_queue.submit(key, (QueuedCommand(command, cause),))
        if not isinstance(result, SectionDone):
            raise _not_done(result)
        await self.waiting.offer()
        return result.section

    async def progress(self, concert_id: str) -> Progress | None:
        """How far the orders of a concert have come that is called off or was moved last; None: orders has yet to hear.

        Raises ConcertNotFound, ProgressUnknown.
        """
        concert = await self.fresh(concert_id)
        return None if self._call_offs is None else await self._call_offs.progress(concert_id, concert.revision)

    async def details(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """What these concerts are, and whose, as far as there are any."""
        found: dict[str, ConcertDetails] = {}
        for id in concert_ids:
            try:
                concert = await self.concert(id)
            except ConcertNotFound:
                continue
            names = {plan.id: plan.name for plan in concert.sections}
            title, place = concert.more.title, concert.more.place
            found[id] = ConcertDetails(
                concert.artist,
                concert.date,
                concert.venue,
                names,
                concert.organizer,
                concert.ends_at,
                title,
                place,
                concert.zone,
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
                sections.append(found.state if found else untouched(concert.id, plan))
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
        HoldEnded, HeldElsewhere, HeldOtherwise, BuyerLimitReached, TooManyHolds, HoldsLapsed, Busy.
        """
        if request.waits:
            return await self.waiting.join(request)
        now = self._updates.clock.now()
        concert, prices, _ = await self._priced(request.concert_id, now)
        till = request.till
        check_on_sale(concert, quantity=request.quantity, now=now, till=till)
        if request.section is not None and request.section not in prices:
            raise SectionNotFound(concert.id, request.section)
        section = concert.sections[0].id if len(prices) == 1 else request.section
        block = None if till is None else till.block
        if block is not None:
            section = (await self.blocks.show(concert, block)).section
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
        return self._held(concert, request, result.reservation, price, result.event_id)

    async def _section_for(self, concert: Concert, request: HoldRequest) -> str:
        """The section of the seats that are named, or the cheapest with as many wheelchair places. Raises Invalid."""
        if request.seats:
            found = await self.seat_plans.section_with(concert, request.seats[0])
            if found is None:
                raise Invalid(("seats[0]", f"concert {concert.id!r} has no such seat"))
            return found
        (seen,) = await self._standings([concert])
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
            check_currency(concert, wish.max_total, field="maxTotal")
        is_free = request.till is not None and request.till.is_complimentary
        terms, use = Terms(pricing, wish, complimentary=is_free), None
        if wish.code is not None:
            use = WantedUse(concert.id, wish.code, command.reservation_id, request.quantity, self._hold_seconds)
            claimed = await self.codes.claim(use)
            terms = replace(terms, code=claimed.terms)
            command = replace(command, claim_ends=claimed.ends)
        command = replace(command, terms=terms, revision=concert.revision)
        try:
            done = await self._hold_counted(asked._replace(command=command))
            stock.check_same_request(
                done.reservation,
                quantity=request.quantity,
                section=request.section,
                terms=command.terms,
                seats=request.seats,
            )
        except Refusal:
            if use is not None:
                await self.codes.give_up(use)
            raise
        return done

    async def reserve_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """`hold_all`, for those who come from outside: through admission control."""
        await self._admission.enter()
        try:
            return await self.hold_all(requests)
        finally:
            self._admission.leave()

    async def hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """Hold seats for the orders of one cart, all or none. Raises LineRefused, Busy."""
        return await cart_holds.hold_all(self, self.command_queue.submit, requests)

    async def quote(self, concert_id: str, section: str | None, quantity: int, wish: PriceWish) -> Quote:
        """What such an order would cost now, or when the sale begins, in the section named or in the one that it would
        get. Changes nothing.

        Raises what `hold` raises, but for NotOnSale and what is about a buyer or a hold that is there.
        """
        now = self._updates.clock.now()
        concert = await self.concert(concert_id)
        at = now if concert.on_sale_at is None else max(now, concert.on_sale_at)
        check_on_sale(concert, quantity=quantity, now=at)
        if section is not None and all(plan.id != section for plan in concert.sections):
            raise SectionNotFound(concert.id, section)
        if wish.max_total is not None:
            check_currency(concert, wish.max_total, field="maxTotal")
        pricing = concert.more.pricing or NO_PRICING
        counted(pricing, wish, quantity)
        code = None if wish.code is None else await self.codes.quoted(concert.id, wish.code, quantity)
        (seen,) = await self._standings([concert])
        return quoted(seen._replace(at=at), section, Terms(pricing, wish, code), quantity)

    async def _hold_counted(self, asked: _Asked) -> Done:
        """Hold seats, which count as somebody's where there are limits of buyers."""
        if self._buyers.concern(asked.concert, asked.request.buyers):
            return await self._hold_for_buyers(asked)
        return await self._hold_in(asked)

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
            return await self._hold_in(asked._replace(command=command))
        except Refusal:
            await self._buyers.give_up(wanted)
            raise

    async def _hold_in(self, asked: _Asked) -> Done:
        """Hold seats in this section, or for None in the cheapest with room; raises what the result is else."""
        concert, command = asked.concert, asked.command
        queued = QueuedCommand(command, Cause(None, asked.request.traceparent))
        if asked.section is None:
            # By a price list or with a code it may cost less than the section's seats do: the section says.
            most = command.max_amount if command.terms is None else None
            result = await self._chooser.hold(Anywhere(concert, command, queued, most, asked.may_be_repeated))
        else:
            result = await self._hold_there(concert, asked.section, queued, command.reservation_id)
        if not isinstance(result, Done):
            raise _not_done(result)
        return result

    async def _hold_there(self, concert: Concert, section: str, asked: QueuedCommand, id: str) -> Result:
        """Hold seats in this section; where it has none left, the hold that this very order has there."""
        (result,) = await self.command_queue.submit(SectionKey(concert.id, section), (asked,))
        return await unless_held(result, self._updates.records, concert, section, id, self._updates.clock.now())

    async def sale_outlook(self, concert_id: str, section_id: str, reservation_id: str) -> SaleOutlook:
        """What would come of money for this reservation now; for payments alone.

        Raises ConcertNotFound, SectionNotFound.
        """
        concert = await self.concert(concert_id)
        section, loaded = await self._sections.load(SectionKey(concert.id, section_id), (reservation_id,))
        close = near({each: known.state for each, known in loaded.items()}, reservation_id)
        seating = Seating(section.state, close, await self._sections.hall_of(section.state))
        now = self._updates.clock.now()
        outlook = domain.sale_outlook(seating, reservation_id, over_at=concert.over_at, now=now)
        if outlook.outlook is not Outlook.POSSIBLE:
            return outlook
        reservation = loaded[reservation_id].state
        if not (reservation.buyers or reservation.code) or reservation.is_live(now):
            return outlook
        # Its buyer may have got others since the hold ended, and others may have used its code.
        has_room = True
        if reservation.buyers:
            has_room = await self._buyers.have_room(_again(concert, reservation, reservation.buyers))
        if reservation.code and has_room:
            has_room = await self.codes.has_room(_use_again(reservation, reservation.code))
        return outlook if has_room else SaleOutlook(Outlook.GONE, outlook.left)

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

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """PaymentCompleted sells the held seats; OrderCancelled and PartRefundRequested give them back."""
        answers = [Acknowledgement.SUCCESS] * len(deliveries)
        by_section: dict[SectionKey, list[tuple[int, QueuedCommand]]] = {}
        for i, delivery in enumerate(deliveries):
            event = delivery.event
            command = await self.HANDLERS[type(event.data)](self, event)
            if command is not None:
                asked = QueuedCommand(command, Cause.of(event), Handled("concerts", event.id))
                if isinstance(command, Leave):
                    key = SectionKey(event.data.seats.concert_id, command.section)
                else:
                    key = SectionKey.of(event.data.allocation)
                by_section.setdefault(key, []).append((i, asked))
        for key, results in await self._submit_each(by_section):
            for (i, asked), result in zip(by_section[key], results, strict=True):
                if isinstance(result, LateSeatsUnclaimed):
                    result = await self._sell_late(key, asked, result)  # noqa: PLW2901
                if isinstance(result, StoreUnavailable):
                    raise result
                is_done = isinstance(result, Done | ListDone)
                answers[i] = Acknowledgement.SUCCESS if is_done else Acknowledgement.RETRY
        await self.waiting.offer()
        return answers

    async def _sell_late(self, key: SectionKey, asked: QueuedCommand, late: LateSeatsUnclaimed) -> Result:
        """Other seats for money that came late, if its buyer and its code may have as many yet; else it goes back."""
        again = late.again
        ends = self._updates.clock.now() + timedelta(seconds=CLAIM_SECONDS)
        given_up: list[Callable[[], Awaitable[None]]] = []
        try:
            if late.buyers:
                wanted = _again(await self.concert(key.concert_id), again, late.buyers)
                ends = min(ends, await self._buyers.claim(wanted))
                given_up.append(partial(self._buyers.give_up, wanted))
            if again.code is not None:
                use = _use_again(again, again.code)
                await self.codes.claim(use)
                given_up.append(partial(self.codes.give_up, use))
        except (BuyerLimitReached, CodeUsedUp):
            sale = replace(asked.command, seats_again=False)
        except Busy as busy:
            for give_up in given_up:
                await give_up()
            return busy
        else:
            sale = replace(asked.command, claim_ends=ends)
        (result,) = await self.command_queue.submit(key, (replace(asked, command=sale),))
        if isinstance(result, Done) and result.reservation.successor != again.id:
            for give_up in given_up:
                await give_up()
        return result

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

    async def _on_order_cancelled(self, event: Envelope) -> Command | Leave | None:
        cancelled: OrderCancelled = event.data
        if cancelled.allocation is None:
            # It was cancelled before it had seats; perhaps it waited for some, or was offered some.
            return await self._leave(cancelled) if cancelled.waited is True else None
        return Cancel(
            cancelled.allocation.reservation_id,
            _why_released(cancelled.reason),
            on_purpose=cancelled.reason.is_on_purpose,
        )

    async def _leave(self, cancelled: OrderCancelled) -> Leave | None:
        try:
            concert = await self.concert(cancelled.seats.concert_id)
        except ConcertNotFound:
            return None
        return Leave(order_id=cancelled.order_id, section=cancelled.seats.section or concert.sections[0].id)

    async def _on_part_refund_requested(self, event: Envelope) -> Command | None:
        asked: PartRefundRequested = event.data
        if not asked.part.tickets:
            return None  # money only
        return Return(
            asked.allocation.reservation_id,
            asked.order_id,
            asked.part.number,
            asked.part.tickets,
            again=event.repeated,
            numbers=asked.part.numbers or (),
        )

    HANDLERS: ClassVar[Mapping[type[Event], Callable[["Concerts", Envelope], Awaitable[Command | Leave | None]]]] = {
        PaymentCompleted: _on_payment_completed,
        OrderCancelled: _on_order_cancelled,
        PartRefundRequested: _on_part_refund_requested,
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
        return released + await self.blocks.sweep() + await self.waiting.sweep()

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        refused = self._buyers.refused
        return {
            "cludale_holds_waiting": self.command_queue.waiting,
            **{f'cludale_buyers_refused_total{{why="{why}"}}': count for why, count in refused.items()},
        }


def _again(concert: Concert, reservation: Reservation, buyers: BuyerKeys) -> WantedSeats:
    """The seats of a hold that has ended, once more, for money that is there."""
    return WantedSeats(concert, buyers, reservation.id, reservation.quantity, hold_seconds=1.0, counts_holds=False)


def _use_again(reservation: Reservation, code: str) -> WantedUse:
    """The use of its code once more, for seats that take the place of those that it had."""
    return WantedUse(reservation.concert_id, code, reservation.id, reservation.quantity, 1.0, is_late=True)


def _not_done(result: Result) -> Exception:
    return result if isinstance(result, Exception) else TypeError(f"another answer than was asked for: {result}")


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
