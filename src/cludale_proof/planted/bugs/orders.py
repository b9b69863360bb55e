"""Orders."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import msgspec

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.ports.records import Commit
from cludale.ports.seats import SeatsHeld
from cludale.runtime import admission, aggregates
from cludale.runtime.aggregates import NEW, Change, ChangeResult, TooEarly, Updated, Versioned
from cludale.services.concerts import stock
from cludale.services.orders import api as orders_api
from cludale.services.orders import domain as orders_domain
from cludale.services.orders import due as orders_due
from cludale.services.orders import let_in
from cludale.services.orders import order as orders_order
from cludale.services.orders import service as orders_service
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import Order
from cludale.services.orders.store import ORDERS, keyed_id
from cludale.services.payments import domain as payments_domain
from cludale.services.payments.events import PaymentCompleted
from cludale.services.payments.payment import Payment
from cludale_proof.planted.planting import bug, swap


@bug("orders: paid when the money is there, before the seats are sold")
def _(stack: ExitStack) -> None:
    def wrong(event: Envelope, order: Order | None, now: datetime) -> Decision[Order]:
        if order is None:
            raise TooEarly
        return orders_domain.pay(order, event.data.allocation)

    swap(stack, orders_service, "HANDLERS", {**orders_service.HANDLERS, PaymentCompleted: wrong})


@bug("orders: seats that are sold revive an order that its buyer cancelled")
def _(stack: ExitStack) -> None:
    right = orders_domain.pay

    def wrong(order: Order, *args: Any, **kwargs: Any) -> Decision[Order]:
        if order.status is orders_order.Status.CANCELLED:
            order = msgspec.structs.replace(order, reason=CancelReason.EXPIRED)
        return right(order, *args, **kwargs)

    swap(stack, orders_domain, "pay", wrong)


@bug("orders: a failed payment cancels an order that is paid", theme="slow payments")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, reason: CancelReason, note: str | None = None) -> Decision[Order]:
        if order.status is orders_order.Status.CANCELLED:
            return Decision(order)
        return orders_domain.cancel(order, reason, note)

    right = orders_domain.unpaid

    def unpaid(order: Order, payment: Any, *, reason: CancelReason, retry_until: datetime | None) -> Decision[Order]:
        if order.status is orders_order.Status.PAID:
            return wrong(order, reason)
        return right(order, payment, reason=reason, retry_until=retry_until)

    swap(stack, orders_domain, "fail", wrong)
    swap(stack, orders_domain, "unpaid", unpaid)


@bug("orders: the door is not asked whom it let in before a buyer gives tickets back", theme="given back inside")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, order: Order) -> frozenset[int]:
        return frozenset()

    swap(stack, let_in.LetIn, "numbers", wrong)


@bug("orders: a cancellation that met a conflict is answered as done")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, store: Any, id: str, decide: Any, cause: Cause, beside: Any = None) -> Any:
        known = await store.one(self.records, id)
        decision = decide(known.state, self.clock.now())
        if decision.state is not known.state:
            events = self.envelopes(decision, cause, self.clock.now())
            put = store.put(decision.state, known.version)
            await self.records.commit((Commit(store.partition(id), (put,), events),))
        return decision.state

    swap(stack, aggregates.Updates, "change", wrong)


@bug("orders: answers before the order is durable")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.update

    async def wrong(self: Any, changes: Sequence[Change[Any]]) -> list[Updated[Any]]:
        if not changes or changes[0].store is not ORDERS or changes[0].known is not NEW:
            return await right(self, changes)
        decision = changes[0].decide(None, self.clock.now())
        assert decision is not None
        task = asyncio.get_running_loop().create_task(right(self, changes))
        task.add_done_callback(lambda done: done.exception())
        return [(ChangeResult.CHANGED, Versioned(decision.state, 1))]

    swap(stack, aggregates.Updates, "update", wrong)


@bug("orders: the answer to an Idempotency-Key is not kept")
def _(stack: ExitStack) -> None:
    right = orders_service.Orders.place

    async def wrong(self: Any, wanted: Any, *, cause: Any, order_id: Any = None, keep: Any = None) -> Order:
        return await right(self, wanted, cause=cause, order_id=order_id, keep=None)

    swap(stack, orders_service.Orders, "place", wrong)


@bug("orders: the order of an Idempotency-Key gets a new id each time")
def _(stack: ExitStack) -> None:
    right = orders_service.Orders.place

    async def wrong(self: Any, wanted: Any, *, cause: Any, order_id: Any = None, keep: Any = None) -> Order:
        return await right(self, wanted, cause=cause, order_id=None, keep=None)

    swap(stack, orders_service.Orders, "place", wrong)


@bug("orders: another request under the same key gets the first one's seats", theme="impatience")
def _(stack: ExitStack) -> None:
    swap(stack, orders_api, "keyed_id", lambda key, _: keyed_id(key, b"the same"))
    reserve = orders_domain.reserve

    def unchecked(order: Order, held: SeatsHeld, **kwargs: Any) -> Decision[Order]:
        decision = reserve(msgspec.structs.replace(order, seats=OrderSeats.of(held.allocation)), held, **kwargs)
        seats = msgspec.structs.replace(decision.state.seats, quantity=order.seats.quantity)
        return Decision(msgspec.structs.replace(decision.state, seats=seats), decision.events)

    swap(stack, orders_domain, "reserve", unchecked)
    swap(stack, stock, "check_same_request", lambda *_, **__: None)


@bug("orders: what is told of an earlier round undoes what is known of a later one", theme="changes of mind")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, payment: Any) -> Order:
        if order.payment is None or payment == order.payment:
            return order
        return msgspec.structs.replace(order, payment=payment, due_at=None)

    swap(stack, orders_domain, "learn", wrong)


@bug("orders: money alone makes an order Paid")
def _(stack: ExitStack) -> None:
    right = orders_domain.learn

    def wrong(order: Order, payment: Any) -> Order:
        after = right(order, payment)
        if after.status is orders_order.Status.RESERVED and payment.status is orders_order.PaymentStatus.COMPLETED:
            return msgspec.structs.replace(after, status=orders_order.Status.PAID)
        return after

    swap(stack, orders_domain, "learn", wrong)


@bug("orders: an order that nobody paid keeps its place when its hold has ended")
def _(stack: ExitStack) -> None:
    swap(stack, orders_domain, "hold_ended", lambda order, **_: Decision(order))


@bug("orders: the end of the hold ends an order whose charge is open", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = orders_domain.learn

    def wrong(order: Order, payment: Any) -> Order:
        after = right(order, payment)
        return after if after is order else msgspec.structs.replace(after, due_at=order.due_at)

    swap(stack, orders_domain, "learn", wrong)

    def ended(order: Order, *, now: datetime) -> Decision[Order]:
        is_over = order.status is orders_order.Status.RESERVED and order.due_at is not None and now >= order.due_at
        return orders_domain.fail(order, CancelReason.DECLINED) if is_over else Decision(order)

    swap(stack, orders_domain, "hold_ended", ended)
    swap(stack, Order, "is_settled", property(lambda self: self.status is not orders_order.Status.PENDING))


@bug("orders: another way to pay is taken though the hold has ended", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = orders_domain.pay_again

    def wrong(order: Order, *, method: str, now: datetime) -> Decision[Order]:
        return right(order, method=method, now=min(now, order.created_at))

    swap(stack, orders_domain, "pay_again", wrong)


@bug("payments: another way to pay begins a round each time that it is told of", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = payments_domain.requested

    def wrong(payment: Payment, request: Any, **kwargs: Any) -> Payment:
        return right(payment, msgspec.structs.replace(request, round=payment.round + 1), **kwargs)

    swap(stack, payments_domain, "requested", wrong)


@bug("orders: what waits for its seats is forgotten")
def _(stack: ExitStack) -> None:
    right = orders_due.DueOrders.take_up

    def wrong(self: Any, state: Order, now: datetime) -> Decision[Order]:
        return Decision(state) if state.status is orders_order.Status.PENDING else right(self, state, now)

    swap(stack, orders_due.DueOrders, "take_up", wrong)


@bug("admission: an order that fails keeps its place inside")
def _(stack: ExitStack) -> None:
    right = admission.AdmissionControl.leave

    def wrong(self: Any) -> None:
        if sys.exc_info()[0] is None:
            right(self)

    swap(stack, admission.AdmissionControl, "leave", wrong)


@bug("admission: whoever hangs up in the moment of being let in keeps their place", theme="impatience")
def _(stack: ExitStack) -> None:
    enter, leave = admission.AdmissionControl.enter, admission.AdmissionControl.leave
    entering: set[asyncio.Task[Any] | None] = set()

    async def entered(self: Any) -> None:
        task = asyncio.current_task()
        entering.add(task)
        try:
            await enter(self)
        finally:
            entering.discard(task)

    def left(self: Any) -> None:
        if asyncio.current_task() not in entering:
            leave(self)

    swap(stack, admission.AdmissionControl, "enter", entered)
    swap(stack, admission.AdmissionControl, "leave", left)
