"""One order, looked for by its id, and told across all services from the log."""

from cludale.pages.api import path
from cludale.pages.console import asking
from cludale.pages.console.timeline import timeline
from cludale.pages.console.views import Entries, Entry
from cludale.pages.site import Site, checked
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response
from cludale.web.routing import Route


class OrderTimeline:
    """The search, and the timeline."""

    def __init__(self, site: Site, signing: Signing) -> None:
        self._site = site
        self._signing = signing

    def routes(self) -> list[Route]:
        """Its route."""
        return [self._signing.route("GET", "/staff/console/order", self._show)]

    async def _show(self, staff: Staff) -> Response:
        staff.need("operate")
        id = staff.visit.query.get("id", "").strip()[:128]
        entries: list[Entry] = []
        latest: list[Entry] = []
        if id:
            answer = await staff.ask("GET", path("audit", "orders", id))
            if answer.status != 404:
                entries = checked(answer).read(Entries).items
        else:
            asked = path("audit", "events", type="OrderPlaced", sort="-time", limit=10)
            latest = checked(await staff.ask("GET", asked)).read(Entries).items
        return asking.shown(
            self._site,
            staff,
            "console/order.html",
            status=404 if id and not entries else 200,
            id=id,
            line=timeline(entries),
            count=len(entries),
            latest=latest,
        )
