"""Invoices and their series from the log: what they come to, and their numbers; not who issued them, nor to whom."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.orders.events import CreditNoteIssued, DocumentIssued, InvoiceKind
from cludale.services.orders.invoices.documents import Document, document_of
from cludale.services.orders.invoices.numbering import Series, series_id
from cludale.services.orders.invoices.store import DOCUMENTS, SERIES, series_of

_UNTOLD = ("issuer", "concert", "concert_date")


def _comparable(document: Document) -> Mapping[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(document).items() if name not in _UNTOLD}


INVOICE_TABLES: Sequence[Table[Any]] = (
    Table(DOCUMENTS.kind, DOCUMENTS.decode, DOCUMENTS.put, series_of, _comparable),
    Table(SERIES.kind, SERIES.decode, SERIES.put, lambda series: series.id, msgspec.structs.asdict),
)


def _series(fact: DocumentIssued) -> str:
    return series_id(fact.organizer, fact.year, _kind(fact))


def _kind(fact: DocumentIssued) -> InvoiceKind:
    return InvoiceKind.CREDIT_NOTE if isinstance(fact, CreditNoteIssued) else InvoiceKind.INVOICE


def invoice_refs(fact: DocumentIssued) -> Sequence[Ref]:
    """The series, and the document."""
    series = _series(fact)
    return (Ref(SERIES.kind.name, series, series), Ref(DOCUMENTS.kind.name, series, fact.document_id))


def fold_invoice(fact: DocumentIssued, at: datetime, states: States) -> None:
    """One document more. Raises NotYet where one before it is still to come."""
    of, document = invoice_refs(fact)
    series = states.get(of) or Series(id=of.id, organizer=fact.organizer, year=fact.year, kind=_kind(fact))
    if fact.sequence > series.last + 1:
        raise NotYet
    states.put(of, replace(series, last=max(series.last, fact.sequence)))
    states.put(document, document_of(fact, at=at))
