"""What a buyer's browser remembers, in cookies that no script can read: tokens of orders, carts and tickets, what is
being bought. Pure.

A cart is one decision to buy: its key is the order's idempotency key, so that a form sent twice, from two tabs or after
the back button, buys once. It is the concert's until an order came of it.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from time import time_ns
from typing import NamedTuple
from urllib.parse import quote, unquote

from cludale.kernel.carts import MOST_LINES, cart_of
from cludale.pages import billing, forms
from cludale.pages.site import Visit

ORDERS = "orders"
TICKETS = "tickets"
CARTS = "carts"
BASKET = "basket"
TYPED = "typed"
MOST_ORDERS = 12
MOST_CARTS = 8
MOST_TYPED = 3_000
"""Characters of what is kept of a checkout's form: a cookie has 4,096 at most."""
_TYPED = ("email", "phone", billing.WANTED, *billing.FIELDS, "buyer")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")
_TIMED = re.compile(r"[0-9a-f]{12}")


class Cart(NamedTuple):
    """One decision to buy."""

    concert_id: str
    key: str
    order_id: str = ""
    """What came of it."""


class BasketLine(NamedTuple):
    """Tickets of one section of a concert, in a basket."""

    concert_id: str
    section: str
    quantity: int
    tickets: Mapping[str, int] = {}
    """How many of which category, where that is said."""
    code: str = ""
    seats: str = ""
    """Which seats, where they were chosen by number, as forms have them."""
    plan: str = ""
    """By which plan they were chosen."""

    @property
    def fields(self) -> dict[str, str]:
        """The same as fields of a form."""
        fields = {"section": self.section, "quantity": str(self.quantity), "code": self.code}
        fields |= {"seats": self.seats, "plan": self.plan} if self.seats else {}
        return fields | {f"tickets-{id}": str(count) for id, count in self.tickets.items()}

    def is_same_place(self, other: "BasketLine") -> bool:
        """Is it of the same section? There is one line of each."""
        return (self.concert_id, self.section) == (other.concert_id, other.section)


class Basket(NamedTuple):
    """What somebody puts together, and the key under which it is bought."""

    key: str
    lines: Sequence[BasketLine] = ()
    cart_id: str = ""
    """What came of it."""


def basket(visit: Visit) -> Basket:
    """This browser's basket; an empty one, if it remembers none."""
    key, _, rest = visit.cookies.get(BASKET, "").partition("~")
    if not is_token(key):
        return Basket(new_key())
    if rest.startswith("="):
        return Basket(key, (), rest[1:] if is_id(rest[1:]) else "")
    lines = [line for text in rest.split("~")[:MOST_LINES] if (line := _basket_line(text)) is not None]
    return Basket(key, lines)


def _basket_line(text: str) -> BasketLine | None:
    parts = text.split(":")
    if len(parts) not in (5, 7) or not (is_id(parts[0]) and is_id(parts[1])):
        return None
    quantity = forms.whole(parts[2], most_digits=3)
    pairs = [each.partition("=")[::2] for each in parts[3].split("+") if each]
    counts = {id: forms.whole(count, most_digits=3) for id, count in pairs}
    tickets = {id: count for id, count in counts.items() if count is not None}
    if quantity is None or len(pairs) > 50 or len(tickets) < len(counts) or not all(map(is_id, counts)):
        return None
    seats, plan = (unquote(parts[5])[:2_000], unquote(parts[6])[:64]) if len(parts) == 7 else ("", "")
    return BasketLine(parts[0], parts[1], quantity, tickets, unquote(parts[4])[:64], seats, plan)


def packed_basket(basket: Basket) -> str:
    """The cookie that has this basket."""
    if basket.cart_id:
        return f"{basket.key}~={basket.cart_id}"
    packed = [
        ":".join(
            (
                line.concert_id,
                line.section,
                str(line.quantity),
                "+".join(f"{id}={count}" for id, count in line.tickets.items()),
                quote(line.code, safe=""),
                *((quote(line.seats, safe=""), quote(line.plan, safe="")) if line.seats else ()),
            )
        )
        for line in basket.lines
    ]
    return "~".join((basket.key, *packed))


def orders(visit: Visit) -> Mapping[str, str]:
    """The tokens of this browser's orders, the newest first, by order."""
    return _tokens(visit, ORDERS)


def token_of(visit: Visit, order_id: str) -> str | None:
    """What opens this order here: its own token, or that of the cart that it is a line of."""
    known = orders(visit)
    return known.get(order_id) or known.get(cart_of(order_id) or "")


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


def typed(visit: Visit) -> Mapping[str, str]:
    """What was typed into the form of a checkout whose seats were gone, for the form with other seats."""
    texts = dict(zip(_TYPED, visit.cookies.get(TYPED, "").split("~"), strict=False))
    found = {name: unquote(text)[:254] for name, text in texts.items() if text}
    return {"email": "", "buyer": "", **found, "phone": found.get("phone", "")[:31]}


def packed_typed(fields: Mapping[str, str]) -> str:
    """The cookie that has it; without an address that is too long for one."""
    texts = [quote(fields.get(name, "")[:254], safe="") for name in _TYPED]
    return "~".join(texts if sum(map(len, texts)) <= MOST_TYPED else texts[:2])


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
    """A fresh cart's: its milliseconds since 1970 in hex, and what nobody can guess."""
    return f"{time_ns() // 1_000_000:012x}{secrets.token_urlsafe(12)}"


class Once(NamedTuple):
    """Under which key this browser buys what is in a cart, and as whom."""

    key: str
    user_id: str


def once(visit: Visit, cart_key: str) -> Once:
    """Whoever sends somebody a link with a cart in it must not know the order's key: it is this browser's.

    It is a UUIDv7 with the cart's time, so that the order is stored beside those of its time.
    """
    own = sha256(f"{cart_key} {visit.cookies[forms.FORM_COOKIE]}".encode()).hexdigest()
    if _TIMED.match(cart_key) is None:  # a cart of a release of before
        return Once(f"shop-{own[:40]}", f"web-{own[40:56]}")
    return Once(f"{cart_key[:8]}-{cart_key[8:12]}-7{own[:3]}-8{own[3:6]}-{own[6:18]}", f"web-{own[40:56]}")


def is_id(text: str) -> bool:
    """Can it be an id?"""
    return _ID.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Can it be a token or a cart's key?"""
    return _TOKEN.fullmatch(text) is not None
