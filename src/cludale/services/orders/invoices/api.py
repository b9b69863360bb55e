"""Invoices over HTTP: routes, refusal → status. Decides nothing; the shapes are in `views.py`."""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.ids import Id
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, NotFound
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices import views
from cludale.services.orders.invoices.billing import NotInvoiced, order_of
from cludale.services.orders.invoices.documents import Document
from cludale.services.orders.invoices.service import Invoicing
from cludale.services.orders.invoices.settings import InvoicesOff
from cludale.services.orders.invoices.store import listed
from cludale.services.orders.invoices.views import InvoiceView
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.reports import sheets
from cludale.services.orders.reports.cells import Row
from cludale.services.orders.reports.files import file_response
from cludale.services.orders.reports.sheets import MEDIA_TYPES, Format
from cludale.web.access import Access
from cludale.web.ownership import Ownership
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, Stream, json_response
from cludale.web.routing import TRACEPARENT, Credential, Owned, Reply, Request, asking, route

PAGE = 200
PDF = "application/pdf"
PRIVATE = (("cache-control", "private, no-store"),)

_KIND = "invoices, or credit notes; both without it"


class InvoiceSort(StrEnum):
    """By what invoices are sorted."""

    ISSUED = "issuedAt"
    LATEST = "-issuedAt"


