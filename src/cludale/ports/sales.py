"""Sales: how payments asks concerts whether money that comes after the hold's end would get seats.

A call, not an event: nothing may be charged before the answer, and whoever charges is waiting for it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from cludale.kernel.allocation import Allocation
from cludale.kernel.refusals import RefusedForNow
from cludale.kernel.times import rfc3339


class Outlook(StrEnum):
    """What comes of money for a reservation."""

    SOLD = "sold"
    """Its seats, or others instead of them, are sold already."""
    POSSIBLE = "possible"
    """It gets the seats that are held, or others in the same section."""
    GONE = "gone"
    """There are too few seats left in the section: it goes back."""
    CANCELLED = "cancelled"
    """The order was cancelled on purpose: it goes back."""
    OVER = "over"
    """The concert is over: it goes back."""


class SaleOutlook(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What would come of the money now; a moment later it may be something else."""

    outlook: Outlook
    left: int = 0
    """Seats that can be had in the section."""
    over_at: datetime | None = None
    """Since when the concert is over, if it is."""


class SeatsGone(RefusedForNow):
    """The hold of this order has ended, and its section has too few seats left: nothing was charged."""

    def __init__(self, order_id: str, allocation: Allocation, *, held_until: datetime, left: int) -> None:
        super().__init__(
            f"The seats of order {order_id!r} were held until {rfc3339(held_until)} and are gone: "
            f"section {allocation.section!r} has {left} left, {allocation.quantity} wanted. Nothing was charged.",
            orderId=order_id,
            section=allocation.section,
            wanted=allocation.quantity,
            left=left,
        )


class SalesUnreachable(Exception):
    """Concerts gave no answer in time; try again."""


class Sales(Protocol):
    """The concerts service, seen from payments."""

    async def outlook(self, allocation: Allocation) -> SaleOutlook:
        """What would come of money for these seats, which an order had held. Raises SalesUnreachable."""
        ...
