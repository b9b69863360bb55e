"""How invoices are stored."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices.billing import Billing
from cludale.services.orders.invoices.documents import Document
from cludale.services.orders.invoices.numbering import Series, series_id
from cludale.services.orders.invoices.settings import InvoiceSettings
from cludale.services.orders.store import ORDERS

SETTINGS = AggregateStore(
    Kind("orders", "invoice_settings", ("everOn",), may_lack=True),
    InvoiceSettings,
    identity=lambda settings: settings.organizer,
    index=lambda settings: (1 if settings.spans else None,),
)

BILLINGS = AggregateStore(
    Kind("orders", "billing", (DUE,), (DUE,), may_lack=True),
    Billing,
    identity=lambda billing: billing.order_id,
    index=lambda each: (None if each.due_at is None else rfc3339(each.due_at),),
    partition=ORDERS.partition,
    cause=lambda billing: billing.cause,
)
"""One for each paid order whose organizer may have invoices, in the order's partition. DUE is when its papers are
decided, or get their numbers."""

SERIES = AggregateStore(Kind("orders", "invoice_series", may_lack=True), Series, identity=lambda series: series.id)

DOCUMENTS = AggregateStore(
    Kind("orders", "invoice", ("organizer", "year", "kind", "concertId"), may_lack=True),
    Document,
    identity=lambda document: document.id,
    index=lambda each: (each.organizer, each.year, each.kind.value, each.concert_id),
)
"""Each in the partition of its series, with which it is committed: `load` is told that."""

KINDS = (SETTINGS.kind, BILLINGS.kind, SERIES.kind, DOCUMENTS.kind)


def series_of(document: Document) -> str:
    """The partition of a document."""
    return series_id(document.organizer, document.year, document.kind)


def listed(
    organizer: str,
    *,
    year: int | None = None,
    kind: InvoiceKind | None = None,
    concert_id: str | None = None,
    after: str | None,
    limit: int,
    descending: bool = False,
) -> Query:
    """A page of an organizer's documents, as they were issued; what is None doesn't matter."""
    wanted = {"organizer": organizer, "year": year, "kind": kind and kind.value, "concertId": concert_id}
    equal = {field: value for field, value in wanted.items() if value is not None}
    return Query(equal=equal, after=after, limit=limit, descending=descending)