class FindInvoices(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which invoices to list."""

    year: Annotated[int, Meta(ge=1, le=9999)] | None = None
    kind: Annotated[InvoiceKind | None, Meta(description=_KIND)] = None
    concert_id: str | None = None
    order_id: Annotated[str, Meta(max_length=64, description="those of one order, all on one page")] | None = None
    sort: Annotated[InvoiceSort, Meta(description="as they were issued, or the latest first")] = InvoiceSort.ISSUED


class ExportInvoices(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which invoices to export, as what."""

    year: Annotated[int, Meta(ge=1, le=9999)] | None = None
    kind: Annotated[InvoiceKind | None, Meta(description=_KIND)] = None
    concert_id: Id | None = None
    format: Format = Format.CSV


class InvoicesApi:
    """The routes of invoices."""

    def __init__(self, invoicing: Invoicing, privacy: Privacy, access: Access, ownership: Ownership) -> None:
        self._privacy = privacy
        self._invoicing = invoicing
        self._access = access
        self._ownership = ownership

    @route(
        "GET",
        "/orders/{order_id}/invoices",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="The invoices of an order",
        description=(
            "Its invoice and its credit notes, as they were issued. An invoice is made a moment after the order is "
            "paid, a credit note a moment after the money is back; there are none where the organizer has none."
        ),
        replies={200: Reply(Page[InvoiceView])},
        refusals=(NotFound, Busy),
    )
    async def list_order_invoices(self, request: Request) -> Response:
        """All of them: there are few."""
        await self._check(request, request.segment)
        found = await self._invoicing.of_order(request.segment)
        return json_response(Page(await self._views(found), None))

    @route(
        "POST",
        "/orders/{order_id}/invoices",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Have an order invoiced",
        description=(
            "For one that was paid before there were invoices: it gets the next number and today's date, and a credit "
            "note for each refund that it had. Asked again, or for an order that has its invoice, it changes nothing."
        ),
        replies={202: Reply(Page[InvoiceView], "What it has by now; the number comes within seconds.")},
        refusals=(NotFound, NotInvoiced, InvoicesOff, Busy),
    )
    async def invoice_order(self, request: Request) -> Response:
        """202 what there is by now."""
        principal = asking(request)
        order = await self._invoicing.order(request.segment)
        if not await self._ownership.owns(principal, order.seats.concert_id):
            raise NotFound("order", request.segment)
        await self._invoicing.ask_for(order, request.cause, organizer=principal.organizer)
        found = await self._invoicing.of_order(order.id)
        return json_response(Page(await self._views(found), None), 202)

    @route(
        "GET",
        "/orders/invoices",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List invoices",
        description="The organizer's own invoices and credit notes, as they were issued, or the latest first.",
        replies={200: Reply(Page[InvoiceView])},
        refusals=(Busy,),
    )
    async def list_invoices(self, request: Request, query: FindInvoices) -> Response:
        """A page of them."""
        principal = asking(request)
        if query.order_id is not None:
            found = [each for each in await self._invoicing.of_order(query.order_id) if _is_wanted(each, query)]
            own = [each for each in found if principal.owns(each.organizer, each.concert_id)]
            return json_response(Page(await self._views(own), None))
        concert_id = _concert(principal, query.concert_id)
        if concert_id is _NONE:
            return json_response(Page[InvoiceView]([], None))
        found, following = await self._invoicing.find(
            listed(
                principal.organizer,
                year=query.year,
                kind=query.kind,
                concert_id=concert_id,
                after=query.after,
                limit=query.limit,
                descending=query.sort is InvoiceSort.LATEST,
            )
        )
        return json_response(Page(await self._views(found), following))

    @route(
        "GET",
        "/orders/invoices/export",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="Export invoices",
        description=(
            "A row for each rate of tax of each document, in the order of their numbers, without who the buyers are. "
            "Amounts of credit notes are below 0. What a spreadsheet would take for a formula is text in both formats."
        ),
        replies={200: Reply(str, "The file.", MEDIA_TYPES[Format.CSV], (MEDIA_TYPES[Format.XLSX],))},
        refusals=(Busy,),
    )
    async def export_invoices(self, request: Request, query: ExportInvoices) -> Stream:
        """A file of them, as it comes."""
        pages = self._rows(asking(request), query)
        chunks = sheets.file_of(query.format, views.HEAD, pages)
        return file_response(query.format, f"invoices.{query.format.value}", chunks)

    async def _rows(self, principal: Principal, query: ExportInvoices) -> AsyncIterator[Sequence[Row]]:
        concert_id = _concert(principal, query.concert_id)
        after: str | None = None
        while concert_id is not _NONE:
            asked = listed(
                principal.organizer,
                year=query.year,
                kind=query.kind,
                concert_id=concert_id,
                after=after,
                limit=PAGE,
            )
            found, after = await self._invoicing.find(asked)
            yield [row for each in found for row in views.rows(each)]
            if after is None:
                return

    @route(
        "GET",
        "/orders/invoices/{invoice_id}.pdf",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="An invoice to print",
        description=(
            "PDF, tagged for screen readers (PDF/UA-1), in the buyer's language; the same bytes each time, until it "
            "gets a postal address, or the buyer is erased."
        ),
        replies={200: Reply(bytes, media_type=PDF)},
        refusals=(NotFound, Busy),
    )
    async def print_invoice(self, request: Request) -> Response:
        """The document."""
        document = await self._open(request)
        named = await self._privacy.invoiced((document.order_id,))
        buyer, is_erased = named.get(document.order_id), named.get(document.order_id, "") is None
        return Response(200, await self._invoicing.pdf(document, buyer, is_erased=is_erased), PDF, PRIVATE)

    @route(
        "GET",
        "/orders/invoices/{invoice_id}",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Look at an invoice",
        description="For the organizer, and for whoever has the token of its order.",
        replies={200: Reply(InvoiceView)},
        refusals=(NotFound, Busy),
    )
    async def show_invoice(self, request: Request) -> Response:
        """One of them."""
        (view,) = await self._views([await self._open(request)])
        return json_response(view)

    async def _open(self, request: Request) -> Document:
        """The document that the request may see. Raises NotFound, ScopeMissing."""
        order_id = order_of(request.segment)
        if not order_id:
            raise NotFound("invoice", request.segment)
        try:
            await self._check(request, order_id)
        except NotFound as hidden:
            raise NotFound("invoice", request.segment) from hidden
        return await self._invoicing.one(request.segment)

    async def _check(self, request: Request, order_id: str) -> None:
        """Raises NotFound for anyone but the order's buyer and its organizer, ScopeMissing."""
        principal = self._access.of_order(order_id, request.authorization, Scope.READ)
        order = await self._invoicing.order(order_id)
        if principal is not None and not await self._ownership.owns(principal, order.seats.concert_id):
            raise NotFound("order", order_id)

    async def _views(self, documents: Sequence[Document]) -> list[InvoiceView]:
        named = await self._privacy.invoiced(list(dict.fromkeys(each.order_id for each in documents)))
        return [
            InvoiceView.of(
                each,
                named.get(each.order_id),
                is_erased=each.order_id in named and named[each.order_id] is None,
            )
            for each in documents
        ]


_NONE = ""
"""No concert: nothing is listed."""


def _concert(principal: Principal, wanted: str | None) -> str | None:
    """The only concert that is listed; None: all of the organizer's."""
    if principal.concert_id is not None and wanted not in (None, principal.concert_id):
        return _NONE
    return principal.concert_id if wanted is None else wanted


def _is_wanted(document: Document, query: FindInvoices) -> bool:
    return (
        query.year in (None, document.year)
        and query.kind in (None, document.kind)
        and query.concert_id in (None, document.concert_id)
    )
