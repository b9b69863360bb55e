"""Reports: those that are sent by mail again and again, and what the tills took."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from cludale.kernel.money import Money
from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking
from cludale.pages.desk.asking import SURE
from cludale.pages.desk.zones import ZONES
from cludale.pages.site import Missing, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

AT = "/staff/reports"
REPORTS, EVERY, COVERS, FORMATS = (
    ("sales", "orders"),
    ("daily", "weekly", "monthly"),
    ("period", "all"),
    ("csv", "xlsx"),
)
FIRST = {"report": "sales", "every": "weekly", "at": "08:00", "weekday": "1", "day": "1", "covers": "period"}
_SCHEDULES = ("orders", "reports", "schedules")


class Schedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A report that is sent again and again."""

    id: str
    report: str
    concert_id: str | None
    to: str | None
    every: str
    at: str
    zone: str
    weekday: int | None
    day: int | None
    covers: str
    format: str
    next_at: datetime | None
    sent: int
    sent_at: datetime | None
    logged: bool
    problem: str | None


class Schedules(msgspec.Struct, frozen=True):
    """All of them."""

    items: tuple[Schedule, ...]


class Till(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a seller took and gave back on a day."""

    concert_id: str
    seller: str
    day: str
    method: str
    sales: int
    taken: Money
    given_back: Money
    net: Money


class Tills(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of them."""

    as_of: datetime
    items: tuple[Till, ...]


class ReportPages(StaffPages):
    """The pages of reports."""

    # By mail

    @page("GET", AT, "read")
    async def _show(self, staff: Staff) -> Response:
        first = {**FIRST, "concert": staff.visit.query.get("concert") or staff.session.concert_id or ""}
        return await self._page(staff, first, {})

    async def _page(self, staff: Staff, fields: Mapping[str, str], wrong: Mapping[str, str]) -> Response:
        return asking.form(
            staff,
            "desk/reports.html",
            fields,
            wrong,
            schedules=await self._schedules(staff),
            reports=REPORTS,
            every=EVERY,
            covers=COVERS,
            formats=FORMATS,
            zones=ZONES,
            done=staff.visit.query.get("done", ""),
        )

    async def _schedules(self, staff: Staff) -> tuple[Schedule, ...]:
        return checked(await staff.ask("GET", path(*_SCHEDULES))).read(Schedules).items

    @page("POST", AT, "read")
    async def _make(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        body, wrong = schedule(fields)
        wrong |= await asking.no_concert(staff, fields.get("concert", ""))
        if not wrong:
            sent = await asking.send(staff, "POST", path(*_SCHEDULES), body, at=_at_fields)
            wrong = dict(sent.wrong)
        if wrong:
            return await self._page(staff, fields, wrong)
        return staff.see(f"{AT}?done=made")

    @page("GET", f"{AT}/{{schedule_id}}/end", "read")
    async def _ask_end(self, staff: Staff) -> Response:
        found = next((each for each in await self._schedules(staff) if each.id == staff.visit.segment), None)
        if found is None:
            raise Missing
        rows = (("email", found.to or "-"), ("concert", found.concert_id or "-"))
        return asking.confirm(staff, "end-schedule", {}, rows=rows, back=AT)

    @page("POST", f"{AT}/{{schedule_id}}/end", "read")
    async def _end(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        if SURE not in fields:
            return await self._ask_end(staff)
        checked(await staff.ask("POST", path(*_SCHEDULES, staff.visit.segment, "end")))
        return staff.see(f"{AT}?done=ended")

    # Tills

    @page("GET", "/staff/tills", "read")
    async def _tills(self, staff: Staff) -> Response:
        concert = staff.visit.query.get("concert", "")
        found = checked(await staff.ask("GET", path("orders", "reports", "till", concertId=concert or None))).read(
            Tills
        )
        concerts = await asking.concerts(staff, (each.concert_id for each in found.items))
        return staff.shown("desk/tills.html", tills=found, concert=concert, concerts=concerts)


def schedule(fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `POST /orders/reports/schedules`, and what is wrong with what was typed, by field."""
    wrong = {name: "needed" for name in ("to", "zone") if not fields.get(name)}
    body: dict[str, Any] = {
        name: fields.get(name, "") for name in ("to", "zone", "report", "every", "covers", "format")
    }
    body["at"] = fields.get("at", "")[:5] or FIRST["at"]
    if body["every"] == "weekly":
        body["weekday"] = asking.count(fields, "weekday", wrong) or 1
    if body["every"] == "monthly":
        body["day"] = asking.count(fields, "day", wrong) or 1
    if body["report"] == "sales":
        body["by"] = ["concert", "day", "section"]
    if fields.get("concert"):
        body["concertId"] = fields["concert"]
    return body, wrong


def _at_fields(problem: Problem) -> dict[str, str]:
    names = ("to", "zone", "at", "weekday", "day")
    return {field if field in names else "": text for field, text in asking.why(problem).items()}
