"""An invoice or a credit note as it is kept: written once, with its number, and never changed. No I/O or clock."""

from datetime import datetime

import msgspec

from cludale.kernel.money import Money
from cludale.services.orders.events import CreditNoteIssued, DocumentIssued, InvoiceKind, InvoiceLine
from cludale.services.orders.invoices.settings import Issuer


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """An invoice or a credit note. The buyer is kept apart, with what else names them."""

    id: str
    kind: InvoiceKind
    order_id: str
    concert_id: str
    organizer: str
    year: int
    sequence: int
    number: str
    date: str
    issued_at: datetime
    total: Money
    tax: int
    tax_name: str | None = None
    lines: tuple[InvoiceLine, ...]
    invoice_id: str | None = None
    """Of a credit note."""
    invoice_number: str | None = None
    refund: int | None = None
    issuer: Issuer | None = None
    """Who issued it, as they were then; None in what is rebuilt from the log."""
    concert: str | None = None
    concert_date: str | None = None

    @property
    def net(self) -> int:
        """total - tax."""
        return self.total.amount - self.tax


def document_of(
    fact: DocumentIssued,
    *,
    at: datetime,
    issuer: Issuer | None = None,
    concert: str | None = None,
    concert_date: str | None = None,
) -> Document:
    """The document that this fact is about."""
    is_credit = isinstance(fact, CreditNoteIssued)
    return Document(
        id=fact.document_id,
        kind=InvoiceKind.CREDIT_NOTE if is_credit else InvoiceKind.INVOICE,
        order_id=fact.order_id,
        concert_id=fact.concert_id,
        organizer=fact.organizer,
        year=fact.year,
        sequence=fact.sequence,
        number=fact.document_number,
        date=fact.date,
        issued_at=at,
        total=fact.total,
        tax=fact.tax,
        tax_name=fact.tax_name,
        lines=fact.lines,
        invoice_id=fact.invoice_id if isinstance(fact, CreditNoteIssued) else None,
        invoice_number=fact.invoice_number if isinstance(fact, CreditNoteIssued) else None,
        refund=fact.refund if isinstance(fact, CreditNoteIssued) else None,
        issuer=issuer,
        concert=concert,
        concert_date=concert_date,
    )
