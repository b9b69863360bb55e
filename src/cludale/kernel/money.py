"""Money as a type: an integer of minor units and a currency."""

from typing import Annotated

import msgspec

MAX_PRICE = 10**12
"""What one thing may cost; a thousand of them still are an `Amount`."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=1_000 * MAX_PRICE)]
"""Below 2^53, so that every reader of JSON takes it for the number that it is."""
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="an ISO 4217 code, like EUR")]


_MINOR_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0,
    "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
"""Where they aren't two: ISO 4217, list one, of SIX."""


def minor_digits(currency: str) -> int:
    """How many digits of an amount come after the point: two for EUR, none for JPY."""
    return _MINOR_DIGITS.get(currency, 2)


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
