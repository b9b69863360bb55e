"""Sales at the box office: how an order was paid there, by whom it was sold, and what it may do that buyers may not."""

from enum import StrEnum
from typing import Annotated

import msgspec

MOST_AT_OFFICE = 500
"""The most tickets of one order at the box office, where the concert's own limit for buyers does not hold."""

Receipt = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/#-]{0,63}\Z",
        description="the card terminal's own reference: 1 to 64 letters, digits, `.`, `_`, `/`, `#`, `-`. It is kept "
        "for good: no name and no card number",
    ),
]


class TillMethod(StrEnum):
    """How an order is paid where no payment provider is asked."""

    CASH = "cash"
    TERMINAL = "terminal"
    """By a card terminal that is not ours."""
    COMPLIMENTARY = "complimentary"
    """It costs nothing."""


class Till(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """That an order was sold at the box office, and how. Says nothing of its buyer."""

    method: TillMethod
    seller: str
    """Id of the key, or of the session, by which it was sold."""
    receipt: str | None = None
    """The card terminal's own reference."""
    any_time: bool = False
    """Was it allowed before the sale begins, and after it ends?"""
    block: str | None = None
    """Out of which block of seats that are held back; None, as before this field existed: out of none."""

    @property
    def is_complimentary(self) -> bool:
        """Does it cost nothing, whatever the concert's prices?"""
        return self.method is TillMethod.COMPLIMENTARY
