"""What a buyer's browser remembers, in cookies that no script can read: tokens of orders and tickets, open carts. Pure.

A cart is one decision to buy: its key is the order's idempotency key, so that a form sent twice, from two tabs or after
the back button, buys once. It is the concert's until an order came of it.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cludale.pages.site import Visit

ORDERS = "orders"
TICKETS = "tickets"
CARTS = "carts"
MOST_ORDERS = 12
MOST_CARTS = 8

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")


class Cart(NamedTuple):
    """One decision to buy."""

    concert_id: str
    key: str
    order_id: str = ""
    """What came of it."""


def orders(visit: Visit) -> Mapping[str, str]:
    """The tokens of this browser's orders, the newest first, by order."""
    return _tokens(visit, ORDERS)


def tickets(visit: Visit) -> Mapping[str, str]:
    """The tokens of tickets that were given on, here or to here, the newest first, by ticket."""
    return _tokens(visit, TICKETS)


def _tokens(visit: Visit, cookie: str) -> Mapping[str, str]:
    pairs = (each.partition(":")[::2] for each in visit.cookies.get(cookie, "").split("~")[:MOST_ORDERS])
    return {id: token for id, token in pairs if is_id(id) and is_token(token)}


def with_token(known: Mapping[str, str], id: str, token: str) -> str:
    """The cookie that has this order or ticket, too."""
    every = {id: token, **{other: its for other, its in known.items() if other != id}}
    return "~".join(f"{id}:{token}" for id, token in list(every.items())[:MOST_ORDERS])


def carts(visit: Visit) -> Sequence[Cart]:
    """This browser's carts, the newest first."""
    found = (each.split(":") for each in visit.cookies.get(CARTS, "").split("~")[:MOST_CARTS])
    return [
        Cart(*each)
        for each in found
        if len(each) == 3 and is_id(each[0]) and is_token(each[1]) and (not each[2] or is_id(each[2]))
    ]


def with_cart(known: Sequence[Cart], cart: Cart) -> str:
    """The cookie that has this one, too."""
    every = [cart, *(each for each in known if each.key != cart.key)]
    return "~".join(":".join(each) for each in every[:MOST_CARTS])


def new_key() -> str:
    """A fresh cart's."""
    return secrets.token_urlsafe(18)


def is_id(text: str) -> bool:
    """Can it be an id?"""
    return _ID.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Can it be a token or a cart's key?"""
    return _TOKEN.fullmatch(text) is not None
