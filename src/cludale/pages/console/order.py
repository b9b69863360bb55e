"""One order, looked for by its id, and told across all services from the log."""

from cludale.pages.api import path
from cludale.pages.console.timeline import timeline
from cludale.pages.console.views import Entries, LogEntry
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response


class OrderTimeline(StaffPages):
    """The search, and the timeline."""

    @page("GET", "/staff/console/order", "operate")
    async def _show(self, staff: Staff) -> Response:
        id = staff.visit.query.get("id", "").strip()[:128]
        entries: list[LogEntry] = []
        latest: list[LogEntry] = []
        if id:
            answer = await staff.ask("GET", path("audit", "orders", id))
            if answer.status != 404:
                entries = checked(answer).read(Entries).items
        else:
            asked = path("audit", "events", type="OrderPlaced", sort="-time", limit=10)
            latest = checked(await staff.ask("GET", asked)).read(Entries).items
        return staff.shown(
            "console/order.html",
            status=404 if id and not entries else 200,
            id=id,
            line=timeline(entries),
            count=len(entries),
            latest=latest,
        )
