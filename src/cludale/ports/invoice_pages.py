"""Invoice pages: an invoice or a credit note to print. Made anew each time, and the same bytes each time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class InvoiceRow(NamedTuple):
    """A line, or what is taxed at one rate; amounts are minor units of the page's currency."""

    name: str
    """Empty: money, whatever it was for; or a tax that has no name."""
    quantity: int
    percent: float
    net: int
    tax: int
    total: int


class InvoicePage(NamedTuple):
    """An invoice or a credit note as its page shows it."""

    number: str
    date: str
    """A day: 2027-06-05."""
    is_credit: bool
    invoice_number: str | None
    """The invoice that a credit note takes something off; None on an invoice."""
    order_id: str
    issuer: str
    address: str
    """Line by line."""
    tax_id: str | None
    note: str | None
    buyer: Sequence[str]
    """Line by line: the postal address that they gave; else their name and e-mail address, as far as they are known."""
    country: str | None
    """The country of the postal address, by its code of ISO 3166-1."""
    vat_id: str | None
    """The buyer's."""
    is_erased: bool
    """Who the buyer was, was erased."""
    concert: str
    concert_date: str
    """A day, or a time with its offset, as the organizer wrote it."""
    currency: str
    rows: Sequence[InvoiceRow]
    rates: Sequence[InvoiceRow]
    total: int
    language: str
    """A code of `kernel.languages`."""
    issued_at: datetime


class InvoicePages(Protocol):
    """Makes pages of invoices, beside the loop that sells."""

    async def invoice(self, page: InvoicePage, /) -> bytes:
        """The document, as PDF. Raises `ports.ticket_pages.PagesBusy`."""
        ...
