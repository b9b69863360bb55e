"""Calling off: what concerts and orders ask of each other when a concert is called off or moved.

Calls, not events: orders must know that nobody gets seats any more before it looks for the last order, and whoever
asks how far it has come is waiting for the answer.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec


class JobStatus(StrEnum):
    """How far it has come."""

    RUNNING = "Running"
    DONE = "Done"


class Progress(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """How far all orders of a concert have come that is called off or moved."""

    concert_id: str
    status: JobStatus
    reason: str
    started_at: datetime
    finished_at: datetime | None
    total: int
    """Orders that it is about, as far as is known."""
    done: int
    """Of these: seen to, and their money back."""
    left: int
    """Of these: not yet."""
    refunded: int
    """Orders whose money went back."""
    failed: int
    """How many of those left were tried for a minute without success. They are tried again and again."""


class SalesNotClosed(Exception):
    """Concerts gave no answer in time; try again."""


class SaleClosing(Protocol):
    """The concerts service, seen from orders."""

    async def close_sales(self, concert_id: str) -> None:
        """From the answer on nobody gets seats of this concert, which is called off. Raises SalesNotClosed."""
        ...


class ProgressUnknown(Exception):
    """Orders gave no answer in time; try again."""


class CallOffs(Protocol):
    """The orders service, seen from concerts."""

    async def progress(self, concert_id: str, revision: int) -> Progress | None:
        """How far the orders have come after this change of the concert; None: orders has yet to hear of it.

        Raises ProgressUnknown.
        """
        ...
