"""Payments, refunds, the provider's books, and what reports say of them."""

from contextlib import ExitStack
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.bills import STANDARD
from cludale.kernel.decision import Decision
from cludale.kernel.events import Envelope
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Charge, GatewayTrouble
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts.domain import Return
from cludale.services.concerts.events import SaleRefused
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.stock import Reservation
from cludale.services.orders import parts as order_parts
from cludale.services.orders.aftersale import domain as aftersale
from cludale.services.orders.events import OrderCancelled
from cludale.services.orders.order import Order
from cludale.services.orders.reports import columns as report_columns
from cludale.services.orders.reports import money as report_money
from cludale.services.orders.reports import reading as report_reading
from cludale.services.orders.reports import sales as report_sales
from cludale.services.orders.reports import shares as report_shares
from cludale.services.payments import differences, reconciliation
from cludale.services.payments import domain as payments_domain
from cludale.services.payments import due as payments_due
from cludale.services.payments import payment as payments_payment
from cludale.services.payments import refunds as payments_refunds
from cludale.services.payments import service as payments_service
from cludale.services.payments.events import FailureReason
from cludale.services.payments.mends import Mend
from cludale.services.payments.payment import Payment
from cludale_proof.planted.planting import bug, swap
from cludale_proof.simulator.provider import Gateway, Provider


@bug("payments: each attempt has a key of its own")
def _(stack: ExitStack) -> None:
    swap(stack, Payment, "key", property(lambda self: f"{self.id}.{self.round}{self.tries:02}"))


@bug("payments: no answer in time is taken for a decline")
def _(stack: ExitStack) -> None:
    right = payments_domain.attempted

    def wrong(payment: Payment, outcome: Any, detail: Any, **kwargs: Any) -> Decision[Payment]:
        if outcome is payments_payment.AttemptOutcome.UNKNOWN:
            outcome = payments_payment.AttemptOutcome.DECLINED
        return right(payment, outcome, detail, **kwargs)

    swap(stack, payments_domain, "attempted", wrong)


@bug("payments: gives up without making sure that nothing was taken")
def _(stack: ExitStack) -> None:
    right = payments_domain.attempted

    def wrong(payment: Payment, outcome: Any, detail: Any, **kwargs: Any) -> Decision[Payment]:
        decision = right(payment, outcome, detail, **kwargs)
        if decision.state.closing is FailureReason.GAVE_UP:
            return payments_domain.voided(decision.state, returned=False, now=kwargs["now"], limits=kwargs["limits"])
        return decision

    swap(stack, payments_domain, "attempted", wrong)


@bug("payments: a round that expired fails without making sure that nothing was taken")
def _(stack: ExitStack) -> None:
    async def nothing_held(self: Any, charge: Charge) -> bool:
        return False

    swap(stack, Gateway, "void", nothing_held)


@bug("payments: what came of one round is booked on the next", theme="slow payments + frozen")
def _(stack: ExitStack) -> None:
    swap(stack, payments_due.Charging, "of_its_round", lambda self, payment, step: step)


@bug("payments: an order that is told of again is begun again")
def _(stack: ExitStack) -> None:
    right = payments_domain.begin

    def wrong(payment: Payment | None, order: Any, **kwargs: Any) -> Decision[Payment]:
        return right(None, order, **kwargs)

    swap(stack, payments_domain, "begin", wrong)


@bug("payments: a cancelled order is charged all the same")
def _(stack: ExitStack) -> None:
    swap(
        stack,
        payments_refunds,
        "order_cancelled",
        lambda payment, order, *, cause, now: Decision(payment) if payment is not None else None,
    )


