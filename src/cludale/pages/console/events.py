"""The last events of the log as they come, of one type or one concert if asked for."""

from cludale.pages.api import path
from cludale.pages.console import asking
from cludale.pages.console.views import Entries, LogEntry
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response, Stream

SHOWN = 30
LOOK_SECONDS = 1.0


class EventPages(StaffPages):
    """The page, what of it changes, and what came before."""

    @page("GET", "/staff/console/events", "operate")
    async def _whole(self, staff: Staff) -> Response:
        query = staff.visit.query
        after = query.get("after") or None
        page = await self._page(staff, after)
        return staff.shown(
            "console/events.html",
            events=page.items,
            is_first=after is None,
            type=_filter(staff, "type"),
            concert=_filter(staff, "concert"),
            live=path(type=_filter(staff, "type") or None, concert=_filter(staff, "concert") or None),
            onward=None
            if page.next is None
            else path(type=_filter(staff, "type") or None, concert=_filter(staff, "concert") or None, after=page.next),
        )

    @page("GET", "/staff/console/events-now", "operate", carries_on=False)
    async def _live(self, staff: Staff) -> Stream:
        newest = 0

        async def frame() -> bytes | None:
            nonlocal newest
            found = (await self._page(staff)).items
            if newest and _newest(found) <= newest:
                return None
            newest = _newest(found)
            return self._site.html(staff.visit, "console/event-list.html", events=found)

        return asking.stream(staff, frame, every_seconds=LOOK_SECONDS)

    async def _page(self, staff: Staff, after: str | None = None) -> Entries:
        asked = path(
            "audit",
            "events",
            type=_filter(staff, "type") or None,
            concertId=_filter(staff, "concert") or None,
            sort="-time",
            after=after,
            limit=SHOWN,
        )
        return checked(await staff.ask("GET", asked)).read(Entries)


def _filter(staff: Staff, name: str) -> str:
    return staff.visit.query.get(name, "").strip()[:128]


def _newest(entries: list[LogEntry]) -> int:
    return max((each.sequence for each in entries), default=0)
