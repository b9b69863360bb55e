"""What is lost for good, and told again."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.runtime import aggregates
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts.domain import Sell
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.stock import Answered, Status
from cludale.services.orders import comparison
from cludale.services.orders import lost_events as orders_lost_events
from cludale.services.orders import order as orders_order
from cludale.services.orders.lost_events import Compared, Lost
from cludale.services.orders.order import Order
from cludale.services.payments import comparison as payments_comparison
from cludale.services.payments import domain as payments_domain
from cludale.services.payments import payment as payments_payment
from cludale.services.payments import refunds as payments_refunds
from cludale.services.payments.payment import Payment
from cludale_proof.planted.planting import bug, swap


@bug("comparison: nobody looks at orders of which nothing is heard", theme="lost for good")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any) -> int:
        return 0

    swap(stack, comparison.Comparison, "look", wrong)


@bug("comparison: a cancelled order is never compared", theme="lost for good")
def _(stack: ExitStack) -> None:
    swap(stack, comparison.Comparison, "watched", lambda self, order, now: order)


@bug("comparison: a cancelled order is asked about its money, and not about its seats", theme="lost for good")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, order: Order) -> bool:
        return False

    swap(stack, comparison.Comparison, "has_seats", wrong)


@bug("comparison: an order that payments does not answer for is never compared again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = comparison.Comparison.ask

    async def wrong(self: Any, orders: Sequence[Order]) -> Any:
        def never(order: Order, _: datetime) -> Decision[Order]:
            if order.status is not orders_order.Status.CANCELLED:
                return Decision(order)
            return Decision(msgspec.structs.replace(order, due_at=None, looks=order.looks + 1))

        return {order.id: never for order in orders} | dict(await right(self, orders))

    swap(stack, comparison.Comparison, "ask", wrong)


@bug("comparison: another way to pay that payments missed is not told again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = orders_lost_events.compared

    def wrong(order: Order, charge: Any, *, has_seats: bool) -> Compared:
        after = right(order, charge, has_seats=has_seats)
        return Compared(Decision(order)) if after.lost is Lost.REQUESTED else after

    swap(stack, orders_lost_events, "compared", wrong)


@bug("comparison: money of which nothing came is charged again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = payments_comparison.compared

    def wrong(payment: Payment, order: Any) -> Decision[Payment]:
        told = right(payment, order)
        if payment.status is not payments_payment.Status.COMPLETED or not told.events:
            return told
        anew = msgspec.structs.replace(
            payment, status=payments_payment.Status.PENDING, round=payment.round + 1, due_at=payment.created_at
        )
        return replace(told, state=anew)

    swap(stack, payments_comparison, "compared", wrong)


@bug("comparison: what is told again is told as if it were new", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.envelopes

    def wrong(self: Any, decision: Decision[Any], cause: Cause, now: datetime) -> list[Envelope]:
        return right(self, replace(decision, again=False), cause, now)

    swap(stack, aggregates.Updates, "envelopes", wrong)


@bug("comparison: what is told again has the time of that", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.envelopes

    def wrong(self: Any, decision: Decision[Any], cause: Cause, now: datetime) -> list[Envelope]:
        return right(self, replace(decision, at=None) if decision.again else decision, cause, now)

    swap(stack, aggregates.Updates, "envelopes", wrong)


@bug("comparison: a refund that is told of again is made again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = payments_refunds.refund

    def wrong(payment: Payment, **kwargs: Any) -> Decision[Payment]:
        if payment.status is payments_payment.Status.REFUNDED:
            payment = msgspec.structs.replace(payment, status=payments_payment.Status.COMPLETED)
        return right(payment, **kwargs)

    swap(stack, payments_refunds, "refund", wrong)


@bug("comparison: money that is told of again gets seats again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        sold = seating.reservations.get(sale.reservation_id)
        if sale.again and sold is not None and sold.status is Status.SOLD:
            return concerts_domain.seat_late_money(seating, sold, sale, now)
        return right(seating, sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("comparison: money that was refused gets seats when it is told of again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        refused = seating.reservations.get(sale.reservation_id)
        if refused is None or refused.answered is not Answered.REFUSED:
            return right(seating, sale, now)
        forgotten = msgspec.structs.replace(refused, answered=msgspec.UNSET)
        return right(Seating(seating.section, {**seating.reservations, refused.id: forgotten}), sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("comparison: concerts answers no money a second time", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell
    swap(stack, concerts_domain, "sell", lambda seating, sale, now: right(seating, replace(sale, again=False), now))


@bug("comparison: the end of a round that the organizer began is told once", theme="lost for good")
def _(stack: ExitStack) -> None:
    swap(stack, payments_domain, "RETELLS", 0)
    swap(stack, payments_comparison, "RETELLS", 0)
