"""Charges: how orders asks payments for the state of payments whose events did not arrive.

A call, not an event: it is there for the case that an event was lost.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

COMPARED_AT_ONCE = 100
"""The most orders in one call."""


class ChargeQuestion(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """An order, and what it knows of its money."""

    order_id: str
    round: int
    """The latest round that it knows of."""
    is_open: bool
    """It doesn't know how that round has ended."""
    is_refunded: bool
    """It knows that the money went back."""
    cancelled_on_purpose: bool = msgspec.field(name="cancelledByWish")
    """It was cancelled on purpose: it must not be charged, and money that was taken goes back.

    Between services it keeps its older name, so that two versions can run side by side."""


class ChargeState(StrEnum):
    """What has become of the money of an order."""

    UNKNOWN = "unknown"
    """Payments knows nothing of the order."""
    OPEN = "open"
    """A charge or a refund is in progress."""
    TAKEN = "taken"
    FAILED = "failed"
    """None is held."""
    REFUNDED = "refunded"


class ChargeStanding(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What payments knows of an order."""

    order_id: str
    state: ChargeState
    round: int = 0
    closed: bool = False
    """Payments knows that the order was cancelled on purpose."""
    told_again: bool = False
    """The order seems not to have heard how its money stands, so payments has published it again."""


class ChargesUnreachable(Exception):
    """Payments gave no answer in time; try again."""


class Charges(Protocol):
    """The payments service, seen from orders."""

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        """How the money of these orders stands, by order; COMPARED_AT_ONCE at most. Raises ChargesUnreachable.

        What an order seems not to have heard is published again. Asked twice, it may be published twice.
        """
        ...
