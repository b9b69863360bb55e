"""Amounts by Stripe's rules: how many minor units it counts in each currency, and which of them it takes. No I/O.

From docs.stripe.com/currencies: its zero-decimal and three-decimal currencies, and the special cases. They are not
those of ISO 4217, by which money is counted here: 5 ISK are 5 here and 500 there, 5.00 MGA are 500 here and 5 there.
"""

from cludale.kernel.currencies import minor_digits
from cludale.kernel.money import Money

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""The last digit has to be 0."""
WHOLE_ONLY = frozenset({"ISK", "UGX"})
"""Counted in hundredths, of which there may be none."""


class NotForStripe(Exception):
    """Stripe takes no such amount; the message says why."""


def to_stripe(money: Money) -> int:
    """The amount as Stripe counts it. Raises NotForStripe."""
    here, there = _units(money.currency)
    amount, left = divmod(money.amount * there, here)
    if left:
        raise NotForStripe(f"Stripe takes no fractions of {money.currency}")
    if money.currency in THREE_DECIMAL and amount % 10:
        raise NotForStripe(f"Stripe takes {money.currency} with two digits after the point: the third has to be 0")
    if money.currency in WHOLE_ONLY and amount % 100:
        raise NotForStripe(f"Stripe takes no fractions of {money.currency}")
    return amount


def from_stripe(amount: int, currency: str) -> Money:
    """What Stripe counted so. What is no whole number of our minor units is rounded down: Stripe never takes such."""
    code = currency.upper()
    here, there = _units(code)
    return Money(amount * here // there, code)


def _units(currency: str) -> tuple[int, int]:
    """How many minor units one of it has, here and at Stripe's."""
    return int(10 ** minor_digits(currency)), int(10 ** _digits(currency))


def _digits(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2
