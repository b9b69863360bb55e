"""Sales: how payments asks concerts whether money that comes after the hold's end would get seats.

A call, not an event: nothing may be charged before the answer, and whoever charges is waiting for it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec


class SaleQuestion(msgspec.Struct, frozen=True, gc=False):
    """The seats that an order had held, and wants now."""

    concert_id: str
    section: str
    reservation_id: str


class Outlook(StrEnum):
    """What comes of money for a reservation."""

    SOLD = "sold"
    """Its seats, or others instead of them, are sold already."""
    POSSIBLE = "possible"
    """It gets the seats that are held, or others in the same section."""
    GONE = "gone"
    """There are too few seats left in the section: it goes back."""
    CANCELLED = "cancelled"
    """Somebody wished the order cancelled: it goes back."""
    OVER = "over"
    """The concert is over: it goes back."""


class SaleOutlook(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What would come of the money now; a moment later it may be something else."""

    outlook: Outlook
    left: int = 0
    """Seats that can be had in the section."""
    over_at: datetime | None = None
    """Since when the concert is over, if it is."""


class SalesUnreachable(Exception):
    """Concerts gave no answer in time; try again."""


class Sales(Protocol):
    """The concerts service, seen from payments."""

    async def outlook(self, question: SaleQuestion) -> SaleOutlook:
        """What would come of money for these seats. Raises SalesUnreachable."""
        ...
