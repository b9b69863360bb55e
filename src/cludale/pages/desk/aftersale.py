"""What is done about an order: refunded whole or in part, changed, its confirmation sent again.

Each is asked for twice, and the second form carries a key: however often it is sent, it happens once.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cludale.kernel.money import Money
from cludale.pages import billing, forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking, concert_form
from cludale.pages.desk.asking import SURE
from cludale.pages.desk.views import Order
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

CONTACT = ("name", "email", "phone", "comment")


class Aftersale(StaffPages):
    """The forms of an order."""

    # The whole order

    @page("GET", "/staff/orders/{order_id}/cancel", "refund")
    async def _ask_cancel(self, staff: Staff) -> Response:
        order = await asking.order(staff, staff.visit.segment)
        return self._confirm(staff, order, "cancel", {}, (*_order_rows(order), *_money("goes-back", order.rest)))

    @page("POST", "/staff/orders/{order_id}/cancel", "refund")
    async def _cancel(self, staff: Staff) -> Response:
        return await self._do(staff, "cancel", self._ask_cancel)

    # A part

    @page("GET", "/staff/orders/{order_id}/refund", "refund")
    async def _show_refund(self, staff: Staff) -> Response:
        return self._refunding(staff, await asking.order(staff, staff.visit.segment), {})

    def _refunding(
        self, staff: Staff, order: Order, fields: Mapping[str, str], wrong: Mapping[str, str] = {}
    ) -> Response:
        return asking.form(
            staff,
            "desk/refund.html",
            fields,
            wrong,
            order=order,
            currency="" if order.total is None else order.total.currency,
            lines=() if order.bill is None or len(order.bill.lines) < 2 else order.bill.lines,
        )

    @page("POST", "/staff/orders/{order_id}/refund", "refund")
    async def _refund(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        order = await asking.order(staff, staff.visit.segment)
        body, wrong = part_of(order, fields)
        if wrong:
            return self._refunding(staff, order, fields, wrong)
        if SURE not in fields:
            rows = [*_order_rows(order)]
            if "amount" in body:
                rows += _money("goes-back", Money(**body["amount"]))
            else:
                rows.append(("tickets-back", str(body.get("quantity") or sum(t["quantity"] for t in body["tickets"]))))
                rows += _money("goes-back", worth(order, body))
            if "reason" in body:
                rows.append(("reason", body["reason"]))
            return self._confirm(staff, order, "refund", fields, rows)
        refunds = path("orders", order.id, "refunds")
        sent = await asking.send(staff, "POST", refunds, body, sure=fields[SURE], at=_at_fields)
        if sent.wrong:
            return self._refunding(staff, order, fields, sent.wrong)
        return staff.see(f"/staff/orders/{order.id}?done=refund")

    # Who the buyer is

    @page("GET", "/staff/orders/{order_id}/amend", "sell")
    async def _show_amend(self, staff: Staff) -> Response:
        order = await asking.order(staff, staff.visit.segment)
        return self._amending(staff, order, {name: getattr(order, name) or "" for name in CONTACT})

    def _amending(
        self, staff: Staff, order: Order, fields: Mapping[str, str], wrong: Mapping[str, str] = {}
    ) -> Response:
        return asking.form(staff, "desk/amend.html", fields, wrong, order=order)

    @page("POST", "/staff/orders/{order_id}/amend", "sell")
    async def _amend(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        order = await asking.order(staff, staff.visit.segment)
        changed = {
            name: fields[name] or None
            for name in CONTACT
            if name in fields and fields[name] != (getattr(order, name) or "")
        }
        if not changed:
            return staff.see(f"/staff/orders/{order.id}")
        if SURE not in fields:
            rows = [*_order_rows(order), *((name, value or "-") for name, value in changed.items())]
            return self._confirm(staff, order, "amend", fields, rows)
        sent = await asking.send(staff, "PATCH", path("orders", order.id), changed)
        if sent.wrong:
            return self._amending(staff, order, fields, sent.wrong)
        return staff.see(f"/staff/orders/{order.id}?done=amend")

    # Its invoice

    @page("GET", "/staff/orders/{order_id}/billing", "sell")
    async def _show_billing(self, staff: Staff) -> Response:
        order = await asking.order(staff, staff.visit.segment)
        return self._billing(staff, order, {} if order.billing_address is None else order.billing_address.fields)

    def _billing(
        self, staff: Staff, order: Order, fields: Mapping[str, str], wrong: Mapping[str, str] = {}
    ) -> Response:
        among = billing.countries(staff.visit.language.code)
        return asking.form(staff, "desk/billing.html", fields, wrong, order=order, countries=among)

    @page("POST", "/staff/orders/{order_id}/billing", "sell")
    async def _bill_to(self, staff: Staff) -> Response:
        """The postal address that its invoice has from then on."""
        fields = forms.read(staff.visit.request)
        order = await asking.order(staff, staff.visit.segment)
        body, wrong = ({"billingAddress": None}, {}) if "remove" in fields else billing.body_of(fields)
        if wrong:
            return self._billing(staff, order, fields, wrong)
        sent = await asking.send(staff, "PATCH", path("orders", order.id), body, at=billing.at_fields)
        if sent.wrong:
            return self._billing(staff, order, fields, sent.wrong)
        return staff.see(f"/staff/orders/{order.id}?done=amend")

    @page("POST", "/staff/orders/{order_id}/invoice", "sell")
    async def _invoice(self, staff: Staff) -> Response:
        """One for an order that was paid before there were any; again it changes nothing."""
        forms.read(staff.visit.request)
        id = staff.visit.segment
        sent = await asking.send(staff, "POST", path("orders", id, "invoices"))
        if sent.wrong:
            return staff.see(f"/staff/orders/{id}?failed={sent.answer.problem.name}")
        return staff.see(f"/staff/orders/{id}?done=invoice")

    # The confirmation

    @page("GET", "/staff/orders/{order_id}/resend", "sell")
    async def _ask_resend(self, staff: Staff) -> Response:
        order = await asking.order(staff, staff.visit.segment)
        return self._confirm(staff, order, "resend", {}, (*_order_rows(order), ("email", order.email or "-")))

    @page("POST", "/staff/orders/{order_id}/resend", "sell")
    async def _resend(self, staff: Staff) -> Response:
        return await self._do(staff, "resend", self._ask_resend)

    # What they have in common

    def _confirm(self, staff: Staff, order: Order, what: str, fields: Mapping[str, str], rows: Any) -> Response:
        at = f"/staff/orders/{order.id}"
        return asking.confirm(staff, what, fields, rows=rows, back=f"{at}/{what}" if fields else at, tickets=order.held)

    async def _do(self, staff: Staff, what: str, ask: Callable[[Staff], Awaitable[Response]]) -> Response:
        """What needs no more than to be meant."""
        fields = forms.read(staff.visit.request)
        if SURE not in fields:
            return await ask(staff)
        id = staff.visit.segment
        sent = await asking.send(staff, "POST", path("orders", id, what), sure=fields[SURE], refused=(409, 429))
        if sent.wrong:
            return staff.see(f"/staff/orders/{id}?failed={sent.answer.problem.name}")
        return staff.see(f"/staff/orders/{id}?done={what}")


def part_of(order: Order, fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `POST /orders/{id}/refunds`, and what is wrong with what was typed, by field."""
    wrong: dict[str, str] = {}
    body: dict[str, Any] = {}
    lines = () if order.bill is None or len(order.bill.lines) < 2 else order.bill.lines
    tickets = [
        {"category": line.category, "quantity": int(text)}
        for line in lines
        if (text := fields.get(f"tickets-{line.category}", "")) and _is_count(text, f"tickets-{line.category}", wrong)
    ]
    tickets = [each for each in tickets if each["quantity"]]
    quantity, amount = fields.get("quantity", ""), fields.get("amount", "")
    if tickets:
        body["tickets"] = tickets
    elif quantity and _is_count(quantity, "quantity", wrong) and int(quantity):
        body["quantity"] = int(quantity)
    if amount:
        if order.total is None or tickets or body.get("quantity"):
            wrong["amount"] = "either"
        else:
            try:
                minor = concert_form.minor(amount, order.total.currency)
                body["amount"] = {"amount": minor, "currency": order.total.currency}
            except ValueError:
                wrong["amount"] = "price"
            if not fields.get("reason"):
                wrong["reason"] = "needed"
    if fields.get("reason"):
        body["reason"] = fields["reason"]
    if not wrong and not {"tickets", "quantity", "amount"} & body.keys():
        wrong["quantity" if not lines else ""] = "needed"
    if body.get("quantity", 0) > order.held:
        wrong["quantity"] = "too-many"
    return body, wrong


def worth(order: Order, body: Mapping[str, Any]) -> Money | None:
    """What goes back for these tickets, where all cost the same; None where fees and taxes have their part in it."""
    if order.total is None or order.bill is not None or not order.quantity:
        return None
    return Money(order.total.amount // order.quantity * int(body.get("quantity", 0)), order.total.currency)


def _is_count(text: str, field: str, wrong: dict[str, str]) -> bool:
    if forms.whole(text, most_digits=6) is not None:
        return True
    wrong[field] = "number"
    return False


def _at_fields(problem: Problem) -> dict[str, str]:
    found = asking.why(problem)
    return {field.partition(".")[0].partition("[")[0].replace("tickets", ""): text for field, text in found.items()}


def _order_rows(order: Order) -> list[tuple[str, str]]:
    rows = [("order", order.id), ("tickets", str(order.held))]
    return [*rows, ("name", order.name)] if order.name else rows


def _money(name: str, amount: Money | None) -> list[tuple[str, Any]]:
    return [] if amount is None else [(name, amount)]
