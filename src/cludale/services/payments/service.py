"""Payments at work: charges, finds out, gives back, through the provider. Load → decide → commit.

What has to be done outside is written down first (`due_at`), then done, then its outcome is written down.
Whoever finds a payment due does it again, by the same key of the provider's.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from typing import Any, ClassVar, Protocol

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.refusals import Busy, NotFound
from cludale.kernel.times import rfc3339
from cludale.ports.bus import Answer, Delivery
from cludale.ports.charges import ChargeQuestion, ChargeStanding
from cludale.ports.clock import Clock, IdSource
from cludale.ports.payment_gateway import Declined, GatewayTrouble, PaymentGateway
from cludale.ports.records import Query, Range, Records
from cludale.ports.sales import Outlook, Sales, SalesUnreachable
from cludale.ports.tracing import TRACEPARENT
from cludale.runtime.aggregates import EachAlone, Stamp, Step, TooEarly, Versioned, apply_steps
from cludale.runtime.backoff import Backoff
from cludale.services.concerts.events import SaleRefused
from cludale.services.orders.events import OrderCancelled, PaymentRequested, TicketReserved
from cludale.services.payments import domain
from cludale.services.payments.domain import Limits, Outcome, Payment, Status
from cludale.services.payments.store import PAYMENTS

SWEEP_PAGE = 200
WORK_LIMIT = 2_000
"""Payments worked on at once; more of them wait, due, in the store."""
LOOK_SECONDS = 0.001
"""The least wait for a payment that is about to be due: clocks don't agree on the last moment."""

SALE_SECONDS = 2.0
"""How long whoever charges an order late waits at most to hear whether there were seats for the money."""
SALE_LOOK_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Wait(Protocol):
    """Something that is waited for."""

    def cancel(self) -> None:
        """Wait no more."""
        ...


CallLater = Callable[[float, Callable[[], None]], Wait]
"""Calls back after so many seconds."""


