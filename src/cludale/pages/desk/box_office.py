"""The box office: tickets for cash, by a card terminal, or for nothing; and printed.

What it costs is shown before it is sold, and may not cost more then. A seller need not have the right to read orders:
the answer to the sale has the order's own token, which prints its tickets and is kept nowhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cludale.kernel.money import Money
from cludale.pages import billing, forms
from cludale.pages.api import Problem, path
from cludale.pages.bills import Bill
from cludale.pages.desk import asking
from cludale.pages.desk.asking import SURE
from cludale.pages.desk.typed_seats import SeatReader, body_of
from cludale.pages.desk.views import Concert
from cludale.pages.numbered import Numbered
from cludale.pages.site import NO_STORE, SECURITY, Missing, Site, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response

METHODS = ("cash", "terminal", "complimentary")
PAID_SECONDS = 5
"""How long the answer to a sale waits for the order to be Paid."""
PRINTED_TRIES, PRINTED_SECONDS = 10, 0.3
"""Tickets are there a moment after the order is paid."""
_TICKETS = "tickets-"
_TO = "to-"
"""What the names of the fields begin with that say whom the invoice is to: the buyer's own name is another."""
_TEXTS = ("receipt", "reason", "section", "code", "name", "email", "phone")


class Quote(msgspec.Struct, frozen=True):
    """What it would cost."""

    section: str
    total: Money
    bill: Bill


class Offered(msgspec.Struct, frozen=True):
    """Does whoever pays for this concert get an invoice?"""

    invoices: bool


