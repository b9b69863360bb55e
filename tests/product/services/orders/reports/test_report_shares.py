"""What of an order belongs to each category of its tickets."""

from datetime import UTC, datetime

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.bills import Bill, BillFee, BillLine, TicketCount
from cludale.kernel.money import Money
from cludale.services.orders.events import CancelReason, PartRefund
from cludale.services.orders.order import Order, OrderPayment, PaymentStatus, Status
from cludale.services.orders.parts import OrderRefund
from cludale.services.orders.reports.money import OrderMoney, money_of
from cludale.services.orders.reports.shares import Share, by_category

NOW = datetime(2027, 1, 1, tzinfo=UTC)
ADULT = BillLine(category="adult", name="Adult", quantity=2, price=2_000, net=4_000, total=4_000)
CHILD = BillLine(category="child", name="Child", quantity=1, price=900, net=900, total=900)
HANDLING = BillFee(id="handling", name="Handling", amount=250, per_order=True)
BILL = Bill(currency="EUR", lines=(ADULT, CHILD), net=5_150, total=5_150, fee=250, fees=(HANDLING,))
ORDER = Order(
    id="o",
    user_id="u",
    status=Status.PAID,
    payment_method="card-ok",
    created_at=NOW,
    total=Money(5_150, "EUR"),
    payment=OrderPayment(status=PaymentStatus.COMPLETED, at=NOW),
    bill=BILL,
    seats=OrderSeats(concert_id="c", quantity=3, section="s", reservation_id="r"),
)


def refund(amount: int, *of: TicketCount, done: bool = True) -> OrderRefund:
    tickets = sum(each.quantity for each in of)
    money = Money(amount, "EUR")
    part = PartRefund(number=1, refund_id="r", tickets=tickets, amount=money, left=money, held=0, of=of or UNSET)
    return OrderRefund(part=part, at=NOW, done_at=NOW if done else None)


def shares(order: Order) -> dict[str | None, Share]:
    return {share.category: share for share in by_category(order, money_of(order))}


def test_the_fee_for_the_order_is_of_no_category_and_all_adds_up() -> None:
    assert shares(ORDER) == {
        "adult": Share("adult", 2, 0, OrderMoney(4_000)),
        "child": Share("child", 1, 0, OrderMoney(900)),
        None: Share(None, 0, 0, OrderMoney(250)),
    }


def test_a_part_refund_is_taken_off_the_tickets_that_it_gives_back() -> None:
    back = refund(2_900, TicketCount(category="adult", quantity=1), TicketCount(category="child", quantity=1))
    found = shares(replace(ORDER, refunds=(back,)))
    assert found["adult"] == Share("adult", 2, 1, OrderMoney(4_000, 2_000))
    assert found["child"] == Share("child", 1, 1, OrderMoney(900, 900))


def test_a_refund_by_amount_is_of_no_category_and_one_under_way_is_open() -> None:
    found = shares(replace(ORDER, refunds=(refund(100, done=False),)))
    assert found[None].money == OrderMoney(250, 0, 100)


def test_of_a_cancelled_order_all_is_back_or_on_its_way() -> None:
    back = refund(2_000, TicketCount(category="adult", quantity=1))
    off = replace(ORDER, status=Status.CANCELLED, reason=CancelReason.BUYER, was_paid=True, refunds=(back,))
    found = shares(off)
    assert found["adult"] == Share("adult", 2, 2, OrderMoney(4_000, 2_000, 2_000))
    assert found["child"] == Share("child", 1, 1, OrderMoney(900, 0, 900))


@pytest.mark.parametrize(
    "order",
    [
        ORDER,
        replace(ORDER, bill=None),
        replace(ORDER, refunds=(refund(4_100, TicketCount(category="adult", quantity=2)),)),
        replace(ORDER, refunds=(refund(3_000, TicketCount(category="adult", quantity=2)),)),
        replace(ORDER, status=Status.CANCELLED, refunds=(refund(77),)),
        replace(ORDER, status=Status.CANCELLED, payment=OrderPayment(status=PaymentStatus.REFUNDED, at=NOW)),
        replace(ORDER, payment=OrderPayment(status=PaymentStatus.DECLINED, at=NOW), status=Status.CANCELLED),
    ],
)
def test_the_shares_add_up_to_the_money_of_the_order(order: Order) -> None:
    money = money_of(order)
    found = by_category(order, money)
    assert OrderMoney(*map(sum, zip(*[share.money for share in found], strict=True))) == money
    assert sum(share.tickets for share in found) == order.seats.quantity
