"""Money as a type: an integer of minor units and a currency."""

from typing import Annotated

import msgspec

MAX_PRICE = 10**12
"""What one thing may cost; a thousand of them still are an `Amount`."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=1_000 * MAX_PRICE)]
"""Below 2^53, so that every reader of JSON takes it for the number that it is."""
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="an ISO 4217 code, like EUR")]


class Money(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An amount in minor units (cents) of an ISO 4217 currency: `Money(4500, "EUR")` is 45.00 euro."""

    amount: Amount
    currency: Currency

    def times(self, count: int) -> "Money":
        """The price of `count` such things."""
        return Money(self.amount * count, self.currency)

    def __str__(self) -> str:
        return f"{self.amount / 100:.2f} {self.currency}"
