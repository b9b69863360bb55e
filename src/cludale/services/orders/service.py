"""Orders at work: takes requests, asks concerts for seats, follows payment and sale. What comes due is in due.py."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from cludale.kernel.buyers import BuyerHash, BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.refusals import Refusal
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.calling_off import Progress
from cludale.ports.charges import COMPARED_AT_ONCE
from cludale.ports.clock import Clock, IdSource
from cludale.ports.entrance import Entrance
from cludale.ports.records import Put, Records, Rewritable
from cludale.ports.seals import Seals
from cludale.ports.seats import InLine, Seats, SeatsHeld, SeatsUnreachable
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.aggregates import NEW, AnsweredBefore, Change, ChangeResult, Decide, Handler, TooEarly, Updates
from cludale.runtime.due import DueWork, PutOff
from cludale.services.concerts.events import (
    ConcertCancelled,
    ConcertPostponed,
    SaleRefused,
    SeatsMoved,
    SeatsOffered,
    SeatsReturned,
    SeatsSold,
    WaitingListLeft,
)
from cludale.services.orders import domain, queueing, reseating, together
from cludale.services.orders.aftersale import domain as aftersale
from cludale.services.orders.aftersale.domain import Amended, Amendment, KeptParticulars, NoAddress, RefundWish
from cludale.services.orders.carts.service import Carts
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.due import DueOrders, PendingLimits
from cludale.services.orders.events import CancelReason, Party
from cludale.services.orders.finding import Finder
from cludale.services.orders.invoices.service import Invoicing
from cludale.services.orders.jobs import domain as jobs
from cludale.services.orders.jobs.domain import Job
from cludale.services.orders.jobs.due import ATTEMPT_SECONDS, CallingOff, Jobs
from cludale.services.orders.let_in import LetIn, check_last_refund
from cludale.services.orders.news import News
from cludale.services.orders.order import Order, OrderPayment, OrderRequest, PaymentStatus, Status
from cludale.services.orders.privacy.domain import NOTHING, Particulars, Personal
from cludale.services.orders.privacy.retention import ASK_SECONDS, Behind, Retention, RetentionPeriod
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.privacy.upkeep import ErasuresOwed, Walks, erasures_owed
from cludale.services.orders.reports.desk import Schedules
from cludale.services.orders.reports.service import Reports
from cludale.services.orders.store import JOBS, ORDERS, PERSONAL
from cludale.services.orders.together import Placing
from cludale.services.payments.events import (
    FailureReason,
    PartRefunded,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)

JOBS_AT_ONCE = 4
"""Concerts whose orders are gone over at once."""
AT_ONCE = COMPARED_AT_ONCE
"""How many that are due are seen to at once."""

_log = logging.getLogger(__name__)

_CANCEL = {
    FailureReason.DECLINED: CancelReason.DECLINED,
    FailureReason.GAVE_UP: CancelReason.PAYMENT_FAILED,
    FailureReason.EXPIRED: CancelReason.EXPIRED,
    FailureReason.CANCELLED: CancelReason.PAYMENT_FAILED,
}


class Orders:
    """The orders service."""

    reports: Reports
    """Both as `report_by` got them."""
    schedules: Schedules

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        seats: Seats,
        pending: PendingLimits,
        look_again_seconds: float = 0.25,
        admission: AdmissionControl | None = None,
        comparison: Comparison | None = None,
        seals: Seals,
        retention: RetentionPeriod | None = None,
        walks: bool = False,
        file: Rewritable | None = None,
        takes_work: Callable[[], bool] = lambda: True,
        calling_off: CallingOff | None = None,
        buyers: BuyerHash | None = None,
        cart_look_seconds: float = 60.0,
        entrance: Entrance | None = None,
    ) -> None:
        """`retention`: None keeps buyers' addresses until somebody has them erased. `walks`: does it bring up to date
        what earlier versions, or another master key, left? `file`: the store, where that is one of this process's.
        `calling_off`: None where no concert is called off. `buyers`: what buyers are known by to those who count their
        tickets; None: nobody does. `cart_look_seconds`: how long nothing is heard of a cart before its lines are
        looked at. `entrance`: who knows whom the door let in; None: nobody does.
        """
        self._buyers = buyers
        updates = self._updates = Updates("orders", records, clock=clock, ids=ids)
        self._seats = seats
        self._let_in = LetIn(entrance)
        self._admission = admission or AdmissionControl()
        self._comparison = comparison
        self.privacy = Privacy(updates, seals)
        """The addresses of buyers."""
        self.finder = Finder(updates, self.privacy)
        self._takes_work = takes_work
        self.news = News(
            self.order,
            lambda cart_id: self.carts.cart(cart_id),  # noqa: PLW0108 - set later
            look_again_seconds=look_again_seconds,
        )
        self.carts = self._carts(cart_look_seconds)
        """Orders that are placed and paid together."""
        self._put_off = PutOff(pending.backoff, ids)
        self.due = self._due_orders(pending)
        """Seats for Pending orders, and what else comes due."""
        self.jobs = None if calling_off is None else self._jobs(calling_off)
        """The orders of concerts that are called off or moved."""
        self._retention = None if retention is None else self._retain(retention)
        self._walks = Walks(updates, self.privacy, has_two_masters=seals.has_two_masters, file=file) if walks else None
        self._reporting: Schedules | None = None
        self.invoicing: Invoicing | None = None
        """Invoices, where the platform has any."""
        self._handlers = {
            event: self._watching(decide) if event in _WATCHED else decide
            for event, decide in HANDLERS.items()
            if event not in _JOB_HANDLERS
        }

    def _carts(self, look_seconds: float) -> Carts:
        return Carts(
            self._updates,
            seats=self._seats,
            privacy=self.privacy,
            admission=self._admission,
            buyers=self._buyers_of,
            watched=self._watch,
            tell=self.news.tell,
            look_seconds=look_seconds,
            let_in=self._let_in,
            takes_work=self._takes_work,
        )

    def _due_orders(self, limits: PendingLimits) -> DueWork[Order]:
        policy = DueOrders(
            self._seats,
            self._comparison,
            limits=limits,
            put_off=self._put_off,
            tell=self.news.tell,
            buyers=self._buyers_later,
        )
        a_comparison = 2 * limits.call_seconds + 1  # asks payments, then concerts
        return DueWork(
            self._updates, ORDERS, policy, at_once=AT_ONCE, attempt_seconds=a_comparison, takes_work=self._takes_work
        )

    def _retain(self, period: RetentionPeriod) -> DueWork[Personal]:
        updates = self._updates
        self.retention = Retention(period.programme, updates.clock)
        later = Updates("orders", updates.records, clock=Behind(updates.clock, period.days), ids=updates.ids)
        return DueWork(
            later, PERSONAL, self.retention, at_once=AT_ONCE, attempt_seconds=ASK_SECONDS, takes_work=self._takes_work
        )

    def _jobs(self, calling_off: CallingOff) -> DueWork[Job]:
        policy = Jobs(
            self._updates, calling_off, watched=self._watch, tell=self.news.tell, see_to_carts=self.carts.look
        )
        return DueWork(
            self._updates,
            JOBS,
            policy,
            at_once=JOBS_AT_ONCE,
            attempt_seconds=ATTEMPT_SECONDS,
            takes_work=self._takes_work,
        )

    async def place(
        self,
        request: OrderRequest,
        *,
        cause: Cause,
        order_id: str | None = None,
        keep: Callable[[Order], Put] | None = None,
    ) -> Order:
        """Hold seats and take the order, Reserved; or Pending when concerts gives no answer in time.

        Raises Busy, HeldOtherwise, the refusals of `Seats.hold`; AnsweredBefore if `keep`'s record is there already.
        """
        await self._admission.enter()
        try:
            return await self._place(request, cause, order_id, keep)
        finally:
            self._admission.leave()

    async def place_together(self, wanted: Sequence[Placing], *, cause: Cause) -> list[Order | None]:
        """Hold the seats of all and take their orders, or none. Raises LineRefused, Busy; see `together.place`."""
        await self._admission.enter()
        try:
            return await together.place(self._updates, self._seats, self.privacy, wanted, cause)
        finally:
            self._admission.leave()

    def turns_away(self) -> bool:
        """Would `place` raise Busy at once? It is turned away with that, and counted."""
        return self._admission.turns_away()

    async def _place(
        self, request: OrderRequest, cause: Cause, order_id: str | None, keep: Callable[[Order], Put] | None
    ) -> Order:
        now = self._updates.clock.now()
        placed = domain.place(request, order_id=order_id or self._updates.ids.new("order"), now=now)
        envelopes = self._updates.envelopes(placed, cause, now)
        order, particulars = placed.state, request.particulars
        decide: Decide[Order]
        try:
            buyers = self._buyers_of(order, particulars or NOTHING, request.address)
            held = await self._seats.hold(domain.hold_request(order, cause.traceparent, buyers))
        except SeatsUnreachable as unreachable:
            _log.warning("order %s is Pending: %s", order.id, unreachable)
            decide = partial(_wait, order, self._put_off, cause)
        except InLine:
            decide = partial(_wait_in_line, order, None)
        else:
            # Placed and reserved become durable together: until then nobody was told anything,
            # and a hold without an order expires by itself.
            cause = Cause(held.event_id or cause.event_id, cause.traceparent)
            decide = partial(_wait_in_line if request.waits else _reserve, order, held)
        along = () if particulars is None else (self.privacy.put(order, particulars),)
        change = Change(ORDERS, order.id, decide, cause, known=NEW, beside=keep, along=along, earlier=envelopes)
        ((result, known),) = await self._updates.update((change,))
        if result is not ChangeResult.CHANGED or known is None:
            raise AnsweredBefore
        state: Order = known.state
        return state

    def _buyers_of(self, order: Order, left: Particulars, address: str | None) -> BuyerKeys:
        if self._buyers is None or order.till is not None:  # at the box office nobody's tickets are counted
            return ()
        keys = self._buyers.keys(order.user_id, left.email, left.phone)
        return keys if address is None else (*keys, *self._buyers.address(address))

    async def _buyers_later(self, order: Order) -> BuyerKeys:
        """The buyer of an order that waits, as their tickets are counted; without an address. Raises ContactsLocked."""
        if self._buyers is None or order.till is not None:
            return ()
        left = await self.privacy.of((order,))
        return self._buyers_of(order, left.get(order.id, NOTHING), None)

    def _watch(self, before: Order | None, decision: Decision[Order], now: datetime) -> Decision[Order]:
        """The decision; an order that it leaves Cancelled, and that may have something, is compared later."""
        if self._comparison is None or decision.state is before:
            return decision
        return replace(decision, state=self._comparison.watched(decision.state, now))

    def _watching(self, decide: Handler[Order]) -> Handler[Order]:
        def watching(event: Envelope, order: Order | None, now: datetime) -> Decision[Order] | None:
            decision = decide(event, order, now)
            return decision if decision is None else self._watch(order, decision, now)

        return watching

    async def order(self, order_id: str) -> Order:
        """The order. Raises NotFound."""
        return (await ORDERS.one(self._updates.records, order_id)).state

    async def cancel(self, order_id: str, reason: CancelReason, cause: Cause, *, seller: str | None = None) -> Order:
        """Cancel the order; again changes nothing. `seller`: as for `domain.cancel`.

        Raises NotFound, TooLateToCancel, AlreadyAdmitted, PartOfCart, Busy.
        """
        await self.carts.check_alone(order_id)
        if reason is CancelReason.BUYER:
            await self._let_in.check_nobody((await self.order(order_id),))

        def decide(order: Order, now: datetime) -> Decision[Order]:
            domain.check_cancellable(order, reason, now=now)
            return self._watch(order, domain.cancel(order, reason, seller=seller), now)

        return await self._change(order_id, decide, cause)

    async def pay_again(
        self, order_id: str, *, method: str, cause: Cause, keep: Callable[[Order], Put] | None = None
    ) -> Order:
        """Have the order charged in another way, after a charge that failed; `keep`'s record commits with it.

        One that waited takes by it what it is offered. Raises NotFound, NotReserved, NothingOffered, AlreadyPaid,
        ChargeOpen, HoldEnded, PartOfCart, Busy.
        """
        await self.carts.check_alone(order_id)

        def pay(order: Order, now: datetime) -> Decision[Order]:
            if order.waits is not None and order.status is Status.PENDING:
                return queueing.take(order, method=method, now=now)
            return domain.pay_again(order, method=method, now=now)

        return await self._change(order_id, pay, cause, keep)

    async def in_line(self, order: Order) -> InLine | None:
        """How an order stands that waits, if that can be told now."""
        try:
            await self._seats.hold(domain.hold_request(order, None, await self._buyers_later(order)))
        except InLine as line:
            return line
        except (SeatsUnreachable, Refusal):  # ContactsLocked, too
            return None
        return None

    async def refund(
        self, order_id: str, wish: RefundWish, *, cause: Cause, keep: Callable[[Order], Put] | None = None
    ) -> Order:
        """Give a part of a paid order back: the order, with the refund as its last; `keep`'s record commits with it.

        The reason is kept apart, and not at all where the buyer was erased. Raises NotFound, Busy, AnsweredBefore and
        what `aftersale.refund` raises, AlreadyAdmitted, PartOfCart.
        """
        await self.carts.check_alone(order_id)
        is_buyers = wish.by is Party.BUYER
        admitted = await self._let_in.numbers(await self.order(order_id)) if is_buyers else frozenset[int]()

        def decide(order: Order, now: datetime) -> Decision[Order]:
            decision = aftersale.refund(order, wish, now=now)
            check_last_refund(decision.state, admitted)
            return self._watch(order, decision, now)

        reason = wish.reason
        if reason is None:
            return await self._change(order_id, decide, cause, keep)

        def explained(order: Order, kept: KeptParticulars, now: datetime) -> Amended:
            return aftersale.explained(decide(order, now), kept.particulars, reason)

        order = await self.privacy.change(order_id, explained, cause=cause, beside=keep)
        self.news.tell(order)
        return order

    async def amend(self, order_id: str, wanted: Amendment, *, by: Party, cause: Cause) -> Order:
        """Change name, address or comment. Raises NotFound, Busy and what `aftersale.amend` raises."""
        order = await self.privacy.amend(order_id, wanted, by=by, cause=cause)
        if wanted.billing and self.invoicing is not None and await self.invoicing.of_order(order_id):
            await self.privacy.keep_for_invoices((order,))  # its buyer had left nothing when it was made
        self.news.tell(order)
        return order

    async def resend(self, order_id: str, *, cause: Cause) -> Order:
        """Have the confirmation sent again. Raises NotFound, Busy and what `aftersale.resend` raises."""
        kept = (await self.privacy.kept((order_id,))).get(order_id)
        if kept is not None and kept.sealed is None:
            raise NoAddress(await self.order(order_id))
        return await self._change(order_id, lambda order, now: aftersale.resend(order, now=now), cause)

    async def _change(
        self,
        order_id: str,
        decide: Callable[[Order, datetime], Decision[Order]],
        cause: Cause,
        keep: Callable[[Order], Put] | None = None,
    ) -> Order:
        order = await self._updates.change(ORDERS, order_id, decide, cause, keep)
        self.news.tell(order)
        return order

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """SeatsSold pays the order; SaleRefused and a last PaymentFailed cancel it; what payments says, it shows."""
        about_concerts = [each for each in deliveries if type(each.event.data) in _JOB_HANDLERS]
        if about_concerts:
            return await self._handle_both(deliveries, about_concerts)
        answers, changed = await self._updates.handle(ORDERS, deliveries, self._handlers, attrgetter("order_id"))
        self.news.tell_all(changed)
        if any(each.state.waits is not None for each in changed):
            self.due.wake()
        await self.carts.look(changed)
        return answers if self.invoicing is None else await self.invoicing.hear(deliveries, answers)

    async def _handle_both(
        self, deliveries: Sequence[Delivery], about_concerts: Sequence[Delivery]
    ) -> list[Acknowledgement]:
        begun, _ = await self._updates.handle(JOBS, about_concerts, _JOB_HANDLERS, _job_of)
        if self.jobs is not None:
            self.jobs.wake()
        others = [each for each in deliveries if each not in about_concerts]
        of_jobs, of_orders = iter(begun), iter(await self.handle(others) if others else [])
        return [next(of_jobs if each in about_concerts else of_orders) for each in deliveries]

    async def progress(self, concert_id: str, revision: int) -> Progress | None:
        """How far the orders have come after the last change up to this one by which the concert was moved or called
        off; None: nothing is known of one.
        """
        ids = [jobs.job_id(concert_id, each) for each in range(max(1, revision - 20), revision + 1)]
        found = await JOBS.load(self._updates.records, ids)
        last = max(found.values(), key=lambda known: known.state.revision, default=None)
        return None if last is None else jobs.progress(last.state, now=self._updates.clock.now())

    @property
    def is_busy(self) -> bool:
        """Is anything that is due being done?"""
        is_reporting = self._reporting is not None and self._reporting.due.busy
        is_invoicing = self.invoicing is not None and self.invoicing.due.busy
        return is_reporting or is_invoicing or any(each.busy for each in self._all_due())

    def report_by(self, reports: Reports, schedules: Schedules) -> None:
        """Have these make reports of the orders, and see to what is due of them."""
        self.reports, self.schedules = reports, schedules
        self._reporting = schedules

    def invoice_by(self, invoicing: Invoicing) -> None:
        """Have this issue invoices for orders that are paid."""
        self.invoicing = invoicing

    def _all_due(self) -> list[DueWork[Any]]:
        return [each for each in (self.due, self.carts.due, self.jobs, self._retention) if each is not None]

    async def stop(self) -> None:
        """Take up nothing more that is due."""
        for each in self._all_due():
            await each.stop()
        if self._reporting is not None:
            await self._reporting.due.stop()
        if self.invoicing is not None:
            await self.invoicing.due.stop()

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches."""
        expired = {} if self._retention is None else {"cludale_contacts_expired_total": self.retention.erased}
        return expired if self.invoicing is None else {**expired, **self.invoicing.gauges()}

    async def prepare(self) -> None:
        """Before anything is answered. Raises ErasuresOwed, StoreUnavailable."""
        owed = await erasures_owed(self._updates.records)
        if owed is not None:
            raise ErasuresOwed(owed)
        if self._walks is not None:
            await self._walks.prepare()
        if self.invoicing is not None:
            await self.invoicing.prepare()

    async def sweep(self) -> int:
        """See to what is due, and compare the Reserved orders of which nothing is heard; returns how many."""
        count = 0
        for each in self._all_due():
            count += await each.sweep()
        if self._walks is not None:
            count += await self._walks.go_on()
        if self._reporting is not None:
            count += await self._reporting.sweep()
        if self.invoicing is not None:
            count += await self.invoicing.sweep()
        return count if self._comparison is None else count + await self._comparison.look()


