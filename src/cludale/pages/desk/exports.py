"""Orders and sales as files for a spreadsheet, through the session of who asks: the API itself takes no cookie."""

from cludale.pages.api import path
from cludale.pages.desk.orders import STATUSES
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response, Stream

FILES = {
    "orders": ("orders", "export"),
    "buyers": ("orders", "export", "personal"),
    "sales": ("orders", "reports", "sales"),
    "till": ("orders", "reports", "till"),
    "invoices": ("orders", "invoices", "export"),
}
"""What can be had as a file, and the API's route for it."""
FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class Exports(StaffPages):
    """The page of the exports, and their files."""

    @page("GET", "/staff/exports", "read")
    async def _show(self, staff: Staff) -> Response:
        return self._page(staff)

    def _page(self, staff: Staff, wrong: str = "") -> Response:
        return staff.shown(
            "desk/exports.html",
            status=422 if wrong else 200,
            fields=staff.visit.query,
            wrong=wrong,
            statuses=STATUSES,
        )

    @page("GET", "/staff/exports/file")
    async def _file(self, staff: Staff) -> Response | Stream:
        query = staff.visit.query
        what, format = query.get("what", "orders"), query.get("format", "csv")
        if what not in FILES or format not in FORMATS:
            return self._page(staff)
        staff.need("privacy" if what == "buyers" else "read")
        asked = {"concertId": query.get("concert") or None, "format": format}
        if what != "invoices":
            asked |= {"since": query.get("since") or None, "until": query.get("until") or None}
        if what == "sales":
            asked["by"] = "concert,day,section"
        elif what in ("orders", "buyers") and query.get("status") in STATUSES:
            asked["status"] = query["status"]
        got = await staff.file(path(*FILES[what], **asked))
        if isinstance(got, Stream):
            return got
        if got.status == 422:
            return self._page(staff, got.problem.detail)
        checked(got)
        named = ("content-disposition", f'attachment; filename="{what}.{format}"')
        return Response(200, got.body, FORMATS[format], (named, ("cache-control", "no-store")))
