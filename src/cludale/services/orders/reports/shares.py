"""What of an order belongs to each category of its tickets. No I/O, clock or HTTP.

A bill says what the tickets of a category cost, and a part refund which tickets it gives back. What no category can
claim (a fee for the order as a whole, a refund by amount) is a share of its own, so the shares add up to the order.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cludale.kernel.bills import STANDARD, Bill
from cludale.services.orders.order import Order, Status
from cludale.services.orders.parts import OrderRefund
from cludale.services.orders.reports.money import OrderMoney, tickets_back


class Share(NamedTuple):
    """Tickets and money of one order that belong together."""

    category: str | None
    """None: of no category, so without tickets."""
    tickets: int
    tickets_back: int
    money: OrderMoney


def whole(order: Order, money: OrderMoney) -> Share:
    """All of it as one share. Without a bill its tickets are of the category that a concert has if it names none."""
    return Share(STANDARD, order.seats.quantity, tickets_back(order), money)


def by_category(order: Order, money: OrderMoney) -> Sequence[Share]:
    """Its shares, in the order of the bill; what belongs to no category comes last, if there is such a thing."""
    bill = order.bill
    if bill is None:
        return [whole(order, money)]
    cost: Counter[str | None] = Counter({line.category: line.total for line in bill.lines})
    cost[None] = bill.total - cost.total()
    taken = cost if money.taken else Counter()
    refunded, on_their_way = _went_back(bill, order.refunds)
    if money.taken == money.refunded:
        refunded, on_their_way = taken, Counter()
    elif order.status is Status.CANCELLED:
        on_their_way = Counter({category: taken[category] - refunded[category] for category in cost})
    back = _tickets_back(order, bill)
    tickets = {line.category: line.quantity for line in bill.lines}
    shares = [
        Share(
            category,
            tickets.get(category or "", 0),
            back[category],
            OrderMoney(taken[category], refunded[category], on_their_way[category]),
        )
        for category in cost
    ]
    return [share for share in shares if share.category is not None or any(share.money)]


def _went_back(bill: Bill, refunds: Sequence[OrderRefund]) -> tuple[Counter[str | None], Counter[str | None]]:
    """What part refunds have given back of each category, and what is on its way."""
    done: Counter[str | None] = Counter()
    still: Counter[str | None] = Counter()
    for refund in refunds:
        sums = still if refund.done_at is None else done
        rest = refund.part.amount.amount
        for category, tickets in _tickets_of(bill, refund).items():
            line = bill.line(category)
            worth = 0 if line is None else min(rest, line.each * tickets)
            sums[category] += worth
            rest -= worth
        sums[None] += rest
    return done, still


def _tickets_back(order: Order, bill: Bill) -> Counter[str | None]:
    if order.status is Status.CANCELLED:
        return Counter({line.category: line.quantity for line in bill.lines})
    back: Counter[str | None] = Counter()
    for refund in order.refunds:
        back.update(_tickets_of(bill, refund))
    return back


def _tickets_of(bill: Bill, refund: OrderRefund) -> dict[str, int]:
    """How many tickets of each category it gives back. One that does not say which is of a bill with one line."""
    if refund.part.of:
        return {each.category: each.quantity for each in refund.part.of}
    return {bill.lines[0].category: refund.part.tickets} if refund.part.tickets else {}
