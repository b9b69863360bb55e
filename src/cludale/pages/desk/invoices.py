"""Invoices and credit notes: listed, printed, taken away as a file; and who issues them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from cludale.kernel.languages import NAMES
from cludale.kernel.money import Money
from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.desk import asking, price_form
from cludale.pages.desk.zones import ZONES
from cludale.pages.site import NO_STORE, SECURITY, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

AT, SETTINGS_AT = "/staff/invoices", "/staff/invoice-settings"
KINDS = ("invoice", "credit-note")
PAGE = 50
_INVOICES = ("orders", "invoices")
_TEXTS = ("name", "address", "taxId", "note", "invoiceNumbers", "creditNoteNumbers", "taxName", "zone", "language")


class Invoice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An invoice, or a credit note."""

    id: str
    kind: str
    number: str
    date: str
    order_id: str
    concert_id: str
    concert: str | None
    net: Money
    tax: Money
    total: Money
    invoice_number: str | None = None


class Invoices(msgspec.Struct, frozen=True):
    """A page of them."""

    items: tuple[Invoice, ...]
    next: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who issues them, and how."""

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
    language: str | None
    revision: int

    @property
    def fields(self) -> dict[str, str]:
        """As their form shows them."""
        said = msgspec.to_builtins(self)
        fields = {name: str(said[name] or "") for name in _TEXTS}
        percent = price_form.number(self.tax_percent) if self.tax_name else ""
        return {**fields, "taxPercent": percent, "revision": str(self.revision), **({"on": "1"} if self.on else {})}


class InvoicePages(StaffPages):
    """The pages of invoices."""

    @page("GET", AT, "read")
    async def _list(self, staff: Staff) -> Response:
        query = staff.visit.query
        wrong: dict[str, str] = {}
        year = asking.count(query, "year", wrong, most_digits=4) or None
        kind = query["kind"] if query.get("kind") in KINDS else None
        asked = {"year": year, "kind": kind, "concertId": query.get("concert"), "orderId": query.get("order")}
        here = {"year": year, "kind": kind, "concert": query.get("concert"), "order": query.get("order")}
        found = Invoices(())
        if not wrong:
            sorted_so = path(*_INVOICES, **asked, sort="-issuedAt", after=query.get("after"), limit=PAGE)
            found = checked(await staff.ask("GET", sorted_so)).read(Invoices)
        return asking.form(
            staff,
            "desk/invoices.html",
            query,
            wrong,
            invoices=found.items,
            settings=await self._read_settings(staff),
            kinds=KINDS,
            narrows=any(here.values()),
            is_first=query.get("after") is None,
            following=found.next and path(**here, after=found.next),
        )

    @page("GET", f"{AT}/{{invoice_id}}", "read")
    async def _print(self, staff: Staff) -> Response:
        id = staff.visit.segment
        answer = checked(await staff.ask("GET", f"{path(*_INVOICES, id)}.pdf"))
        named = ("content-disposition", f'attachment; filename="{id}.pdf"')
        return Response(200, answer.body, "application/pdf", (named, NO_STORE, *SECURITY))

    # Who issues them

    async def _read_settings(self, staff: Staff) -> Settings:
        return checked(await staff.ask("GET", path(*_INVOICES, "settings"))).read(Settings)

    @page("GET", SETTINGS_AT, "catalogue")
    async def _settings(self, staff: Staff) -> Response:
        if not staff.may("read"):
            staff.need("read")
        return self._saying(staff, (await self._read_settings(staff)).fields, {})

    def _saying(
        self, staff: Staff, fields: Mapping[str, str], wrong: Mapping[str, str], *, is_late: bool = False
    ) -> Response:
        done = staff.visit.query.get("done", "")
        return asking.form(
            staff,
            "desk/invoice-settings.html",
            fields,
            wrong,
            is_late=is_late,
            zones=ZONES,
            names=NAMES,
            done=done,
        )

    @page("POST", SETTINGS_AT, "catalogue")
    async def _say(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        body, wrong = settings(fields)
        if wrong:
            return self._saying(staff, fields, wrong)
        sent = await asking.send(staff, "PUT", path(*_INVOICES, "settings"), body)
        if sent.answer.problem.name == "settings-outdated":
            now = await self._read_settings(staff)
            return self._saying(staff, {**fields, "revision": str(now.revision)}, {}, is_late=True)
        if sent.wrong:
            return self._saying(staff, fields, sent.wrong)
        return staff.see(f"{SETTINGS_AT}?done=1")


def settings(fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `PUT /orders/invoices/settings`, and what is wrong with what was typed, by field."""
    wrong: dict[str, str] = {}
    body: dict[str, Any] = {"on": "on" in fields}
    body |= {name: fields[name].replace("\r\n", "\n") for name in _TEXTS if fields.get(name)}
    body["revision"] = asking.count(fields, "revision", wrong)
    if fields.get("taxPercent"):
        body["taxPercent"] = price_form.percent("taxPercent", fields["taxPercent"], wrong)
    if body["on"]:
        wrong |= {name: "needed" for name in ("name", "address") if name not in body}
    return body, wrong
