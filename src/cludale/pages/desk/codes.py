"""A concert's discount codes: listed, made, given other limits."""

from collections.abc import Mapping
from typing import Any

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking, concert_form, views
from cludale.pages.desk.views import Concert
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

LIMITS = ("maxUses", "maxTickets")


class Codes(StaffPages):
    """The page of a concert's codes."""

    @page("GET", "/staff/concerts/{concert_id}/codes", "read")
    async def _list(self, staff: Staff) -> Response:
        return await self._shown(staff, (await asking.concert(staff, staff.visit.segment)).concert)

    async def _shown(
        self, staff: Staff, concert: Concert, *, fields: Mapping[str, str] = {}, wrong: Mapping[str, str] = {}
    ) -> Response:
        asked = path("concerts", concert.id, "codes", after=staff.visit.query.get("after"), limit=100)
        answer = checked(await staff.ask("GET", asked))
        found = answer.read(views.Codes)
        hidden = [each for each in (concert.pricing or {}).get("categories", ()) if each.get("hidden")]
        return asking.form(
            staff,
            "desk/codes.html",
            fields,
            wrong,
            concert=concert,
            codes=found.items,
            following=found.next and path(after=found.next),
            hidden=hidden,
            currency=concert.sections[0].price.currency if concert.sections else "EUR",
        )

    @page("POST", "/staff/concerts/{concert_id}/codes", "catalogue")
    async def _make(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        body, wrong = terms(concert, fields)
        if not wrong:
            sent = await asking.send(staff, "POST", path("concerts", concert.id, "codes"), body, at=_at_fields)
            if not sent.wrong:
                return staff.see(f"/staff/concerts/{concert.id}/codes")
            wrong = dict(sent.wrong)
        return await self._shown(staff, concert, fields=fields, wrong=wrong)

    @page("POST", "/staff/concerts/{concert_id}/code-limits", "catalogue")
    async def _change(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        wrong: dict[str, str] = {}
        body = {"code": fields.get("code", ""), **_limits(fields, wrong), "endsAt": fields.get("endsAt") or None}
        if not wrong:
            wrong = dict((await asking.send(staff, "PATCH", path("concerts", concert.id, "codes"), body)).wrong)
            if not wrong:
                return staff.see(f"/staff/concerts/{concert.id}/codes")
        return await self._shown(staff, concert, wrong={"": next(iter(wrong.values()))})


def terms(concert: Concert, fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `POST /concerts/{id}/codes`, and what is wrong with what was typed, by field."""
    wrong: dict[str, str] = {}
    body: dict[str, Any] = {"code": fields.get("code", "")}
    if not body["code"]:
        wrong["code"] = "needed"
    if fields.get("percent"):
        try:
            body["percent"] = float(fields["percent"].replace(",", "."))
        except ValueError:
            wrong["percent"] = "number"
    if fields.get("amount"):
        currency = concert.sections[0].price.currency
        try:
            body["amount"] = {"amount": concert_form.minor(fields["amount"], currency), "currency": currency}
        except ValueError:
            wrong["amount"] = "price"
    for name in ("unlocks", "endsAt"):
        if fields.get(name):
            body[name] = fields[name]
    body |= {name: value for name, value in _limits(fields, wrong).items() if value is not None}
    return body, wrong


def _at_fields(problem: Problem) -> dict[str, str]:
    if problem.status == 409:
        return {"code": problem.detail}
    return {field.partition(".")[0]: text for field, text in asking.why(problem).items()}


def _limits(fields: Mapping[str, str], wrong: dict[str, str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name in LIMITS:
        text = fields.get(name, "")
        number = forms.whole(text)
        if text and number is None:
            wrong[name] = "number"
        else:
            found[name] = number
    return found