class Sold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order that was just placed, or how it stands a moment later."""

    id: str
    status: str
    quantity: int
    section: str | None
    total: Money | None
    reason: str | None = None
    access_token: str = ""


class BoxOffice(StaffPages):
    """The page of the box office."""

    def __init__(self, site: Site, signing: Signing, seats: SeatReader) -> None:
        super().__init__(site, signing)
        self._seats = seats

    @page("GET", "/staff/concerts/{concert_id}/box-office", "sell")
    async def _show(self, staff: Staff) -> Response:
        concert, _ = await asking.concert(staff, staff.visit.segment)
        return await self._form(staff, concert, {"method": "cash"}, {})

    async def _form(
        self, staff: Staff, concert: Concert, fields: Mapping[str, str], wrong: Mapping[str, str]
    ) -> Response:
        numbered = await self._seats.of(staff, concert)
        return asking.form(
            staff,
            "desk/box-office.html",
            fields,
            wrong,
            concert=concert,
            methods=METHODS,
            categories=categories(concert),
            free=[] if numbered is None else numbered.free(),
            countries=await self._countries(staff, concert),
            to=_TO,
        )

    async def _countries(self, staff: Staff, concert: Concert) -> Sequence[tuple[str, str]]:
        """Those among which an invoice's address is asked for; none where there are no invoices."""
        answer = await staff.ask("GET", path("orders", "invoices", "offered", concertId=concert.id))
        is_offered = answer.status == 200 and answer.read(Offered).invoices
        return billing.countries(staff.visit.language.code) if is_offered else ()

    @page("POST", "/staff/concerts/{concert_id}/box-office", "sell")
    async def _sell(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        numbered = await self._seats.of(staff, concert) if fields.get("seats") else None
        body, wrong = sale(concert, fields, numbered)
        if wrong:
            return await self._form(staff, concert, fields, wrong)
        if SURE not in fields:
            return await self._ask(staff, concert, fields, body)
        total = forms.whole(fields.get("total", ""), most_digits=15)
        if total is not None:
            body["maxTotal"] = {"amount": total, "currency": fields.get("currency", "")}
        refused = (*asking.REFUSED, 404)
        sent = await asking.send(
            staff, "POST", path("orders", "box-office"), body, sure=fields[SURE], at=_at_fields, refused=refused
        )
        if sent.wrong:
            return await self._form(staff, concert, fields, sent.wrong)
        placed = sent.answer.read(Sold)
        at = path("orders", placed.id, wait=PAID_SECONDS)
        answer = await self._site.ask(staff.visit, "GET", at, token=placed.access_token)
        order = answer.read(Sold) if answer.status == 200 else placed
        token, is_free = placed.access_token, body["method"] == "complimentary"
        return staff.shown("desk/sold.html", concert=concert, order=order, token=token, is_free=is_free)

    async def _ask(
        self, staff: Staff, concert: Concert, fields: Mapping[str, str], body: Mapping[str, Any]
    ) -> Response:
        """Is it meant, at this price? What costs nothing has none; what buyers could not order has none yet."""
        rows: list[tuple[str, Any]] = [("concert", concert.name), ("tickets", str(body["quantity"]))]
        kept, bill, is_unknown = dict(fields), None, False
        if body["method"] != "complimentary":
            asked = {name: body[name] for name in ("section", "tickets", "code") if name in body}
            answer = await staff.ask(
                "POST", path("concerts", concert.id, "quote"), {**asked, "quantity": body["quantity"]}
            )
            if answer.status == 200:
                quote = answer.read(Quote)
                bill = quote.bill
                rows += [("section", quote.section), ("to-take", quote.total)]
                kept |= {"total": str(quote.total.amount), "currency": quote.total.currency}
            elif answer.problem.name not in _NO_PRICE_YET:
                return await self._form(staff, concert, fields, _at_fields(answer.problem))
            else:
                is_unknown = True
        rows += [(name, fields[name]) for name in ("seats", "method", "reason", "name", "email") if fields.get(name)]
        if billed := body.get("billingAddress"):
            rows.append(("billed-to", ", ".join(billed.values())))
        back = f"/staff/concerts/{concert.id}/box-office"
        return asking.confirm(staff, "sell", kept, rows=rows, back=back, bill=bill, total_unknown=is_unknown)

    # Printed

    @page("POST", "/staff/box-office/tickets", "sell")
    async def _print(self, staff: Staff) -> Response:
        """With the order's own token."""
        fields = forms.read(staff.visit.request)
        return await self._tickets(staff, fields.get("order", ""), token=fields.get("token", ""))

    @page("GET", "/staff/orders/{order_id}/tickets", "read")
    async def _print_known(self, staff: Staff) -> Response:
        """With the right to read it."""
        return await self._tickets(staff, staff.visit.segment, token=staff.token)

    async def _tickets(self, staff: Staff, order: str, *, token: str) -> Response:
        if not order.startswith("order-"):
            raise Missing
        for _ in range(PRINTED_TRIES):
            answer = await self._site.ask(staff.visit, "GET", f"{path('tickets', order)}.pdf", token=token)
            if answer.status != 404:
                break
            await asyncio.sleep(PRINTED_SECONDS)
        named = ("content-disposition", f'attachment; filename="{order}.pdf"')
        return Response(200, checked(answer).body, "application/pdf", (named, NO_STORE, *SECURITY))


_NO_PRICE_YET = ("over-the-limit", "under-the-minimum", "sale-ended")
"""The names of refusals that hold for buyers only."""


def categories(concert: Concert) -> list[tuple[str, str]]:
    """The categories that a seller counts, by id and name; none where all tickets are alike."""
    named = [(str(each["id"]), str(each["name"])) for each in (concert.pricing or {}).get("categories", ())]
    return named if len(named) > 1 else []


def sale(
    concert: Concert, fields: Mapping[str, str], numbered: Numbered | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `POST /orders/box-office`, and what is wrong with what was typed, by field."""
    wrong: dict[str, str] = {}
    body: dict[str, Any] = {"concertId": concert.id, "method": fields.get("method", "")}
    if body["method"] not in METHODS:
        wrong["method"] = "needed"
    named = body_of(numbered, fields.get("seats", ""), fields.get("section", ""), wrong)
    seats = len(named.get("seats", ()))
    counts = [(id, asking.count(fields, f"{_TICKETS}{id}", wrong)) for id, _ in categories(concert)]
    if counts:
        body["tickets"] = [{"category": id, "quantity": count} for id, count in counts if count]
        body["quantity"] = sum(count for _, count in counts)
    else:
        body["quantity"] = asking.count(fields, "quantity", wrong) or seats
    if named and seats != body["quantity"]:
        wrong["seats"] = "other-count"
    if not body["quantity"] and not wrong:
        wrong["" if counts else "quantity"] = "needed"
    body |= {name: fields[name] for name in _TEXTS if fields.get(name)} | named
    if "anyTime" in fields:
        body["anyTime"] = True
    is_free = body["method"] == "complimentary"
    if is_free and "reason" not in body:
        wrong["reason"] = "needed"
    address, missing = billing.wanted_of(fields, _TO)
    return body | address, wrong | missing


def _at_fields(problem: Problem) -> dict[str, str]:
    if problem.name.startswith("code-"):
        return {"code": problem.detail}
    if refused := billing.refused(problem, _TO):
        return refused
    found = asking.why(problem)
    if problem.name == "seats-not-free":
        return {"seats": problem.detail}
    names = {field.partition("[")[0]: text for field, text in found.items()}
    return {field if field in (*_TEXTS, "quantity", "seats") else "": text for field, text in names.items()}
