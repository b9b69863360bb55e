"""Ticket pages: what a buyer prints or shows. Made anew each time, and the same bytes each time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class TicketPage(NamedTuple):
    """One ticket as a page shows it."""

    id: str
    artist: str
    title: str | None
    """What the concert is called, if not by its artist."""
    date: str | None
    """A day, or a time with its offset, as the organizer wrote it. None: postponed, with no new date yet."""
    doors_at: str | None
    """The same of its doors."""
    venue: str | None
    section: str
    """Its name."""
    number: int
    quantity: int
    holder: str | None
    code: str
    issued_at: datetime
    """The date of the document."""


class PagesBusy(Exception):
    """More pages are waited for than can be made in time; try again."""


class TicketPages(Protocol):
    """Makes pages and images of codes, beside the loop that sells."""

    async def pdf(self, pages: Sequence[TicketPage], /) -> bytes:
        """A document with these pages, one a ticket. Raises PagesBusy."""
        ...

    async def svg(self, code: str, /) -> bytes:
        """The code as a drawing of a QR code. Raises PagesBusy."""
        ...

    async def png(self, code: str, /) -> bytes:
        """The code as an image of a QR code. Raises PagesBusy."""
        ...
