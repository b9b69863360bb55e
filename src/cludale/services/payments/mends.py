"""What may differ between the provider's books and the payments, and what is given back to mend it. Shapes only."""

from datetime import datetime
from enum import StrEnum

import msgspec

from cludale.kernel.money import Money


class Difference(StrEnum):
    """What is wrong about one charge."""

    UNKNOWN_MONEY = "money-without-payment"
    """The provider took money under one of our keys, and no payment here has that key."""
    UNUSED_MONEY = "money-without-order"
    """The provider has money of a round that failed, or of one before the last."""
    NO_MONEY = "order-without-money"
    """The payment is Completed or Refunded, and the provider took nothing under its key."""
    REFUND_LOST = "refund-lost"
    """Less went back at the provider's than the payment says."""
    TAKEN_TWICE = "charged-twice"
    """The provider took the money of one key more than once."""
    TOO_MUCH_BACK = "refunded-too-much"
    """More went back at the provider's than anybody here wanted."""
    OTHER_AMOUNT = "amount-differs"
    OTHER_CURRENCY = "currency-differs"

    @property
    def mends_itself(self) -> bool:
        """Is there money that is certainly the buyer's, so that it goes back without anybody's say?"""
        return self in (Difference.UNUSED_MONEY, Difference.REFUND_LOST, Difference.TAKEN_TWICE)


class Mend(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """Money that the provider has and should not have: to be given back, once."""

    number: int
    """Counts the mends of this payment from 1: it is in the provider's key of the refund."""
    difference_id: str
    kind: Difference
    key: str
    """The provider's key of the charge that it is given back from."""
    reference: str | None = None
    amount: Money
    begun_at: datetime
    done_at: datetime | None = None
    """When it went back; None: it is still to be given back."""

    @property
    def refund_key(self) -> str:
        """The provider's key of this refund: the same however often it is asked for."""
        return f"{self.key}.mend.{self.number}"