@bug("payments: a cancellation that comes before the order is forgotten", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = payments_refunds.order_cancelled

    def wrong(payment: Payment | None, order: OrderCancelled, **kwargs: Any) -> Decision[Payment] | None:
        return None if payment is None else right(payment, order, **kwargs)

    swap(stack, payments_refunds, "order_cancelled", wrong)


@bug("payments: a refused sale is not refunded")
def _(stack: ExitStack) -> None:
    handlers = payments_service.Payments.HANDLERS
    right = handlers[SaleRefused]

    def wrong(self: Any, event: Envelope, payment: Payment | None, now: datetime) -> Any:
        right(self, event, payment, now)
        return Decision(payment)

    swap(stack, payments_service.Payments, "HANDLERS", {**handlers, SaleRefused: wrong})


@bug("payments: a refund without an answer is taken for done")
def _(stack: ExitStack) -> None:
    right = Gateway.refund

    async def wrong(self: Any, charge: Charge) -> None:
        try:
            await right(self, charge)
        except GatewayTrouble:
            return

    swap(stack, Gateway, "refund", wrong)


@bug("payments: a refund that is asked for again gives the money back again")
def _(stack: ExitStack) -> None:
    right = Provider.refund

    def wrong(self: Provider, key: str) -> None:
        self.accounts[key].returned = 0
        right(self, key)

    swap(stack, Provider, "refund", wrong)


@bug("payments: a part refund goes under a new key each time", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = Gateway.refund_part
    asked: list[str] = []

    async def wrong(self: Any, charge: Charge, refund_key: str, amount: Money) -> None:
        asked.append(refund_key)
        await right(self, charge, f"{refund_key}.{len(asked)}", amount)

    swap(stack, Gateway, "refund_part", wrong)


@bug("reconciliation: a mend goes under a new key each time that it is asked for", theme="wrong books")
def _(stack: ExitStack) -> None:
    right = Mend.refund_key.fget  # type: ignore[attr-defined]
    asked: list[str] = []

    def wrong(self: Mend) -> str:
        asked.append(self.key)
        return f"{right(self)}.{len(asked)}"

    swap(stack, Mend, "refund_key", property(wrong))


@bug("reconciliation: what is in flight is taken for lost", theme="wrong books")
def _(stack: ExitStack) -> None:
    swap(stack, differences, "is_in_flight", lambda payment, key, reference, *, read_at, tolerance: False)


@bug("reconciliation: while one charge of a payment is mended, its others are passed over", theme="slow payments")
def _(stack: ExitStack) -> None:
    right = differences.is_in_flight

    def wrong(payment: Payment, key: str, reference: str | None, **of: Any) -> bool:
        return payment.open_mend is not None or right(payment, key, reference, **of)

    swap(stack, differences, "is_in_flight", wrong)


@bug("reconciliation: only the first page of the provider's books is read", theme="wrong books")
def _(stack: ExitStack) -> None:
    right = reconciliation.onwards

    def wrong(state: Any, following: str | None, **counts: Any) -> Any:
        return right(state, None, **counts)

    swap(stack, reconciliation, "onwards", wrong)


@bug("reconciliation: a lost refund is noted, and not given back", theme="wrong books")
def _(stack: ExitStack) -> None:
    swap(stack, differences, "begin_mend", lambda payment, found, *, now, tolerance: Decision(payment))


@bug("payments: who cancels gets all of the money back, whatever went back in part", theme="changes of mind")
def _(stack: ExitStack) -> None:
    swap(stack, Payment, "rest", property(lambda self: self.amount))


@bug("concerts: seats that are given back twice can be had twice", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.give_back

    def wrong(seating: Seating, back: Return, now: datetime) -> Decision[Seating]:
        forgotten = {id: replace(each, returns=UNSET) for id, each in seating.reservations.items()}
        return right(Seating(seating.section, forgotten), back, now)

    swap(stack, concerts_domain, "give_back", wrong)


@bug("concerts: who cancels gives back seats that were given back before", theme="changes of mind")
def _(stack: ExitStack) -> None:
    swap(stack, Reservation, "kept", property(lambda self: self.quantity))


@bug("orders: more is given back than was paid", theme="changes of mind")
def _(stack: ExitStack) -> None:
    swap(stack, order_parts, "left", lambda total, refunds: total)


@bug("reports: what went back in part is not taken off", theme="changes of mind")
def _(stack: ExitStack) -> None:
    def wrong(order: Order) -> report_money.OrderMoney:
        return right(replace(order, refunds=()))

    right = report_money.money_of
    swap(stack, report_columns, "money_of", wrong)


@bug("reports: tickets of a cancelled order count as sold")
def _(stack: ExitStack) -> None:
    swap(stack, report_shares, "tickets_back", lambda order: order_parts.returned(order.refunds))


@bug("reports: a ticket of any category counts in the first of its bill", theme="prices")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, money: report_money.OrderMoney) -> list[report_shares.Share]:
        first = STANDARD if order.bill is None else order.bill.lines[0].category
        return [report_shares.whole(order, money)._replace(category=first)]

    swap(stack, report_sales, "by_category", wrong)


@bug("reports: the first order of each page is left out")
def _(stack: ExitStack) -> None:
    right = report_reading.Reading.pages

    async def wrong(self: Any, *, with_buyers: bool = False) -> Any:
        async for lines in right(self, with_buyers=with_buyers):
            yield lines[1:]

    swap(stack, report_reading.Reading, "pages", wrong)


@bug("orders: a part refund that nothing is heard of is not asked for again", theme="lost for good")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, *, now: datetime, look_at: datetime) -> Decision[Order]:
        del now, look_at
        return Decision(order)

    swap(stack, aftersale, "asked_again", wrong)


@bug("payments: a refund that two replicas bring to its end is told of twice", theme="impatience")
def _(stack: ExitStack) -> None:
    right = payments_refunds.refunded

    def wrong(payment: Payment, **kwargs: Any) -> Decision[Payment]:
        if payment.status is payments_payment.Status.REFUNDED:
            payment = msgspec.structs.replace(payment, status=payments_payment.Status.COMPLETED, refunding=True)
        return right(payment, **kwargs)

    swap(stack, payments_refunds, "refunded", wrong)


@bug("payments: what a crash cut off is never taken up")
def _(stack: ExitStack) -> None:
    right = payments_due.Charging.take_up

    def wrong(self: Any, state: Payment, now: datetime) -> Decision[Payment]:
        is_begun = state.status is payments_payment.Status.PENDING and state.closing is None and not state.tries
        return Decision(state) if is_begun else right(self, state, now)

    swap(stack, payments_due.Charging, "take_up", wrong)


@bug("payments: a new round is begun while the last one is not over")
def _(stack: ExitStack) -> None:
    right = payments_domain.retry

    def wrong(payment: Payment, **kwargs: Any) -> Payment:
        if payment.status is payments_payment.Status.PENDING and not payment.closed:
            return msgspec.structs.replace(payment, round=payment.round + 1)
        return right(payment, **kwargs)

    swap(stack, payments_domain, "retry", wrong)