def _reserve(order: Order, held: SeatsHeld, stored: Order | None, now: datetime) -> Decision[Order]:
    return Decision(stored) if stored is not None else domain.reserve(order, held, now=now)


def _wait_in_line(order: Order, held: SeatsHeld | None, stored: Order | None, now: datetime) -> Decision[Order]:
    if stored is not None:
        return Decision(stored)
    return Decision(
        queueing.looks_again(order, now=now, joined=True) if held is None else queueing.offered(order, held)
    )


def _wait(order: Order, put_off: PutOff, cause: Cause, stored: Order | None, now: datetime) -> Decision[Order]:
    if stored is not None:
        return Decision(stored)
    return Decision(domain.put_off(order, until=put_off(1, now), traceparent=cause.traceparent))


def _on_sold(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    sold: SeatsSold = event.data
    payment = None
    if sold.paid_at is not None:
        payment = OrderPayment(
            status=PaymentStatus.COMPLETED,
            at=sold.paid_at,
            attempts=sold.payment_attempts,
            round=sold.payment_round,
        )
    return domain.pay(_existing(order), sold.allocation, payment=payment)


def _on_sale_refused(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    is_off = event.data.called_off is True
    return domain.fail(_existing(order), CancelReason.CALLED_OFF if is_off else CancelReason.EXPIRED)


def _on_concert(event: Envelope, job: Job | None, now: datetime) -> Decision[Job]:
    return jobs.begin(event.data, job, at=event.time, now=now)


def _job_of(fact: ConcertCancelled | ConcertPostponed) -> str:
    return jobs.job_id(fact.concert_id, fact.revision)


def _on_payment_failed(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    failed: PaymentFailed = event.data
    payment = domain.money_told(failed, at=event.time)
    return domain.unpaid(_existing(order), payment, reason=_CANCEL[failed.reason], retry_until=failed.retry_until)


def _on_money(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    return Decision(domain.learn(_existing(order), domain.money_told(event.data, at=event.time)))


def _on_refunded(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    return domain.money_back(_existing(order), domain.money_told(event.data, at=event.time))


def _on_part(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    known = _existing(order)
    return Decision(domain.evolve(known, event.data, at=event.time))


def _on_seats_moved(event: Envelope, order: Order | None, _: datetime) -> Decision[Order]:
    decision = reseating.moved(_existing(order), event.data, at=event.time)
    if decision is None:
        raise TooEarly
    return decision


def _on_offered(_: Envelope, order: Order | None, now: datetime) -> Decision[Order] | None:
    # One that is not there yet, or never will be, asks by itself.
    return None if order is None else Decision(queueing.asks_now(order, now=now))


def _on_left_the_list(event: Envelope, order: Order | None, _: datetime) -> Decision[Order] | None:
    return None if order is None else queueing.left(order, event.data)


def _existing(order: Order | None) -> Order:
    if order is None:
        raise TooEarly
    return order


_JOB_HANDLERS: Mapping[type[Event], Handler[Job]] = {ConcertCancelled: _on_concert, ConcertPostponed: _on_concert}
HANDLERS: Mapping[type[Event], Handler[Any]] = {
    SeatsSold: _on_sold,
    SaleRefused: _on_sale_refused,
    PaymentCompleted: _on_money,
    PaymentFailed: _on_payment_failed,
    PaymentRefunded: _on_refunded,
    PartRefunded: _on_part,
    SeatsReturned: _on_part,
    SeatsMoved: _on_seats_moved,
    SeatsOffered: _on_offered,
    WaitingListLeft: _on_left_the_list,
    **_JOB_HANDLERS,
}
"""What the service hears, and what decides about it."""
_WATCHED = (SaleRefused, PaymentCompleted)
"""After these, a Cancelled order that may have something is compared."""