class Payments:
    """The payments service."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        gateway: PaymentGateway,
        sales: Sales,
        attempt_seconds: float,
        attempts: int,
        backoff: Backoff,
        hold_seconds: float,
        retell_seconds: float = 60.0,
        call_later: CallLater | None = None,
    ) -> None:
        """`call_later`: how it waits until the next payment is due; the event loop's own, if none is given."""
        self._records = records
        self._clock = clock
        self._ids = ids
        self._gateway = gateway
        self._sales = sales
        self._attempt_seconds = attempt_seconds
        self._limits = Limits(attempts=attempts, lease_seconds=attempt_seconds + 2, retell_seconds=retell_seconds)
        self._backoff = backoff
        self._hold = timedelta(seconds=hold_seconds)
        self._stamp = Stamp("payments", ids)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._working = 0
        self._call_later = call_later
        self._next_look: Wait | None = None
        self._dues: list[datetime] = []
        """A heap: when payments are due that were put off here."""
        self._each = EachAlone(
            PAYMENTS,
            records,
            stamp=self._stamp,
            clock=clock,
            aggregate_of=lambda data: domain.payment_id(data.order_id),
            decisions={event: partial(decide, self) for event, decide in self.HANDLERS.items()},
        )

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """TicketReserved and PaymentRequested begin to charge; OrderCancelled and SaleRefused send money back."""
        answers, changed = await self._each.handle(deliveries)
        self._begin_work([each for each in changed if each.state.due_at is not None])
        return answers

    def _on_ticket_reserved(self, payment: Payment | None, event: Envelope, now: datetime) -> Decision[Payment]:
        return domain.begin(payment, event.data, cause=Cause.of(event), now=now, limits=self._limits)

    def _on_payment_requested(self, payment: Payment | None, event: Envelope, now: datetime) -> Decision[Payment]:
        if payment is None:
            raise TooEarly
        return Decision(domain.requested(payment, event.data, cause=Cause.of(event), now=now, limits=self._limits))

    def _on_order_cancelled(self, payment: Payment | None, event: Envelope, now: datetime) -> Decision[Payment] | None:
        return domain.order_cancelled(payment, event.data, cause=Cause.of(event), now=now)

    def _on_sale_refused(self, payment: Payment | None, event: Envelope, now: datetime) -> Decision[Payment]:
        if payment is None:
            raise TooEarly
        return domain.refund(payment, cause=Cause.of(event), now=now)

    HANDLERS: ClassVar[Mapping[type[Event], Callable[..., Decision[Payment] | None]]] = {
        TicketReserved: _on_ticket_reserved,
        PaymentRequested: _on_payment_requested,
        OrderCancelled: _on_order_cancelled,
        SaleRefused: _on_sale_refused,
    }
    """What the service hears, and what decides about it."""

    async def charge_now(self, order_id: str, *, method: str | None, cause: Cause) -> Payment:
        """Charge an order now: a first try anew, or a new round after a failed one. Never a second charge.

        Where the hold has ended, concerts is asked before whether there are seats, and the payment is returned once
        they are sold or the money is back, if that is soon; else as it is when the attempt is over.
        Raises NotFound, PaymentClosed, SeatsGone, ConcertOver, Busy.
        """
        id = domain.payment_id(order_id)
        found = await PAYMENTS.load(self._records, (id,))
        if id not in found:
            raise NotFound("payment for order", order_id)
        if domain.wants_seats_again(found[id].state, self._clock.now()):
            await self._check_seats(found[id].state)
        now = self._clock.now()

        def again(payment: Payment) -> Decision[Payment]:
            return Decision(
                domain.retry(payment, method=method, cause=cause, now=now, limits=self._limits, hold=self._hold)
            )

        current = await self._apply([(found[id], again)])
        if current and current[0].state.status is Status.PENDING:
            await self._work(current)
        charged = (await PAYMENTS.one(self._records, id)).state
        return await self._once_sold(charged) if domain.was_late(charged) else charged

    async def _check_seats(self, payment: Payment) -> None:
        """Raises PaymentClosed, SeatsGone, ConcertOver; Busy where concerts can't be asked."""
        try:
            outlook = await self._sales.outlook(domain.seats_of(payment))
        except SalesUnreachable as error:
            _log.warning("%s: can't ask whether there are seats: %s", payment.id, error)
            raise Busy(
                f"The hold of order {payment.order_id!r} has ended, and concerts gave no answer whether there are "
                "seats. Nothing was charged; try again."
            ) from error
        domain.check_seats(payment, outlook)

    async def _once_sold(self, payment: Payment) -> Payment:
        """The payment once its seats are sold or its money is back; as it is then, if that takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SALE_SECONDS):
                while payment.status is Status.COMPLETED and (payment.refunding or not await self._is_sold(payment)):
                    await asyncio.sleep(SALE_LOOK_SECONDS)
                    payment = (await PAYMENTS.one(self._records, payment.id)).state
        return payment

    async def _is_sold(self, payment: Payment) -> bool:
        try:
            return (await self._sales.outlook(domain.seats_of(payment))).outlook is Outlook.SOLD
        except SalesUnreachable:
            return False

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        """How the money of these orders stands, by order; what an order seems not to have heard is published again."""
        found = await PAYMENTS.load(self._records, [domain.payment_id(each.order_id) for each in questions])
        standings: dict[str, ChargeStanding] = {}
        steps: list[tuple[Versioned[Payment], Step[Payment]]] = []
        for asked in questions:
            known = found.get(domain.payment_id(asked.order_id))
            here = domain.standing(asked.order_id, known.state if known else None)
            if known is not None and domain.compared(known.state, asked).events:
                here = msgspec.structs.replace(here, told_again=True)
                steps.append((known, _compared_with(asked)))
            standings[asked.order_id] = here
        await self._apply(steps)
        return standings

    async def find(self, query: Query) -> tuple[list[Payment], str | None]:
        """A page of payments and the cursor of the next one."""
        found, page = await PAYMENTS.find(self._records, query)
        return [each.state for each in found], page.next

    async def sweep(self) -> int:
        """Take up the payments that are due: retries, give-backs, and what a crash left; returns how many."""
        if self._working >= WORK_LIMIT:
            return 0
        now = self._clock.now()
        due = Range("dueAt", None, rfc3339(now))
        found, _ = await PAYMENTS.find(self._records, Query(within=[due], order_by="dueAt", limit=SWEEP_PAGE))

        def take_up(payment: Payment) -> Decision[Payment]:
            return Decision(domain.take_up(payment, now=now, limits=self._limits))

        settled = await self._apply([(each, take_up) for each in found])
        lease = now + timedelta(seconds=self._limits.lease_seconds)
        taken = [each for each in settled if each.state.due_at == lease]  # the others found their end meanwhile
        self._begin_work(taken)
        return len(taken)

    def _begin_work(self, payments: Sequence[Versioned[Payment]]) -> None:
        room = max(0, WORK_LIMIT - self._working)
        if payments and room:
            task = asyncio.get_running_loop().create_task(self._work(payments[:room]))
            self._tasks.add(task)
            task.add_done_callback(self._worked)

    def _look_again(self, due: Sequence[datetime]) -> None:
        """Sweep when each of these is due: a retry need not wait for the next regular sweep."""
        for each in due:
            if len(self._dues) < WORK_LIMIT:
                heappush(self._dues, each)
        self._look_at_the_next()

    def _look_at_the_next(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._dues:
            wait = max(LOOK_SECONDS, (self._dues[0] - self._clock.now()).total_seconds())
            call_later = self._call_later or asyncio.get_running_loop().call_later
            self._next_look = call_later(wait, self._look)

    def _look(self) -> None:
        self._next_look = None
        now = self._clock.now()
        is_due = False
        while self._dues and self._dues[0] < now:  # as the sweep asks: not the very moment
            heappop(self._dues)
            is_due = True
        if is_due:
            task = asyncio.get_running_loop().create_task(self._sweep_through())
            self._tasks.add(task)
            task.add_done_callback(self._worked)
        self._look_at_the_next()

    async def _sweep_through(self) -> None:
        """Sweep page after page, as far as there is room for the work."""
        while await self.sweep() == SWEEP_PAGE:
            pass

    def _worked(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # what was not settled is still due in the store, and the sweep takes it up
            _log.error("payment work stopped: %s", error, exc_info=error)

    async def stop(self) -> None:
        """Leave what is under way to whoever finds it due."""
        if self._next_look is not None:
            self._next_look.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, payments: Sequence[Versioned[Payment]]) -> None:
        """Do what each payment has to do outside, for one attempt's time at most; settle what is through together."""
        acts = {asyncio.ensure_future(self._act(each.state)): each for each in payments}
        self._working += len(acts)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._attempt_seconds
        try:
            while acts:
                left = max(0.0, deadline - clock())
                done, late = await asyncio.wait(acts, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                steps = [(acts[act], act.result()) for act in done if _came_to_an_end(act)]
                if not done:
                    steps = [(acts[act], self._no_answer(acts[act].state, "no answer in time")) for act in late]
                for act in done or late:
                    act.cancel()
                    del acts[act]
                settled = await self._apply(steps)
                self._working -= len(done or late)
                now = self._clock.now()
                self._begin_work([each for each in settled if each.state.due_at and each.state.due_at <= now])
                self._look_again([each.state.due_at for each in settled if each.state.due_at])
        finally:
            self._working -= len(acts)
            for act in acts:
                act.cancel()

    async def _apply(self, steps: Sequence[tuple[Versioned[Payment], Step[Payment]]]) -> list[Versioned[Payment]]:
        return await apply_steps(
            PAYMENTS,
            self._records,
            steps,
            stamp=self._stamp,
            clock=self._clock,
            cause_of=lambda payment: payment.cause,
        )

    async def _act(self, payment: Payment) -> Step[Payment]:
        """Do the one thing that this payment has left to do; returns what came of it. In a task of its own."""
        TRACEPARENT.set(payment.cause.traceparent)
        if domain.is_to_be_retold(payment):
            return lambda p: domain.retold(p, now=self._clock.now(), limits=self._limits)
        return await self._act_outside(payment)

    async def _act_outside(self, payment: Payment) -> Step[Payment]:
        asks = not payment.is_free
        try:
            if payment.refunding:
                if asks:
                    await self._gateway.refund(payment.key)
                return _for_its_round(payment, lambda p: domain.refunded(p, now=self._clock.now(), limits=self._limits))
            if payment.closing is not None:
                returned = await self._gateway.void(payment.key) if asks else False
                return _for_its_round(
                    payment,
                    lambda p: domain.voided(p, returned=returned, now=self._clock.now(), limits=self._limits),
                )
            now = self._clock.now()
            if domain.is_too_late(payment, now):
                return _for_its_round(payment, lambda p: Decision(domain.expire(p, now=now)))
            if asks:
                await self._gateway.charge(payment.key, payment.amount, payment.method)
            return self._tried(payment, Outcome.CHARGED)
        except Declined as declined:
            return self._tried(payment, Outcome.DECLINED, str(declined))
        except GatewayTrouble as trouble:
            return self._no_answer(payment, str(trouble))

    def _tried(self, payment: Payment, outcome: Outcome, detail: str | None = None) -> Step[Payment]:
        now = self._clock.now()
        wait = self._backoff.seconds(payment.tries + 1, self._ids.jitter()) if outcome is Outcome.UNKNOWN else 0.0
        retry_at = now + timedelta(seconds=wait)
        return _for_its_round(
            payment,
            lambda p: domain.attempted(p, outcome, detail, now=now, retry_at=retry_at, limits=self._limits),
        )

    def _no_answer(self, payment: Payment, why: str) -> Step[Payment]:
        if payment.refunding or payment.closing is not None:
            return self._put_off(payment, why)
        return self._tried(payment, Outcome.UNKNOWN, why)

    def _put_off(self, payment: Payment, why: str) -> Step[Payment]:
        # Money that is owed is never given up on; the waits between the tries are what is bounded.
        wait = self._backoff.seconds(payment.tries + 1, self._ids.jitter())
        until = self._clock.now() + timedelta(seconds=wait)
        _log.warning("%s: no answer to giving back (%s), again in %.1f s", payment.id, why, wait)
        return _for_its_round(payment, lambda p: Decision(domain.put_off(p, until=until)))


def _compared_with(order: ChargeQuestion) -> Step[Payment]:
    return lambda payment: domain.compared(payment, order)


def _for_its_round(payment: Payment, step: Step[Payment]) -> Step[Payment]:
    """What came of one round says nothing of a later one."""
    return lambda p: step(p) if p.round == payment.round else Decision(p)


def _came_to_an_end(act: asyncio.Future[Step[Payment]]) -> bool:
    """Is it known what came of it? If not, the payment is still due in the store, and the sweep takes it up."""
    error = act.exception()
    if error is not None:
        _log.error("a payment provider's adapter broke: %r", error, exc_info=error)
    return error is None
