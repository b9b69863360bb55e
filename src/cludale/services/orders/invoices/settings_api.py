"""What an organizer says of invoices, over HTTP: shapes, routes, refusal → status. Decides nothing."""

from datetime import datetime
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import Meta

from cludale.kernel.ids import Id
from cludale.kernel.languages import LanguageCode
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy
from cludale.ports.programme import ProgrammeUnreachable
from cludale.ports.seats import ConcertNotFound
from cludale.services.orders.invoices.billing import NotInvoiced
from cludale.services.orders.invoices.numbering import PATTERN
from cludale.services.orders.invoices.service import Invoicing
from cludale.services.orders.invoices.settings import (
    CREDIT_NOTE_NUMBERS,
    INVOICE_NUMBERS,
    InvoiceSettings,
    InvoicesOff,
    Issuer,
    Said,
    SettingsChange,
    SettingsOutdated,
    TooManySettings,
)
from cludale.web.fields import Prose, Text, Zone
from cludale.web.ownership import OwnerUnknown
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, asking_for_all, route

STATUS: Statuses = {SettingsOutdated: 409, TooManySettings: 409, InvoicesOff: 409, NotInvoiced: 409}

_NUMBERS = (
    "how numbers are written: `{year}`, then a space or one of `. / _ -`, and at the end `{number}`, or `{number:5}` "
    "for five digits at least"
)

Numbers = Annotated[str, Meta(max_length=80, pattern=PATTERN, description=_NUMBERS)]


class InvoicingView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an organizer says of invoices."""

    on: bool
    name: str | None
    address: str | None
    tax_id: str | None
    note: str | None
    invoice_numbers: str
    credit_note_numbers: str
    tax_name: str | None
    tax_percent: float
    zone: str | None
    language: LanguageCode | None
    since: Annotated[datetime | None, Meta(description="who pays from then on gets an invoice; null: they are off")]
    revision: Annotated[int, Meta(description="counts the changes; 0: nothing was said yet")]
    changed_at: datetime | None
    changed_by: Annotated[str | None, Meta(description="the id of the key, or of the person")]

    @classmethod
    def of(cls, settings: InvoiceSettings) -> Self:
        """The view of settings."""
        said = settings.said
        return cls(
            on=said.is_on,
            name=said.issuer.name or None,
            address=said.issuer.address or None,
            tax_id=said.issuer.tax_id,
            note=said.issuer.note,
            invoice_numbers=said.invoice_numbers,
            credit_note_numbers=said.credit_note_numbers,
            tax_name=said.tax_name,
            tax_percent=said.tax_percent,
            zone=said.zone,
            language=None if said.language is None else LanguageCode(said.language),
            since=settings.spans[-1].since if said.is_on else None,
            revision=settings.revision,
            changed_at=settings.changed_at,
            changed_by=settings.changed_by,
        )


class SayInvoicing(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """All that is to be said of invoices; what is left out is as at the beginning."""

    SHOWN_AS: ClassVar = InvoicingView

    on: Annotated[bool, Meta(description="does who pays get an invoice?")]
    name: Annotated[Text | None, Meta(description="who issues them; required if they are on")] = None
    address: Annotated[Prose | None, Meta(description="line by line; required if they are on")] = None
    tax_id: Text | None = None
    note: Annotated[Prose | None, Meta(description="stands below the sums")] = None
    invoice_numbers: Numbers = INVOICE_NUMBERS
    credit_note_numbers: Numbers = CREDIT_NOTE_NUMBERS
    tax_name: Annotated[
        Text | None, Meta(description="of the tax that is in prices of concerts which say nothing of taxes")
    ] = None
    tax_percent: Annotated[float, Meta(ge=0, le=100, description="its rate, 3 decimals at most")] = 0.0
    zone: Annotated[Zone | None, Meta(description="whose days stand on invoices; null: each concert's own")] = None
    language: Annotated[
        LanguageCode | None, Meta(description="for buyers of whom it isn't known which they read; null: English")
    ] = None
    revision: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="the one that was read: if they were changed since, the answer is 409"),
    ] = None

    @property
    def said(self) -> Said:
        """What is said."""
        return Said(
            is_on=self.on,
            issuer=Issuer(
                name=self.name or "", address=(self.address or "").strip(), tax_id=self.tax_id, note=self.note
            ),
            invoice_numbers=self.invoice_numbers,
            credit_note_numbers=self.credit_note_numbers,
            tax_name=self.tax_name,
            tax_percent=round(self.tax_percent, 3),
            zone=self.zone,
            language=None if self.language is None else self.language.value,
        )


class AboutInvoices(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of which concert it is asked."""

    concert_id: Id


class InvoicesOffered(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Are there invoices for who buys?"""

    invoices: Annotated[bool, Meta(description="does who pays for this concert now get an invoice?")]


class InvoicingApi:
    """The routes of what is said of invoices."""

    def __init__(self, invoicing: Invoicing) -> None:
        self._invoicing = invoicing

    @route(
        "GET",
        "/orders/invoices/settings",
        scope=Scope.READ,
        summary="Show how invoices are made",
        replies={200: Reply(InvoicingView)},
    )
    async def show_invoicing(self, request: Request) -> Response:
        """200 the settings."""
        return json_response(InvoicingView.of(await self._invoicing.settings(asking(request).organizer)))

    @route(
        "GET",
        "/orders/invoices/offered",
        summary="Ask whether a concert's orders are invoiced",
        description="So that who sells tickets knows whether to ask a buyer for `billingAddress`.",
        replies={200: Reply(InvoicesOffered)},
        refusals=(ConcertNotFound, Busy),
    )
    async def invoices_offered(self, _: Request, query: AboutInvoices) -> Response:
        """200 yes or no."""
        try:
            is_offered = await self._invoicing.is_offered(query.concert_id)
        except ProgrammeUnreachable as error:
            raise OwnerUnknown from error
        return json_response(InvoicesOffered(invoices=is_offered))

    @route(
        "PUT",
        "/orders/invoices/settings",
        scope=Scope.CATALOGUE,
        owned=Owned.MADE,
        headers=(TRACEPARENT,),
        summary="Say how invoices are made",
        description=(
            "In the place of all that was said before. Once they are on, every order that is paid from `since` on, and "
            "that costs something, gets an invoice; turned off, those that were issued stay. Documents that were "
            "issued keep what was said then."
        ),
        replies={200: Reply(InvoicingView)},
        refusals=(SettingsOutdated, TooManySettings, Busy),
    )
    async def say_invoicing(self, request: Request, body: SayInvoicing) -> Response:
        """200 the settings. Raises Invalid."""
        principal = asking_for_all(request, Scope.CATALOGUE)
        wanted = SettingsChange(principal.organizer, body.said, principal.id, body.revision)
        return json_response(InvoicingView.of(await self._invoicing.change(wanted, request.cause)))
