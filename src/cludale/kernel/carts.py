"""Carts: several orders that are placed and paid together. What an order's id says of that.

The lines of a cart are orders like any other; the id of each is its cart's, and its number in it. So whoever knows an
order knows its cart, and no event or record has to say it.
"""

import re
from typing import Final

CART: Final = "cart"
"""What the ids of carts and of their lines begin with."""
MOST_LINES: Final = 10

_LINE = re.compile(r"(cart-.+)\.(\d{1,2})")


def line_id(cart_id: str, number: int) -> str:
    """The id of the order that is this line of the cart, from 1."""
    return f"{cart_id}.{number}"


def cart_of(order_id: str) -> str | None:
    """The cart that this order is a line of; None: of none."""
    if not order_id.startswith(CART):
        return None
    found = _LINE.fullmatch(order_id)
    return None if found is None else found[1]


def number_of(order_id: str) -> int:
    """Which line of its cart this order is, from 1; 0: of none."""
    if not order_id.startswith(CART):
        return 0
    found = _LINE.fullmatch(order_id)
    return 0 if found is None else int(found[2])


def is_cart(id: str) -> bool:
    """Is this the id of a cart, not of one of its lines or of another order?"""
    return id.startswith(f"{CART}-") and cart_of(id) is None
