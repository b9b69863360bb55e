"""Orders at work: takes wishes, asks concerts for seats, follows payment and sale. Load → decide → commit."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.refusals import Busy, Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.bus import Answer, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.contacts import Contact
from cludale.ports.records import Commit, Committed, Put, Query, Range, Records
from cludale.ports.seats import (
    ConcertNotFound,
    ConcertOver,
    HoldEnded,
    HoldWish,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    Seats,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
)
from cludale.runtime.aggregates import CONFLICT_RETRIES, Decide, EachAlone, Stamp, TooEarly, Versioned, apply_steps
from cludale.runtime.backoff import Backoff
from cludale.runtime.gate import Gate
from cludale.runtime.idempotency import AnsweredBefore
from cludale.services.concerts.events import SaleRefused, SeatsSold
from cludale.services.orders import domain
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.domain import Order, OrderPayment, PaymentStatus, Status, Wish
from cludale.services.orders.events import CancelReason
from cludale.services.orders.store import ORDERS
from cludale.services.payments.events import FailureReason, PaymentCompleted, PaymentFailed, PaymentRefunded

SWEEP_PAGE = 100
_log = logging.getLogger(__name__)

_CANCEL = {
    FailureReason.DECLINED: CancelReason.DECLINED,
    FailureReason.GAVE_UP: CancelReason.PAYMENT_FAILED,
    FailureReason.EXPIRED: CancelReason.EXPIRED,
    FailureReason.CANCELLED: CancelReason.PAYMENT_FAILED,
}

_NO_SEATS: Mapping[type[Refusal], CancelReason] = {
    SeatsUnavailable: CancelReason.SOLD_OUT,
    NotOnSale: CancelReason.NOT_ON_SALE,
    ConcertOver: CancelReason.CONCERT_OVER,
    ConcertNotFound: CancelReason.NO_SUCH_CONCERT,
    SectionNotFound: CancelReason.NO_SUCH_SECTION,
    OverTheLimit: CancelReason.OVER_THE_LIMIT,
    PriceTooHigh: CancelReason.PRICE_TOO_HIGH,
    OtherCurrency: CancelReason.OTHER_CURRENCY,
    HoldEnded: CancelReason.EXPIRED,
}
"""What a Pending order is told; whatever else is refused, its key has seats already that it did not ask for."""


USER_PAGES = 20
"""How many pages of orders one request looks through for a user's."""


