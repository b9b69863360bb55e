"""The columns of the export of orders: one line each. No I/O, clock or HTTP.

A field that orders get later becomes a column by a line in `COLUMNS`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cludale.kernel.refusals import Invalid
from cludale.kernel.times import rfc3339
from cludale.services.orders.order import Order, Status, channel
from cludale.services.orders.privacy.domain import NOTHING, Particulars
from cludale.services.orders.reports.cells import Amount, Cell
from cludale.services.orders.reports.concerts import Concert
from cludale.services.orders.reports.money import OrderMoney, money_of


class ReportedOrder(NamedTuple):
    """An order with what a row needs to know of it."""

    order: Order
    concert: Concert
    money: OrderMoney
    left: Particulars = NOTHING
    """What is kept of the buyer, where a personal column is wanted."""


class Column(NamedTuple):
    """A column: what is in its cells, and whether that says who the buyer is."""

    of: Callable[[ReportedOrder], Cell]
    is_personal: bool = False


def line_of(order: Order, concert: Concert) -> ReportedOrder:
    """The order as a line."""
    return ReportedOrder(order, concert, money_of(order))


def _amount(units: Callable[[ReportedOrder], int]) -> Callable[[ReportedOrder], Cell]:
    def cell(line: ReportedOrder) -> Cell:
        total = line.order.total
        return None if total is None else Amount.of(units(line), total.currency)

    return cell


def _total(line: ReportedOrder) -> int:
    return 0 if line.order.total is None else line.order.total.amount


def _categories(line: ReportedOrder) -> str | None:
    """Its tickets as they were sold, as in `2 adult, 1 child`; None where the concert has no categories."""
    bill = line.order.bill
    return None if bill is None else ", ".join(f"{each.quantity} {each.category}" for each in bill.lines)


COLUMNS: Mapping[str, Column] = {
    "id": Column(lambda line: line.order.id),
    "concertId": Column(lambda line: line.order.seats.concert_id),
    "concert": Column(lambda line: line.concert.name),
    "concertDate": Column(lambda line: line.concert.date),
    "section": Column(lambda line: line.order.seats.section),
    "sectionName": Column(lambda line: line.concert.sections.get(line.order.seats.section or "")),
    "userId": Column(lambda line: line.order.user_id),
    "status": Column(lambda line: line.order.status.value),
    "reason": Column(lambda line: None if line.order.reason is None else line.order.reason.value),
    "quantity": Column(lambda line: line.order.seats.quantity),
    "held": Column(lambda line: 0 if line.order.status is Status.CANCELLED else line.order.held),
    "categories": Column(_categories),
    "code": Column(lambda line: None if line.order.bill is None else line.order.bill.code),
    "discount": Column(_amount(lambda line: 0 if line.order.bill is None else line.order.bill.discount)),
    "total": Column(_amount(_total)),
    "taken": Column(_amount(lambda line: line.money.taken)),
    "refunded": Column(_amount(lambda line: line.money.refunded)),
    "refundsOpen": Column(_amount(lambda line: line.money.open)),
    "net": Column(_amount(lambda line: line.money.net)),
    "currency": Column(lambda line: None if line.order.total is None else line.order.total.currency),
    "payment": Column(lambda line: None if line.order.payment is None else line.order.payment.status.value),
    "paymentMethod": Column(lambda line: line.order.payment_method),
    "channel": Column(lambda line: channel(line.order).value),
    "seller": Column(lambda line: None if line.order.till is None else line.order.till.seller),
    "receipt": Column(lambda line: None if line.order.till is None else line.order.till.receipt),
    "placedAt": Column(lambda line: rfc3339(line.order.created_at)),
    "placedDay": Column(lambda line: line.concert.day(line.order.created_at)),
    "name": Column(lambda line: line.left.name, is_personal=True),
    "email": Column(lambda line: line.left.email, is_personal=True),
    "phone": Column(lambda line: line.left.phone, is_personal=True),
    "comment": Column(lambda line: line.left.comment, is_personal=True),
}
"""By name, in the order in which they stand unless others are chosen."""

PLAIN = tuple(name for name, column in COLUMNS.items() if not column.is_personal)
PERSONAL = tuple(name for name, column in COLUMNS.items() if column.is_personal)


def chosen(text: str | None, among: Sequence[str]) -> Sequence[str]:
    """The columns that `text` names, separated by commas; all of `among` without it. Raises Invalid."""
    if text is None:
        return among
    names = [each.strip() for each in text.split(",")]
    for name in names:
        if name in PERSONAL and name not in among:
            raise Invalid(("columns", f"{name!r} says who the buyer is: it is in /orders/export/personal"))
        if name not in among:
            raise Invalid(("columns", f"must be some of {', '.join(among)}, separated by commas"))
    if len(set(names)) < len(names):
        raise Invalid(("columns", "has the same column twice"))
    return names
