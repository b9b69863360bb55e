"""Money as a type: an integer of minor units and a currency."""

from typing import Annotated

import msgspec

from cludale.kernel.currencies import check_currency, minor_digits

MAX_PRICE = 10**12
"""What one thing may cost; a thousand of them still are an `Amount`."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=1_000 * MAX_PRICE)]
"""Below 2^53, so that every reader of JSON takes it for the number that it is."""
Currency = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Z]{3}$(?!\n)",
        description="an ISO 4217 code, like EUR",
        extra={"check": check_currency},
    ),
]
"""Only requests are checked for what is a currency today: what was stored before a currency ended is still read."""


class Money(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An amount in minor units (cents) of an ISO 4217 currency: `Money(4500, "EUR")` is 45.00 euro.

    Some currencies have no smaller unit: `Money(4500, "JPY")` is 4,500 yen.
    """

    amount: Amount
    currency: Currency

    def times(self, count: int) -> "Money":
        """The price of `count` such things."""
        return Money(self.amount * count, self.currency)

    def __str__(self) -> str:
        digits = minor_digits(self.currency)
        whole, part = divmod(self.amount, 10**digits)
        return f"{whole}.{part:0{digits}} {self.currency}" if digits else f"{whole} {self.currency}"
