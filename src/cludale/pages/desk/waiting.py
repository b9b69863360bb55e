"""Who waits for seats of a concert: orders by number, no names."""

from zoneinfo import ZoneInfo

from cludale.pages.api import path
from cludale.pages.desk import asking, views
from cludale.pages.site import Site, checked
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response
from cludale.web.routing import Route


class WaitingList:
    """The page of a concert's waiting list."""

    def __init__(self, site: Site, signing: Signing) -> None:
        self._site = site
        self._signing = signing

    def routes(self) -> list[Route]:
        """Its routes."""
        return [self._signing.route("GET", "/staff/concerts/{concert_id}/waiting", self._list)]

    async def _list(self, staff: Staff) -> Response:
        staff.need("read")
        concert = (await asking.concert(staff, staff.visit.segment)).concert
        asked = path("concerts", concert.id, "waiting-list", after=staff.visit.query.get("after"), limit=100)
        found = checked(await staff.ask("GET", asked)).read(views.WaitingList)
        return asking.shown(
            self._site,
            staff,
            "desk/waiting.html",
            concert=concert,
            zone=None if concert.zone is None else ZoneInfo(concert.zone),
            waiting=found.items,
            following=found.next and path(after=found.next),
            names={each.id: each.name or each.id for each in concert.sections},
        )
