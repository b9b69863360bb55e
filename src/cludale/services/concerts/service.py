"""Concerts at work: what it is made of, what it hears, and what it sees to by itself. Load → decide → commit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from msgspec import UNSET

from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.money import Money
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.calling_off import CallOffs
from cludale.ports.clock import Clock, IdSource
from cludale.ports.entrance import Entrance
from cludale.ports.records import Records, StoreUnavailable
from cludale.ports.seats import ConcertNotFound, HoldRequest, SeatsHeld
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.aggregates import Updates, Versioned
from cludale.runtime.batching import BatchingQueue
from cludale.services.concerts.blocks.domain import BlockCommand
from cludale.services.concerts.blocks.service import BlockService
from cludale.services.concerts.buyers.looks import Looks
from cludale.services.concerts.buyers.service import NO_QUOTAS, BuyerLimits, Quotas
from cludale.services.concerts.changes.service import Changes
from cludale.services.concerts.choosing import Chooser, too_many_wait
from cludale.services.concerts.codes.service import CodeService
from cludale.services.concerts.commands import Done, ListDone, QueuedCommand, Result, SectionDone, not_done
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.directory import Directory
from cludale.services.concerts.domain import Cancel, Command, Expire, LateSeatsUnclaimed, Return, SectionCommand, Sell
from cludale.services.concerts.events import ReleaseReason
from cludale.services.concerts.holding import Holding, held_for
from cludale.services.concerts.key_service import KeyService
from cludale.services.concerts.late_money import LateMoney
from cludale.services.concerts.pairing_service import PairingService
from cludale.services.concerts.prices.quotes import Quotes
from cludale.services.concerts.seat_moves.service import SeatMoves
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.sections import Sections
from cludale.services.concerts.session_service import SessionService
from cludale.services.concerts.stock import Reservation, Section
from cludale.services.concerts.store import RESERVATIONS, SectionKey
from cludale.services.concerts.waiting.domain import Leave
from cludale.services.concerts.waiting.service import OFFER_SECONDS, WaitingClaims, WaitingService
from cludale.services.orders.events import CancelReason, OrderCancelled, PartRefundRequested
from cludale.services.payments.events import PaymentCompleted

SWEEP_PAGE = 200
SWEEP_PAGES = 100


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
        """`commit_limit` is the most records that the store takes in one commit; None: any number.

        `partitions_apart`: the store may have records with one id in several partitions, so in several sections.
        `quotas`: of unpaid orders. `offer_seconds`: how long seats are held for who waited for them.
        """
        updates = self._updates = Updates("concerts", records, clock=clock, ids=ids)
        self.clock = clock
        self.max_per_order = max_per_order
        """The limit of a concert that names none."""
        self.directory = Directory(updates)
        self.seat_plans = SeatPlans(updates)
        # One command queue a section: all that changes seats goes through it.
        sections = Sections(updates, self.directory.concert, hall_of=self.seat_plans.hall_of, commit_limit=commit_limit)
        sections.learn = self._learn
        self.command_queue: BatchingQueue[SectionKey, QueuedCommand, Result] = BatchingQueue(
            sections.run_commands, of="commands", refuse=too_many_wait
        )
        submit = self.command_queue.submit
        self._chooser = Chooser(updates, submit, partitions_apart=partitions_apart)
        # What is claimed before the seats are asked for.
        looks = Looks(updates, self.directory.concert, submit, partitions_apart=partitions_apart)
        self._buyers = BuyerLimits(updates, looks, quotas)
        self.codes = CodeService(updates, looks)
        # Who asks for seats, and what becomes of them.
        self.blocks = BlockService(updates, self._ask_section)
        self.waiting = WaitingService(
            updates,
            self.directory.concert,
            submit,
            _offered,
            WaitingClaims(self._buyers, self.codes),
            offer_seconds=offer_seconds,
        )
        self.holding = Holding(
            updates,
            self.directory,
            self.command_queue,
            chooser=self._chooser,
            blocks=self.blocks,
            seat_plans=self.seat_plans,
            buyers=self._buyers,
            codes=self.codes,
            join=self.waiting.join,
            hold_seconds=hold_seconds,
            admission=admission,
        )
        self.quotes = Quotes(clock, self.directory, self.codes)
        self.late_money = LateMoney(clock, self.directory, sections, submit, buyers=self._buyers, codes=self.codes)
        self.changes = Changes(updates, self.directory, self._ask_section, self.seat_plans, self.blocks, call_offs)
        self.seat_moves = SeatMoves(records, submit, self.seat_plans, entrance)
        # Who may do what.
        self.keys = KeyService(updates)
        self.sessions = SessionService(updates, lambda: self.keys.changed())  # noqa: PLW0108 - set later
        self.pairing = PairingService(updates, self.keys)

    def _learn(self, known: Versioned[Section]) -> None:
        self._chooser.learn(known)
        if known.state.waiting:
            self.waiting.learn(known)

    async def _ask_section(
        self, key: SectionKey, command: SectionCommand | BlockCommand | ChangePlan, cause: Cause
    ) -> Section:
        (result,) = await self.command_queue.submit(key, (QueuedCommand(command, cause),))
        if not isinstance(result, SectionDone):
            raise not_done(result)
        await self.waiting.offer()
        return result.section

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """PaymentCompleted sells the held seats; OrderCancelled and PartRefundRequested give them back."""
        answers = [Acknowledgement.SUCCESS] * len(deliveries)
        by_section: dict[SectionKey, list[tuple[int, QueuedCommand]]] = {}
        for i, delivery in enumerate(deliveries):
            event = delivery.event
            command = await self.HANDLERS[type(event.data)](self, event)
            if command is not None:
                asked = QueuedCommand(command, Cause.of(event))
                if isinstance(command, Leave):
                    key = SectionKey(event.data.seats.concert_id, command.section)
                else:
                    key = SectionKey.of(event.data.allocation)
                by_section.setdefault(key, []).append((i, asked))
        for key, results in await self._submit_each(by_section):
            for (i, asked), result in zip(by_section[key], results, strict=True):
                if isinstance(result, LateSeatsUnclaimed):
                    result = await self.late_money.sell(key, asked, result)  # noqa: PLW2901
                if isinstance(result, StoreUnavailable):
                    raise result
                if not isinstance(result, Done) and not isinstance(result, ListDone):
                    answers[i] = Acknowledgement.RETRY
        await self.waiting.offer()
        return answers

    async def _on_payment_completed(self, event: Envelope) -> Command:
        paid: PaymentCompleted = event.data
        over_at = (await self.directory.concert(paid.concert_id)).over_at
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
            concert = await self.directory.concert(cancelled.seats.concert_id)
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


def _offered(concert: Concert, request: HoldRequest, reservation: Reservation) -> SeatsHeld:
    price: Money = concert.plan(reservation.section).price if reservation.price is UNSET else reservation.price
    return held_for(concert, request, reservation, price, None)


def _why_released(reason: CancelReason) -> ReleaseReason:
    if reason.is_on_purpose:
        return ReleaseReason.CANCELLED
    return ReleaseReason.EXPIRED if reason is CancelReason.EXPIRED else ReleaseReason.UNPAID
