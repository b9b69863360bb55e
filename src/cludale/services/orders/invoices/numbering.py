"""Numbers without holes and without twins: how they are written, and who gives them. No I/O, clock or HTTP.

One aggregate for each organizer, year and kind counts. It and the documents that get its numbers are written by one
commit, so a number that was counted has its document, whatever fails; who meets a conflict decides anew.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.services.orders.events import CreditNoteIssued, DocumentIssued, InvoiceIssued, InvoiceKind
from cludale.services.orders.invoices.billing import Billing, Paper, document_id

PATTERN = r"^[A-Za-z ./_-]{0,24}\{year\}[A-Za-z ./_-]{0,24}[ ./_-]\{number(:[1-9])?\}$(?!\n)"
"""What a pattern looks like. Neither a digit beside year and number, nor anything after the number: so two numbers of
one kind and year are never written alike, however often the pattern is changed."""

_WIDTH = re.compile(r"\{number(?::([1-9]))?\}$", re.ASCII)


def head_of(pattern: str) -> str:
    """What stands before the number."""
    return _WIDTH.sub("", pattern)


def written(pattern: str, year: int, sequence: int) -> str:
    """`{year}` and `{number}`, or `{number:5}` for five digits at least, filled in."""
    found = _WIDTH.search(pattern)
    width = int(found.group(1) or 1) if found is not None else 1
    return f"{head_of(pattern).replace('{year}', str(year))}{sequence:0{width}}"


class Series(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The documents of one kind that an organizer issued in a year."""

    id: str
    organizer: str
    year: int
    kind: InvoiceKind
    last: int = 0
    """The last number that was given."""


def series_id(organizer: str, year: int, kind: InvoiceKind) -> str:
    """Which series; it is the partition of its documents, too."""
    return f"{organizer}.{year}.{kind}"


class Unnumbered(NamedTuple):
    """A paper that waits for its number."""

    billing: Billing
    paper: Paper

    @property
    def id(self) -> str:
        """The id of the document that it becomes."""
        return document_id(self.billing.order_id, self.paper)

    @property
    def series(self) -> str:
        """In which it gets its number."""
        return series_id(self.billing.organizer or "", int(self.paper.date[:4]), self.paper.kind)


class Numbered(NamedTuple):
    """A series after it gave numbers, and what it gave them to, in their order."""

    series: Series
    issued: Sequence[DocumentIssued]


def give(series: Series | None, waiting: Sequence[Unnumbered], pattern: str) -> Numbered:
    """Give the next numbers to these, which are all of one series and have none."""
    first = waiting[0]
    year, kind = int(first.paper.date[:4]), first.paper.kind
    known = series or Series(id=first.series, organizer=first.billing.organizer or "", year=year, kind=kind)
    issued = [_issued(each, known.last + at, pattern) for at, each in enumerate(waiting, 1)]
    return Numbered(replace(known, last=known.last + len(waiting)), issued)


def _issued(waiting: Unnumbered, sequence: int, pattern: str) -> DocumentIssued:
    billing, paper = waiting.billing, waiting.paper
    year = int(paper.date[:4])
    told: dict[str, Any] = {
        "document_id": waiting.id,
        "order_id": billing.order_id,
        "concert_id": billing.concert_id,
        "organizer": billing.organizer or "",
        "year": year,
        "sequence": sequence,
        "document_number": written(pattern, year, sequence),
        "date": paper.date,
        "total": paper.total,
        "tax": paper.tax,
        "tax_name": paper.tax_name,
        "lines": paper.lines,
    }
    if paper.kind is InvoiceKind.INVOICE:
        return InvoiceIssued(**told)
    invoice = billing.invoice
    if invoice is None or invoice.number is None:
        raise ValueError(f"{billing.order_id} has no invoice yet")
    return CreditNoteIssued(
        **told,
        invoice_id=document_id(billing.order_id, invoice),
        invoice_number=invoice.number,
        refund=paper.refund,
    )
