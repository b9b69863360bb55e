"""Payments at work: hears what is to be charged and given back, charges now, answers. What is due is in due.py."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import msgspec

from cludale.kernel.backoff import Backoff
from cludale.kernel.carts import cart_of
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.charges import ChargeQuestion, ChargeStanding
from cludale.ports.clock import Clock, IdSource
from cludale.ports.payment_gateway import BuyerAction, GatewayTrouble, PaymentGateway
from cludale.ports.records import Query, Records
from cludale.ports.sales import Outlook, Sales, SalesUnreachable
from cludale.runtime.aggregates import Change, TooEarly, Updates, Versioned
from cludale.runtime.due import CallLater, DueWork, PutOff, Step
from cludale.services.concerts.events import SaleRefused
from cludale.services.orders.events import (
    CartReserved,
    OrderCancelled,
    PartRefundRequested,
    PaymentRequested,
    TicketReserved,
)
from cludale.services.payments import carts, comparison, domain, refunds
from cludale.services.payments.due import Charging
from cludale.services.payments.payment import AttemptLimits, Payment, PaymentClosed, Status, payment_id
from cludale.services.payments.reconciling import ReconciliationTimes, Reconciling
from cludale.services.payments.store import PAYMENTS

WORK_LIMIT = 2_000
"""Payments worked on at once; more of them wait, due, in the store."""
SALE_SECONDS = 2.0
"""How long whoever charges an order late waits at most to hear whether there were seats for the money."""
SALE_LOOK_SECONDS = 0.05

_log = logging.getLogger(__name__)


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
        limits: AttemptLimits,
        backoff: Backoff,
        hold_seconds: float,
        reconciliations: ReconciliationTimes,
        call_later: CallLater | None = None,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        """`call_later`: how it waits until the next payment is due; the event loop's own, if none is given."""
        self._updates = Updates("payments", records, clock=clock, ids=ids)
        self._gateway = gateway
        self._sales = sales
        self._limits = limits
        self._hold = timedelta(seconds=hold_seconds)
        self._charging = Charging(gateway, clock=clock, limits=limits, put_off=PutOff(backoff, ids))
        self.due = DueWork(
            self._updates,
            PAYMENTS,
            self._charging,
            at_once=WORK_LIMIT,
            attempt_seconds=limits.attempt_seconds,
            call_later=call_later,
            takes_work=takes_work,
        )
        """Charges, and money that goes back."""
        self.reconciling = Reconciling(
            self._updates,
            gateway,
            reconciliations,
            begun=self.due.wake,
            takes_work=takes_work,
        )
        self._handlers = {event: partial(decide, self) for event, decide in self.HANDLERS.items()}

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """TicketReserved and PaymentRequested begin to charge; OrderCancelled, PartRefundRequested and SaleRefused send
        money back.
        """
        answers, changed = await self._updates.handle(
            PAYMENTS, deliveries, self._handlers, _payment_of, begins=(TicketReserved, CartReserved)
        )
        now = self._updates.clock.now()
        self.due.begin([each for each in changed if domain.is_claimed(each.state, now)])
        if any(each.state.due_at is not None and each.state.due_at <= now for each in changed):
            self.due.wake()
        return answers

    def _on_ticket_reserved(self, event: Envelope, payment: Payment | None, now: datetime) -> Decision[Payment] | None:
        if cart_of(event.data.order_id) is not None:
            return None  # it is charged with its cart
        return domain.begin(payment, event.data, cause=Cause.of(event), now=now, limits=self._limits)

    def _on_cart_reserved(self, event: Envelope, payment: Payment | None, now: datetime) -> Decision[Payment]:
        return carts.begin(payment, event.data, cause=Cause.of(event), now=now, limits=self._limits)

    def _on_payment_requested(self, event: Envelope, payment: Payment | None, now: datetime) -> Decision[Payment]:
        if payment is None:
            raise TooEarly
        return Decision(domain.requested(payment, event.data, cause=Cause.of(event), now=now, limits=self._limits))

    def _on_order_cancelled(self, event: Envelope, payment: Payment | None, now: datetime) -> Decision[Payment] | None:
        decide = refunds.order_cancelled if cart_of(event.data.order_id) is None else carts.order_cancelled
        return decide(payment, event.data, cause=Cause.of(event), now=now)

    def _on_sale_refused(self, event: Envelope, payment: Payment | None, now: datetime) -> Decision[Payment]:
        if payment is None:
            raise TooEarly
        return _of_order(payment, event, lambda own: refunds.refund(own, cause=Cause.of(event), now=now))

    def _on_part_requested(self, event: Envelope, payment: Payment | None, now: datetime) -> Decision[Payment]:
        if payment is None or not refunds.has_taken_money(payment):
            raise TooEarly
        return _of_order(
            payment,
            event,
            lambda own: refunds.part_requested(own, event.data, cause=Cause.of(event), now=now, again=event.repeated),
        )

    HANDLERS: ClassVar[Mapping[type[Event], Callable[..., Decision[Payment] | None]]] = {
        TicketReserved: _on_ticket_reserved,
        CartReserved: _on_cart_reserved,
        PaymentRequested: _on_payment_requested,
        OrderCancelled: _on_order_cancelled,
        SaleRefused: _on_sale_refused,
        PartRefundRequested: _on_part_requested,
    }
    """What the service hears, and what decides about it."""

    async def sweep(self) -> int:
        """See to what is due, and to reconciliations; returns how many."""
        return await self.due.sweep() + await self.reconciling.sweep()

    async def stop(self) -> None:
        """Begin nothing more."""
        await self.reconciling.due.stop()
        await self.due.stop()

    async def heard(self, body: bytes, signature: str | None) -> bool:
        """The provider says that something happened to a charge: ask it what. False for a charge that is not ours.

        Raises NotFromProvider.
        """
        key = self._gateway.heard(body, signature)
        if key is None:
            return False

        def ask_now(payment: Payment | None, now: datetime) -> Decision[Payment] | None:
            return None if payment is None else Decision(domain.heard(payment, key, now=now))

        ((_, known),) = await self._updates.update((Change(PAYMENTS, key.rpartition(".")[0], ask_now),))
        self.due.wake()
        return known is not None

    async def action(self, order_id: str) -> tuple[Payment, BuyerAction | None]:
        """This order's payment, and what its buyer's client needs to finish it. Raises NotFound, Busy."""
        payment = (await self._one(order_id)).state
        if payment.status is not Status.PENDING or payment.closing is not None or not payment.waits:
            return carts.seen_as(payment, order_id), None
        try:
            return carts.seen_as(payment, order_id), await self._gateway.action(payment.charge)
        except GatewayTrouble as trouble:
            raise Busy(f"The payment provider gave no answer: {trouble}") from trouble

    async def charge_now(self, order_id: str, *, method: str | None, cause: Cause) -> Payment:
        """Charge an order now: a first try anew, or a new round after a failed one. Never a second charge.

        Where the hold has ended, concerts is asked before whether there are seats, and the payment is returned once
        they are sold or the money is back, if that is soon; else as it is when the attempt is over.
        A cart is charged as a whole, and not once its hold has ended: some of its seats might be gone.
        Raises NotFound, PaymentClosed, SeatsGone, ConcertOver, Busy.
        """
        id = carts.record_id(order_id)
        before = (await self._one(order_id)).state
        if domain.wants_seats_again(before, self._updates.clock.now()):
            if before.shares:
                raise PaymentClosed(before)
            await self._check_seats(before)

        def again(payment: Payment, now: datetime) -> Decision[Payment]:
            return Decision(
                domain.retry(payment, method=method, cause=cause, now=now, limits=self._limits, hold=self._hold)
            )

        await self._updates.change(PAYMENTS, id, again, cause)
        current = await self._one(order_id)
        if current.state.status is Status.PENDING:
            await self.due.do(current)
        charged = (await self._one(order_id)).state
        if charged.shares:
            return carts.seen_as(charged, order_id)
        return await self._once_sold(charged) if domain.was_late(charged) else charged

    async def payment(self, order_id: str) -> Payment:
        """The payment for this order, or its share of its cart's. Raises NotFound."""
        return carts.seen_as((await self._one(order_id)).state, order_id)

    async def _one(self, order_id: str) -> Versioned[Payment]:
        """Its own, or its cart's. Raises NotFound."""
        id = carts.record_id(order_id)
        found = await PAYMENTS.load(self._updates.records, (id,))
        if id not in found:
            raise payment_not_found(order_id)
        return found[id]

    async def _check_seats(self, payment: Payment) -> None:
        """Raises PaymentClosed, SeatsGone, ConcertOver; Busy where concerts can't be asked."""
        try:
            outlook = await self._sales.outlook(payment.allocation)
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
                    payment = (await self._one(payment.order_id)).state
        return payment

    async def _is_sold(self, payment: Payment) -> bool:
        try:
            return (await self._sales.outlook(payment.allocation)).outlook is Outlook.SOLD
        except SalesUnreachable:
            return False

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        """How the money of these orders stands, by order; what an order seems not to have heard is published again."""
        ids = dict.fromkeys(carts.record_id(each.order_id) for each in questions)
        found = await PAYMENTS.load(self._updates.records, ids)
        standings: dict[str, ChargeStanding] = {}
        changes: list[Change[Payment]] = []
        for asked in questions:
            known = found.get(carts.record_id(asked.order_id))
            own = None if known is None else carts.seen_as(known.state, asked.order_id)
            here = comparison.standing(asked.order_id, own)
            if known is not None and own is not None and comparison.compared(own, asked).events:
                here = msgspec.structs.replace(here, told_again=True)
                changes.append(Change(PAYMENTS, known.state.id, _compared_with(asked), known=known))
            standings[asked.order_id] = here
        await self._updates.update(changes)
        return standings

    async def find(self, query: Query) -> tuple[list[Payment], str | None]:
        """A page of payments and the cursor of the next one."""
        found, page = await PAYMENTS.find(self._updates.records, query)
        return [each.state for each in found], page.next

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_payments_late_seconds": self.due.late_seconds,
            "cludale_payments_stuck_total": self._charging.stuck,
            **self.reconciling.gauges(),
        }


def payment_not_found(order_id: str) -> NotFound:
    """There is no payment for this order, or none that may be seen."""
    return NotFound("payment for order", order_id)


def _payment_of(fact: Any) -> str:
    return payment_id(fact.cart_id) if isinstance(fact, CartReserved) else carts.record_id(fact.order_id)


def _of_order(payment: Payment, event: Envelope, decide: Callable[[Payment], Decision[Payment]]) -> Decision[Payment]:
    """Decide about an order's own payment, or about its share of its cart's."""
    return decide(payment) if not payment.shares else carts.of_line(payment, event.data.order_id, decide)


def _compared_with(order: ChargeQuestion) -> Step[Payment]:
    def step(payment: Payment, _: datetime) -> Decision[Payment]:
        if not payment.shares:
            return comparison.compared(payment, order)
        return carts.of_line(payment, order.order_id, lambda line: comparison.compared(line, order))

    return step