class Orders:
    """The orders service."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        seats: Seats,
        pending_backoff: Backoff,
        pending_seconds: float,
        look_again_seconds: float = 0.25,
        gate: Gate | None = None,
        comparison: Comparison | None = None,
    ) -> None:
        self._records = records
        self._clock = clock
        self._ids = ids
        self._seats = seats
        self._backoff = pending_backoff
        self._pending_seconds = pending_seconds
        self._look_again_seconds = look_again_seconds
        """How often who waits for an order looks at it, for what another replica did; what is done here is told."""
        self._gate = gate or Gate()
        self._comparison = comparison
        self._stamp = Stamp("orders", ids)
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._is_ending = False
        self._each = EachAlone(
            ORDERS,
            records,
            stamp=self._stamp,
            clock=clock,
            aggregate_of=lambda data: data.order_id,
            decisions={
                event: self._watching(decide) if event in _WATCHED else decide for event, decide in HANDLERS.items()
            },
        )

    async def place(
        self,
        wish: Wish,
        *,
        cause: Cause,
        order_id: str | None = None,
        keep: Callable[[Order], Put] | None = None,
    ) -> Order:
        """Hold seats and take the order, Reserved; or Pending when concerts gives no answer in time.

        Raises Busy, HeldOtherwise, the refusals of `Seats.hold`; AnsweredBefore if `keep`'s record is there already.
        """
        await self._gate.enter()
        try:
            return await self._place(wish, cause, order_id, keep)
        finally:
            self._gate.leave()

    def turns_away(self) -> bool:
        """Would `place` raise Busy at once? It is turned away with that, and counted."""
        return self._gate.turns_away()

    async def _place(
        self, wish: Wish, cause: Cause, order_id: str | None, keep: Callable[[Order], Put] | None
    ) -> Order:
        placed_at = self._clock.now()
        placed = domain.place(wish, order_id=order_id or self._ids.new("order"), now=placed_at)
        order, envelopes = placed.state, self._stamp.of(placed, cause, placed_at)
        try:
            held = await self._seats.hold(_hold_wish(order, cause))
        except SeatsUnreachable as unreachable:
            _log.warning("order %s is Pending: %s", order.id, unreachable)
            order = domain.put_off(order, until=self._later(1), traceparent=cause.traceparent)
        else:
            # Placed and reserved become durable together: until then nobody was told anything,
            # and a hold without an order expires by itself.
            now = self._clock.now()
            reserved = domain.reserve(order, held, now=now)
            order = reserved.state
            envelopes += self._stamp.of(reserved, Cause(held.event_id or cause.event_id, cause.traceparent), now)
        puts = [ORDERS.put(order, 0)]
        if keep is not None:
            puts.append(keep(order))
        (outcome,) = await self._records.commit((Commit(ORDERS.partition(order.id), puts, envelopes),))
        if not isinstance(outcome, Committed):
            raise AnsweredBefore
        return order

    def _watch(self, before: Order | None, decision: Decision[Order], now: datetime) -> Decision[Order]:
        """The decision; an order that it leaves Cancelled, and that may have something, is compared later."""
        if self._comparison is None or decision.state is before:
            return decision
        return Decision(self._comparison.watched(decision.state, now), decision.events)

    def _watching(self, decide: Decide[Order]) -> Decide[Order]:
        def watching(order: Order | None, event: Envelope, now: datetime) -> Decision[Order] | None:
            decision = decide(order, event, now)
            return decision if decision is None else self._watch(order, decision, now)

        return watching

    async def order(self, order_id: str) -> Order:
        """The order. Raises NotFound."""
        return (await ORDERS.one(self._records, order_id)).state

    async def settled(self, order_id: str, *, wait_seconds: float) -> Order:
        """The order once it is Paid or Cancelled, or waits for its buyer to pay in another way.

        Or as it is after `wait_seconds`. Raises NotFound.
        """
        order = await self.order(order_id)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while not order.is_settled:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._is_ending:
                break
            await self._news_of(order_id, at_most=min(left, self._look_again_seconds))
            order = await self.order(order_id)
        return order

    def end_waiting(self) -> None:
        """The process ends: tell whoever waits for an order how it stands, now and from here on at once."""
        self._is_ending = True
        for waiters in self._waiters.values():
            for future in waiters:
                if not future.done():
                    future.set_result(None)

    async def _news_of(self, order_id: str, *, at_most: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(order_id, [])
        waiters.append(future)
        try:
            await asyncio.wait((future,), timeout=at_most)
        finally:
            waiters.remove(future)
            if not waiters:
                self._waiters.pop(order_id, None)

    async def find(self, query: Query) -> tuple[list[Order], str | None]:
        """A page of orders and the cursor of the next one."""
        found, page = await ORDERS.find(self._records, query)
        return [each.state for each in found], page.next

    async def find_of_user(self, user_id: str, query: Query) -> tuple[list[Order], str | None]:
        """Those of a page that are this user's, and more pages until there are `query.limit`, USER_PAGES at most.

        Nobody asks for this while tickets are sold, so it has no index, which each order would pay for. There may be
        fewer than the limit, even none, and yet a cursor.
        """
        orders: list[Order] = []
        after = query.after
        for _ in range(USER_PAGES):
            found, after = await self.find(query._replace(after=after, limit=query.limit - len(orders)))
            orders += [order for order in found if order.user_id == user_id]
            if after is None or len(orders) >= query.limit:
                break
        return orders, after

    async def contacts(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        """Where the buyers of these orders want to be told; for notifications alone."""
        found = await ORDERS.load(self._records, order_ids)
        return {id: each.state.contact for id, each in found.items()}

    async def cancel(self, order_id: str, reason: CancelReason, cause: Cause) -> Order:
        """Cancel the order; again changes nothing. Raises NotFound, TooLateToCancel, Busy."""

        def decide(order: Order, now: datetime) -> Decision[Order]:
            domain.check_cancellable(order, reason, now=now)
            return self._watch(order, domain.cancel(order, reason), now)

        return await self._change(order_id, decide, cause)

    async def pay_again(
        self, order_id: str, *, method: str, cause: Cause, keep: Callable[[Order], Put] | None = None
    ) -> Order:
        """Have the order charged in another way, after a charge that failed; `keep`'s record commits with it.

        Raises NotFound, NotReserved, AlreadyPaid, ChargeOpen, HoldEnded, Busy.
        """
        return await self._change(
            order_id, lambda order, now: domain.pay_again(order, method=method, now=now), cause, keep
        )

    async def _change(
        self,
        order_id: str,
        decide: Callable[[Order, datetime], Decision[Order]],
        cause: Cause,
        keep: Callable[[Order], Put] | None = None,
    ) -> Order:
        for _ in range(CONFLICT_RETRIES):
            known = await ORDERS.one(self._records, order_id)
            now = self._clock.now()
            decision = decide(known.state, now)
            if decision.state is known.state:
                return known.state
            events = self._stamp.of(decision, cause, now)
            puts = [ORDERS.put(decision.state, known.version)]
            if keep is not None:
                puts.append(keep(decision.state))
            (outcome,) = await self._records.commit((Commit(ORDERS.partition(order_id), puts, events),))
            if isinstance(outcome, Committed):
                self._tell(decision.state)
                return decision.state
        raise Busy(f"Order {order_id!r} is being changed by too many at once.")

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """SeatsSold pays the order; SaleRefused and a last PaymentFailed cancel it; what payments says, it shows."""
        answers, changed = await self._each.handle(deliveries)
        if self._waiters:
            for each in changed:
                self._tell(each.state)
        return answers

    def _tell(self, order: Order) -> None:
        for future in self._waiters.get(order.id, ()):
            if not future.done():
                future.set_result(None)

    async def sweep(self) -> int:
        """Ask again for the seats of Pending orders that are due, end those that nobody paid, compare those of which
        nothing is heard; returns how many.
        """
        due = Range("dueAt", None, rfc3339(self._clock.now()))
        found, _ = await ORDERS.find(self._records, Query(within=[due], order_by="dueAt", limit=SWEEP_PAGE))
        for known in found:
            if known.state.status is Status.PENDING:
                await self._finish(known)
        await self._end([known for known in found if known.state.status is Status.RESERVED])
        if self._comparison is None:
            return len(found)
        await self._comparison.look_at([known for known in found if known.state.status is Status.CANCELLED])
        return len(found) + await self._comparison.look()

    async def _end(self, unpaid: Sequence[Versioned[Order]]) -> None:
        now = self._clock.now()
        settled = await apply_steps(
            ORDERS,
            self._records,
            [(known, lambda order: domain.hold_ended(order, now=now)) for known in unpaid],
            stamp=self._stamp,
            clock=self._clock,
            cause_of=lambda _: Cause(),
        )
        for each in settled:
            self._tell(each.state)

    async def _finish(self, known: Versioned[Order]) -> None:
        """Get a Pending order its seats, or an end."""
        order = known.state
        trace = order.traceparent
        cause = Cause(None, trace)
        decision: Decision[Order]
        try:
            held = await self._seats.hold(_hold_wish(order, cause))
            cause = Cause(held.event_id, trace)
            now = self._clock.now()
            decision = domain.reserve(order, held, now=now)
        except (SeatsUnreachable, Busy):
            now = self._clock.now()
            if now - order.created_at > timedelta(seconds=self._pending_seconds):
                decision = domain.fail(order, CancelReason.UNREACHABLE)
            else:
                decision = Decision(domain.put_off(order, until=self._later(order.tries + 1), traceparent=trace))
        except Refusal as refusal:
            _log.info("order %s gets no seats: %s", order.id, refusal)
            now = self._clock.now()
            decision = domain.fail(order, _NO_SEATS.get(type(refusal), CancelReason.HELD_OTHERWISE))
        events = self._stamp.of(decision, cause, now)
        put = ORDERS.put(decision.state, known.version)
        # A conflict means that it was cancelled or finished meanwhile; a hold without an order expires by itself.
        (outcome,) = await self._records.commit((Commit(ORDERS.partition(order.id), (put,), events),))
        if isinstance(outcome, Committed):
            self._tell(decision.state)

    def _later(self, tries: int) -> datetime:
        return self._clock.now() + timedelta(seconds=self._backoff.seconds(tries, self._ids.jitter()))


def _hold_wish(order: Order, cause: Cause) -> HoldWish:
    return HoldWish(order.concert_id, order.quantity, order.id, order.section, cause.traceparent, order.max_price)


def _on_sold(order: Order | None, event: Envelope, _: datetime) -> Decision[Order]:
    sold: SeatsSold = event.data
    payment = None
    if sold.paid_at is not None:
        payment = OrderPayment(
            status=PaymentStatus.COMPLETED,
            at=sold.paid_at,
            attempts=sold.payment_attempts,
            round=sold.payment_round,
        )
    return domain.pay(_known(order), reservation_id=sold.reservation_id, payment=payment)


def _on_sale_refused(order: Order | None, _: Envelope, __: datetime) -> Decision[Order]:
    return domain.fail(_known(order), CancelReason.EXPIRED)


def _on_payment_failed(order: Order | None, event: Envelope, _: datetime) -> Decision[Order]:
    failed: PaymentFailed = event.data
    payment = domain.money_told(failed, at=event.time)
    return domain.unpaid(_known(order), payment, reason=_CANCEL[failed.reason], retry_until=failed.retry_until)


def _on_money(order: Order | None, event: Envelope, _: datetime) -> Decision[Order]:
    return Decision(domain.learn(_known(order), domain.money_told(event.data, at=event.time)))


def _on_refunded(order: Order | None, event: Envelope, _: datetime) -> Decision[Order]:
    return domain.money_back(_known(order), domain.money_told(event.data, at=event.time))


def _known(order: Order | None) -> Order:
    if order is None:
        raise TooEarly
    return order


HANDLERS: Mapping[type[Event], Decide[Order]] = {
    SeatsSold: _on_sold,
    SaleRefused: _on_sale_refused,
    PaymentCompleted: _on_money,
    PaymentFailed: _on_payment_failed,
    PaymentRefunded: _on_refunded,
}
"""What the service hears, and what decides about it."""
_WATCHED = (SaleRefused, PaymentCompleted)
"""After these, a Cancelled order that may have something is compared."""
