"""Cart rules: all or none, whatever becomes of which line, and in which order."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.carts import line_id
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.seats import HoldEnded, SeatsHeld
from cludale.services.orders import domain
from cludale.services.orders.carts import domain as carts
from cludale.services.orders.carts.domain import Cart, CartStatus, Looked
from cludale.services.orders.events import CancelReason, CartPaid, CartReserved
from cludale.services.orders.order import ChargeOpen, Order, OrderPayment, OrderRequest, PaymentStatus, Status

WAIT = timedelta(seconds=60)
CART_ID = "cart-1"


def held(number: int, seconds: float = 600) -> SeatsHeld:
    seats = allocation(f"reservation-1.ca0{number}", 2, concert_id=f"concert-{number}")
    return SeatsHeld(seats, Money(1_000 * number, "EUR"), NOON + timedelta(seconds=seconds), f"event-{number}")


def request(number: int) -> OrderRequest:
    return OrderRequest(concert_id=f"concert-{number}", user_id="user-1", quantity=2)


PLACED = carts.reserve(
    CART_ID,
    carts.place(CART_ID, [request(1), request(2), request(3)], now=NOON),
    [held(1), held(2, 598), held(3, 601)],
    now=NOON,
    look_at=NOON + WAIT,
    traceparent=None,
)
CART, ORDERS = PLACED.cart, PLACED.orders


def paid(order: Order) -> Order:
    assert order.allocation is not None
    money = OrderPayment(status=PaymentStatus.COMPLETED, at=NOON, attempts=1)
    return domain.pay(order, order.allocation, payment=money).state


def declined(order: Order) -> Order:
    money = OrderPayment(status=PaymentStatus.DECLINED, at=NOON, attempts=1)
    return domain.unpaid(order, money, reason=CancelReason.DECLINED, retry_until=NOON + timedelta(seconds=598)).state


def expired(order: Order) -> Order:
    return domain.fail(order, CancelReason.EXPIRED).state


def looked(*orders: Order, cart: Cart = CART, now: datetime = NOON, is_due: bool = False) -> Looked:
    return carts.look(cart, orders, now=now, is_due=is_due, wait=WAIT)


def test_a_cart_is_told_with_all_of_its_lines_and_their_sum() -> None:
    told = PLACED.events[-1]
    assert isinstance(told, CartReserved)
    assert told.total == Money(2_000 + 4_000 + 6_000, "EUR")
    assert [line.order_id for line in told.lines] == [line_id(CART_ID, n) for n in (1, 2, 3)]
    assert told.correlation == told.subject == CART_ID


def test_all_lines_end_with_the_earliest_hold() -> None:
    assert {order.expires_at for order in ORDERS} == {CART.expires_at} == {NOON + timedelta(seconds=598)}


def test_it_is_told_as_paid_once_all_lines_are() -> None:
    first, second, third = ORDERS
    assert looked(paid(first), paid(second), third) == Looked(CART)
    found = looked(*map(paid, ORDERS))
    (told,) = found.events
    assert isinstance(told, CartPaid)
    assert (found.cart.is_paid, found.cart.due_at) == (True, None)
    assert carts.status(found.cart, [paid(each) for each in ORDERS]) is CartStatus.PAID
    assert looked(*map(paid, ORDERS), cart=found.cart).events == ()


def test_where_one_line_gets_no_seats_for_the_money_the_others_are_given_back() -> None:
    first, second, third = ORDERS
    found = looked(paid(first), expired(second), third)
    assert found.orders.keys() == {first.id, third.id}
    for decision in found.orders.values():
        assert (decision.state.status, decision.state.reason) == (Status.CANCELLED, CancelReason.CART_INCOMPLETE)
    assert carts.status(CART, [paid(first), expired(second), third]) is CartStatus.CANCELLED


def test_where_one_line_is_cancelled_on_purpose_so_are_the_others() -> None:
    first, second, third = ORDERS
    off = domain.cancel(second, CancelReason.CALLED_OFF).state
    assert looked(first, off, third).orders.keys() == {first.id, third.id}


def test_what_fails_for_want_of_money_fails_by_itself() -> None:
    first, second, third = map(declined, ORDERS)
    assert looked(domain.fail(first, CancelReason.DECLINED).state, second, third).orders == {}


def test_a_line_of_a_paid_cart_goes_its_own_way() -> None:
    cart = looked(*map(paid, ORDERS)).cart
    first, second, third = map(paid, ORDERS)
    off = domain.cancel(second, CancelReason.BUYER).state
    assert looked(first, off, third, cart=cart).orders == {}
    assert carts.status(cart, [first, off, third]) is CartStatus.PAID
    assert carts.status(cart, [domain.cancel(each, CancelReason.BUYER).state for each in (first, second, third)]) is (
        CartStatus.CANCELLED
    )


def test_a_cart_of_which_nothing_is_heard_is_told_again_and_ever_more_seldom() -> None:
    found = looked(*ORDERS, now=NOON + WAIT, is_due=True)
    assert found.again
    assert found.events == PLACED.events[-1:]
    assert found.cart.due_at == NOON + 2 * WAIT
    again = looked(*ORDERS, cart=found.cart, now=NOON + 2 * WAIT, is_due=True)
    assert again.cart.due_at == NOON + 4 * WAIT


def test_a_cart_that_came_to_nothing_is_looked_at_until_its_hold_is_long_over() -> None:
    off = [expired(each) for each in ORDERS]
    assert looked(*off, now=NOON + WAIT, is_due=True).cart.due_at is not None
    assert looked(*off, now=CART.expires_at + WAIT, is_due=True).cart.due_at is None


def test_all_of_it_is_paid_in_another_way_or_nothing() -> None:
    lines = [declined(each) for each in ORDERS]
    decided = carts.pay_again(lines, method="card-ok", now=NOON)
    assert [len(each.events) for each in decided.values()] == [1, 1, 1]
    with pytest.raises(ChargeOpen):
        carts.pay_again([*lines[:2], ORDERS[2]], method="card-ok", now=NOON)
    with pytest.raises(HoldEnded):
        carts.pay_again(lines, method="card-ok", now=NOON + timedelta(seconds=598))


def test_all_of_it_is_cancelled_and_a_second_time_nothing_happens() -> None:
    decided = carts.cancel(ORDERS, CancelReason.BUYER, now=NOON)
    assert all(each.state.reason is CancelReason.BUYER for each in decided.values())
    assert carts.cancel([each.state for each in decided.values()], CancelReason.BUYER, now=NOON) == {}


@pytest.mark.parametrize("lines", [0, 11])
def test_a_cart_has_a_bounded_number_of_lines(lines: int) -> None:
    with pytest.raises(Invalid, match="lines"):
        carts.check_lines(lines)


def test_the_cart_as_the_log_tells_of_it_is_the_one_that_was_placed() -> None:
    told = PLACED.events[-1]
    assert isinstance(told, CartReserved)
    assert replace(CART, due_at=None) == carts.as_reserved(told, at=NOON)
