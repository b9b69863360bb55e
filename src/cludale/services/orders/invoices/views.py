"""The shapes of invoices over HTTP and in files."""

from datetime import date, datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from cludale.kernel.money import Money
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices.documents import Document
from cludale.services.orders.invoices.settings import Issuer
from cludale.services.orders.privacy.domain import Invoiced
from cludale.services.orders.reports.cells import Amount, Cell

_MINOR = "minor units of the currency of `total`"


class LineView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line: total = net + tax, in minor units of the currency of the document's `total`."""

    name: Annotated[str, Meta(description="the tickets, or the fee; empty: money, whatever it was for")]
    quantity: int
    net: int
    tax: int
    total: int
    tax_percent: float


class TaxView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is taxed at one rate."""

    name: str | None
    percent: float
    net: Annotated[int, Meta(description=_MINOR)]
    tax: Annotated[int, Meta(description=_MINOR)]
    total: Annotated[int, Meta(description=_MINOR)]


class IssuerView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who issued it, as they were then."""

    name: str
    address: Annotated[str, Meta(description="line by line")]
    tax_id: str | None
    note: str | None


class BilledView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The buyer, as far as they had left a name or an address when the invoice was made."""

    name: str | None
    email: str | None
    address: Annotated[BillingAddress | None, Meta(description="the postal address, where they gave one")]


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An invoice, or a credit note. It is never changed."""

    id: str
    kind: InvoiceKind
    number: str
    year: int
    sequence: Annotated[int, Meta(description="counts those of its kind, organizer and year from 1, without a hole")]
    date: Annotated[str, Meta(description="the day, as it was where the organizer or the concert is")]
    issued_at: datetime
    order_id: str
    concert_id: str
    concert: str | None
    concert_date: str | None
    lines: list[LineView]
    taxes: Annotated[list[TaxView], Meta(description="by rate")]
    net: Money
    tax: Money
    total: Money
    issuer: IssuerView | None
    buyer: Annotated[BilledView | None, Meta(description="null where the buyer left nothing, or was erased")]
    buyer_erased: bool
    invoice_id: Annotated[str | None, Meta(description="of a credit note: the invoice that it takes off from")]
    invoice_number: str | None
    refund: Annotated[
        int | None, Meta(description="of a credit note: which part refund it is for; 0: the order was cancelled")
    ]

    @classmethod
    def of(cls, document: Document, buyer: Invoiced | None, *, is_erased: bool) -> Self:
        """The view of a document."""
        money = document.total
        return cls(
            id=document.id,
            kind=document.kind,
            number=document.number,
            year=document.year,
            sequence=document.sequence,
            date=document.date,
            issued_at=document.issued_at,
            order_id=document.order_id,
            concert_id=document.concert_id,
            concert=document.concert,
            concert_date=document.concert_date,
            lines=[
                LineView(
                    name=line.name,
                    quantity=line.quantity,
                    net=line.net,
                    tax=line.tax,
                    total=line.total,
                    tax_percent=line.percent,
                )
                for line in document.lines
            ],
            taxes=taxes(document),
            net=Money(document.net, money.currency),
            tax=Money(document.tax, money.currency),
            total=money,
            issuer=None if document.issuer is None else _issuer(document.issuer),
            buyer=None
            if buyer is None or not (buyer.name or buyer.email or buyer.billing)
            else BilledView(name=buyer.name, email=buyer.email, address=buyer.billing),
            buyer_erased=is_erased,
            invoice_id=document.invoice_id,
            invoice_number=document.invoice_number,
            refund=document.refund,
        )


def taxes(document: Document) -> list[TaxView]:
    """What is taxed, by rate."""
    rates = sorted({line.percent for line in document.lines})
    found = []
    for percent in rates:
        lines = [line for line in document.lines if line.percent == percent]
        found.append(
            TaxView(
                name=document.tax_name if percent else None,
                percent=percent,
                net=sum(line.net for line in lines),
                tax=sum(line.tax for line in lines),
                total=sum(line.total for line in lines),
            )
        )
    return found


def _issuer(issuer: Issuer) -> IssuerView:
    return IssuerView(name=issuer.name, address=issuer.address, tax_id=issuer.tax_id, note=issuer.note)


HEAD = (
    "number",
    "kind",
    "date",
    "orderId",
    "concertId",
    "concert",
    "invoiceNumber",
    "refund",
    "taxPercent",
    "currency",
    "net",
    "tax",
    "total",
)
"""The columns of a file: a row for each rate of each document. Nothing there says who the buyer is."""


def rows(document: Document) -> list[list[Cell]]:
    """The rows of a document. A credit note's amounts are below 0, so that columns can be added up."""
    sign = -1 if document.kind is InvoiceKind.CREDIT_NOTE else 1
    currency = document.total.currency
    return [
        [
            document.number,
            document.kind.value,
            date.fromisoformat(document.date),
            document.order_id,
            document.concert_id,
            document.concert,
            document.invoice_number,
            document.refund,
            f"{each.percent:g}",
            currency,
            *(Amount.of(sign * amount, currency) for amount in (each.net, each.tax, each.total)),
        ]
        for each in taxes(document)
    ]
