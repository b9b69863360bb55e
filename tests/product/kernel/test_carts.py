"""What an order's id says of its cart."""

import re

import pytest

from cludale.kernel.carts import cart_id, cart_of, is_cart, line_id, number_of
from cludale.kernel.ids import ID_PATTERN, from_key, time_ordered

PLAIN = time_ordered("cart", milliseconds=1_700_000_000_000, random_bits=7)
KEYED = cart_id(from_key("order", "POST /orders/carts", "key"), "0123456789ab")


@pytest.mark.parametrize("cart", [PLAIN, KEYED, cart_id("order-x", "7")])
@pytest.mark.parametrize("number", [1, 9, 10])
def test_a_line_names_its_cart_and_its_number(cart: str, number: int) -> None:
    line = line_id(cart, number)
    assert line.startswith("order-")
    assert (cart_of(line), number_of(line)) == (cart, number)
    assert len(line) <= 60
    assert re.fullmatch(ID_PATTERN, line)
    assert is_cart(cart)
    assert not is_cart(line)


def test_a_cart_and_its_lines_are_in_one_partition() -> None:
    assert line_id(KEYED, 3).partition(".")[0] == from_key("order", "POST /orders/carts", "key")


@pytest.mark.parametrize(
    "order",
    [
        time_ordered("order", milliseconds=1_700_000_000_000, random_bits=7),
        "order-0199c0ffee.0123456789ab",
        "order-0199c0ffee.01234567ca01",
        "order-1",
        "order-xca01",
        "reservation-1.ca01",
        "",
    ],
)
def test_any_other_order_is_a_line_of_none(order: str) -> None:
    assert cart_of(order) is None
    assert number_of(order) == 0
