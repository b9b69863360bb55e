"""What an order brought: money taken, given back, and still on its way back. No I/O, clock or HTTP.

It is told from the order's record alone, which has heard of every charge and refund when nothing is under way. The
checker has a rule that holds its sums against the payments (`report_rules.py`).
"""

from typing import NamedTuple

from cludale.services.orders import parts
from cludale.services.orders.order import Order, PaymentStatus, Status

_TAKEN = (PaymentStatus.COMPLETED, PaymentStatus.REFUNDED)


class OrderMoney(NamedTuple):
    """Money of one order, in minor units of its currency."""

    taken: int = 0
    refunded: int = 0
    """Of that, what has gone back."""
    open: int = 0
    """What is on its way back of the rest."""

    @property
    def net(self) -> int:
        """What is left of it; what is on its way back is still in it."""
        return self.taken - self.refunded


NO_MONEY = OrderMoney()


def money_of(order: Order) -> OrderMoney:
    """What the order brought, as far as it has heard."""
    if order.total is None:
        return NO_MONEY
    payment, total = order.payment, order.total.amount
    # An order that an earlier version reserved knows nothing of its payment; Paid, it has its money all the same.
    if (payment is None or payment.status not in _TAKEN) and order.status is not Status.PAID:
        return NO_MONEY
    if payment is not None and payment.status is PaymentStatus.REFUNDED:
        return OrderMoney(total, total)
    back = sum(each.part.amount.amount for each in order.refunds if each.done_at is not None)
    wanted = total if order.status is Status.CANCELLED else parts.refunded(order.refunds)
    return OrderMoney(total, back, wanted - back)


def is_sale(order: Order) -> bool:
    """Were its tickets sold, whatever became of them?"""
    return order.status is Status.PAID or order.was_paid


def tickets_back(order: Order) -> int:
    """How many of its sold tickets were given back."""
    return order.seats.quantity if order.status is Status.CANCELLED else parts.returned(order.refunds)
