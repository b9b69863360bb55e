"""What stands on the page of a document. No I/O."""

from cludale.kernel.languages import DEFAULT, NAMES
from cludale.ports.invoice_pages import InvoicePage, InvoiceRow
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices.documents import Document
from cludale.services.orders.invoices.settings import Issuer
from cludale.services.orders.invoices.views import taxes
from cludale.services.orders.privacy.domain import Invoiced


def page_of(document: Document, buyer: Invoiced | None, language: str | None, *, is_erased: bool) -> InvoicePage:
    """The page, in the buyer's language; in `language`, if it isn't known which that is."""
    issuer = document.issuer or Issuer()
    wanted = (None if buyer is None else buyer.language) or language or DEFAULT
    billing = None if buyer is None else buyer.billing
    named = () if buyer is None else tuple(each for each in (buyer.name, buyer.email) if each)
    return InvoicePage(
        number=document.number,
        date=document.date,
        is_credit=document.kind is InvoiceKind.CREDIT_NOTE,
        invoice_number=document.invoice_number,
        order_id=document.order_id,
        issuer=issuer.name,
        address=issuer.address,
        tax_id=issuer.tax_id,
        note=issuer.note,
        buyer=named if billing is None else billing.lines,
        country=None if billing is None else billing.country,
        vat_id=None if billing is None else billing.vat_id,
        is_erased=is_erased,
        concert=document.concert or "",
        concert_date=document.concert_date or "",
        currency=document.total.currency,
        rows=[
            InvoiceRow(line.name, line.quantity, line.percent, line.net, line.tax, line.total)
            for line in document.lines
        ],
        rates=[
            InvoiceRow(each.name or "", 1, each.percent, each.net, each.tax, each.total) for each in taxes(document)
        ],
        total=document.total.amount,
        language=wanted if wanted in NAMES else DEFAULT,
        issued_at=document.issued_at,
    )
