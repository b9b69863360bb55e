"""A concert's blocks: seats that are held back, listed, made, changed and let go."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.desk import asking, views
from cludale.pages.desk.views import Concert
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response


class Blocks(StaffPages):
    """The page of a concert's blocks."""

    @page("GET", "/staff/concerts/{concert_id}/blocks", "read")
    async def _list(self, staff: Staff) -> Response:
        return await self._shown(staff, (await asking.concert(staff, staff.visit.segment)).concert)

    async def _shown(
        self, staff: Staff, concert: Concert, *, fields: Mapping[str, str] = {}, wrong: Mapping[str, str] = {}
    ) -> Response:
        asked = path("concerts", concert.id, "blocks", after=staff.visit.query.get("after"), limit=100)
        found = checked(await staff.ask("GET", asked)).read(views.Blocks)
        return asking.form(
            staff,
            "desk/blocks.html",
            fields,
            wrong,
            concert=concert,
            zone=None if concert.zone is None else ZoneInfo(concert.zone),
            blocks=found.items,
            following=found.next and path(after=found.next),
            names={each.id: each.name or each.id for each in concert.sections},
        )

    @page("POST", "/staff/concerts/{concert_id}/blocks", "catalogue")
    async def _make(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        body, wrong = wanted(fields)
        if not wrong:
            wrong = await _sent(staff, "POST", path("concerts", concert.id, "blocks"), body)
        if not wrong:
            return staff.see(f"/staff/concerts/{concert.id}/blocks")
        return await self._shown(staff, concert, fields=fields, wrong=wrong)

    @page("POST", "/staff/concerts/{concert_id}/block", "catalogue")
    async def _change(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        at, block = path("concerts", concert.id, "blocks"), fields.get("block", "")
        if "release" in fields:
            wrong = await _sent(staff, "POST", f"{at}/release", {"block": block})
        else:
            seats = forms.whole(fields.get("seats", ""))
            wrong = {"": "number"} if seats is None else {}
            if not wrong:
                wrong = await _sent(staff, "PATCH", at, {"block": block, "seats": seats})
        if not wrong:
            return staff.see(f"/staff/concerts/{concert.id}/blocks")
        return await self._shown(staff, concert, wrong={"": next(iter(wrong.values()))})


async def _sent(staff: Staff, method: str, at: str, body: Mapping[str, Any]) -> dict[str, str]:
    """Ask for it; what is wrong with it, by field."""
    return dict((await asking.send(staff, method, at, body, refused=(404, 409, 422))).wrong)


def wanted(fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `POST /concerts/{id}/blocks`, and what is wrong with what was typed, by field."""
    wrong: dict[str, str] = {}
    body: dict[str, Any] = {name: fields[name] for name in ("section", "purpose", "endsAt") if fields.get(name)}
    if "purpose" not in body:
        wrong["purpose"] = "needed"
    for name in ("seats", "hoursBefore", "fewLeft"):
        text = fields.get(name, "")
        if text:
            body[name] = forms.whole(text)
            if body[name] is None:
                wrong[name] = "number"
    if "seats" not in body:
        wrong["seats"] = "needed"
    if ("endsAt" in body) == ("hoursBefore" in body):
        wrong["endsAt"] = "either" if "endsAt" in body else "needed"
    return body, wrong
