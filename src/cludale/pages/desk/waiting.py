"""Who waits for seats of a concert: orders by number, no names."""

from zoneinfo import ZoneInfo

from cludale.pages.api import path
from cludale.pages.desk import asking, views
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response


class WaitingList(StaffPages):
    """The page of a concert's waiting list."""

    @page("GET", "/staff/concerts/{concert_id}/waiting", "read")
    async def _list(self, staff: Staff) -> Response:
        concert = (await asking.concert(staff, staff.visit.segment)).concert
        asked = path("concerts", concert.id, "waiting-list", after=staff.visit.query.get("after"), limit=100)
        found = checked(await staff.ask("GET", asked)).read(views.WaitingList)
        return staff.shown(
            "desk/waiting.html",
            concert=concert,
            zone=None if concert.zone is None else ZoneInfo(concert.zone),
            waiting=found.items,
            following=found.next and path(after=found.next),
            names={each.id: each.name or each.id for each in concert.sections},
        )
