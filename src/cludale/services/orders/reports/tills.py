"""Tills in sums: what each seller took and gave back at the box office, by day and method. No I/O, clock or HTTP.

Money counts on the day on which it moved, in its concert's own time: what is in a till at the end of a day stays what
it was, whatever becomes of the orders later.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET

from cludale.kernel.tills import TillMethod
from cludale.services.orders import parts
from cludale.services.orders.order import Order, PaymentStatus
from cludale.services.orders.reports.cells import Amount, Cell
from cludale.services.orders.reports.columns import ReportedOrder
from cludale.services.orders.reports.sales import MOST_ROWS, TooManyRows


class TillSum(NamedTuple):
    """Money in minor units."""

    sales: int = 0
    taken: int = 0
    given_back: int = 0


class TillRow(NamedTuple):
    """One row of the report."""

    concert_id: str
    seller: str
    day: str
    method: TillMethod
    currency: str
    sum: TillSum


class Move(NamedTuple):
    """Money that moved: into a till, or out of it."""

    at: datetime
    seller: str
    taken: int = 0
    given_back: int = 0


def moves(order: Order) -> Iterator[Move]:
    """What moved for this order, as far as it has heard; nothing for one that was not sold at the box office."""
    till, total, payment = order.till, order.total, order.payment
    if till is None or total is None or payment is None or till.is_complimentary:
        return
    if payment.status not in (PaymentStatus.COMPLETED, PaymentStatus.REFUNDED):
        return
    # It is taken as soon as the order has its seats, and an order that is sold at the counter has them at once.
    yield Move(order.created_at, till.seller, taken=total.amount)
    for each in order.refunds:
        if each.done_at is not None:
            by = till.seller if each.part.seller is UNSET else each.part.seller
            yield Move(each.done_at, by, given_back=each.part.amount.amount)
    if payment.status is PaymentStatus.REFUNDED:
        rest = parts.left(total, order.refunds)
        yield Move(payment.at, order.back_by or till.seller, given_back=rest.amount)


class Tills:
    """Adds up what moved."""

    def __init__(self, began: datetime) -> None:
        """`began`: when the reading of the orders began."""
        self.began = began
        self._sums: dict[tuple[str, str, str, TillMethod, str], TillSum] = {}

    def add(self, line: ReportedOrder) -> None:
        """One order more. Raises TooManyRows."""
        order = line.order
        if order.till is None or order.total is None:
            return
        for move in moves(order):
            day = line.concert.day(move.at).isoformat()
            key = (order.seats.concert_id, move.seller, day, order.till.method, order.total.currency)
            if key not in self._sums and len(self._sums) >= MOST_ROWS:
                raise TooManyRows
            known = self._sums.get(key, TillSum())
            self._sums[key] = TillSum(
                known.sales + bool(move.taken), known.taken + move.taken, known.given_back + move.given_back
            )

    def rows(self) -> list[TillRow]:
        """The sums, by day, seller, method, concert and currency."""
        found = [TillRow(*key, sum) for key, sum in self._sums.items()]
        return sorted(found, key=lambda row: (row.day, row.seller, row.method, row.concert_id, row.currency))


HEAD = ("concertId", "seller", "day", "method", "currency", "sales", "taken", "givenBack", "net")


def cells(row: TillRow) -> list[Cell]:
    """The row as it stands in a file."""
    sum, currency = row.sum, row.currency
    money = [Amount.of(each, currency) for each in (sum.taken, sum.given_back, sum.taken - sum.given_back)]
    return [row.concert_id, row.seller, row.day, row.method.value, currency, sum.sales, *money]
