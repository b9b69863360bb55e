"""Carts: several orders that are placed and paid together. What an order's id says of that.

The lines of a cart are orders like any other; the id of each is made of its cart's and its number in it. So whoever
knows an order knows its cart, and no event or record has to say it.
"""

import re
from typing import Final

CART: Final = "cart"
"""What the ids of carts begin with."""
MOST_LINES: Final = 10

_LINE = re.compile(r"order-([^.]+)\.([0-9a-z]{12})?ca(\d\d)")
_MARK: Final = "ca"
"""Two hex digits, so that an id that is all hex stays that, and is as short in a ticket's code."""


def cart_id(home: str, attempt: str) -> str:
    """The id of a cart in the partition of an idempotency key; `attempt`: 12 letters or digits of its own."""
    return f"{CART}-{home.partition('-')[2]}.{attempt:0>12}"


def line_id(cart_id: str, number: int) -> str:
    """The id of the order that is this line of the cart, from 1."""
    rest = cart_id.partition("-")[2]
    return f"order-{rest}{'' if '.' in rest else '.'}{_MARK}{number:02}"


def cart_of(order_id: str) -> str | None:
    """The cart that this order is a line of; None: of none."""
    if order_id[-4:-2] != _MARK:  # nearly all
        return None
    found = _LINE.fullmatch(order_id)
    if found is None:
        return None
    return f"{CART}-{found[1]}" if found[2] is None else f"{CART}-{found[1]}.{found[2]}"


def number_of(order_id: str) -> int:
    """Which line of its cart this order is, from 1; 0: of none."""
    found = _LINE.fullmatch(order_id) if order_id[-4:-2] == _MARK else None
    return 0 if found is None else int(found[3])


def is_cart(id: str) -> bool:
    """Is this the id of a cart?"""
    return id.startswith(f"{CART}-")
