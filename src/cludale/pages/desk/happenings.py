"""The events behind a figure: those of a concert that are of a kind, of one section or one day if that is asked for."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cludale.kernel.times import parse_date, rfc3339
from cludale.pages.api import path
from cludale.pages.desk import asking, story
from cludale.pages.desk.views import Concert, Happening, Happenings
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

KINDS: Mapping[str, Sequence[str]] = {
    "sold": ("SeatsSold", "SeatsReturned", "SeatsReleased"),
    "held": ("SeatsReserved", "SeatsSold", "SeatsReleased"),
    "left": ("SeatsReserved", "SeatsReleased", "SeatsReturned", "SeatsAdded", "SeatsTaken"),
    "money": ("PaymentCompleted", "PaymentRefunded", "PartRefunded"),
    "orders": ("OrderPlaced", "OrderPaid", "OrderCancelled"),
    "all": (),
}
"""What a figure follows from: the first is what makes it larger, most of all."""
PAGE, ENOUGH, MOST_PAGES = 100, 50, 6
"""Events of the API's pages, so many that are shown at least if there are, and pages that one request looks through."""


class HappeningPages(StaffPages):
    """The page of the events behind a concert's figures."""

    @page("GET", "/staff/concerts/{concert_id}/events", "read")
    async def _show(self, staff: Staff) -> Response:
        query = staff.visit.query
        concert, _ = await asking.concert(staff, staff.visit.segment)
        kind = query["kind"] if query.get("kind") in KINDS else "all"
        types = KINDS[kind]
        type = query["type"] if query.get("type") in types else next(iter(types), None)
        section, day = query.get("section", ""), query.get("day", "")
        since, until = span(concert, day)
        asked = {"type": type, "concertId": concert.id, "since": since, "until": until}
        found, following = await self._found(staff, asked, section, query.get("after"))
        here = {"kind": kind, "type": type, "section": section or None, "day": day if since else None}
        return staff.shown(
            "desk/events.html",
            concert=concert,
            kind=kind,
            kinds=list(KINDS),
            types=types,
            type=type,
            section=section,
            day=day if since else "",
            events=[story.told(each) for each in found],
            names={each.id: each.name or each.id for each in concert.sections},
            ways={each: path(**{**here, "type": each}) for each in types},
            is_first=query.get("after") is None,
            first=path(**here),
            following=following and path(**here, after=following),
        )

    async def _found(
        self, staff: Staff, asked: Mapping[str, str | None], section: str, after: str | None
    ) -> tuple[list[Happening], str | None]:
        """A page of them, the latest first, and where the next one begins."""
        found: list[Happening] = []
        for _ in range(MOST_PAGES):
            answer = await staff.ask("GET", path("audit", "events", **asked, sort="-time", after=after, limit=PAGE))
            page = checked(answer).read(Happenings)
            found += [each for each in page.items if not section or each.payload.get("section") == section]
            after = page.next
            if after is None or len(found) >= ENOUGH:
                break
        return found, after


def span(concert: Concert, day: str) -> tuple[str | None, str | None]:
    """A day as it is where the concert is, as two times; none where it is no day."""
    try:
        zone = UTC if concert.zone is None else ZoneInfo(concert.zone)
        begins = datetime.combine(parse_date(day), time(), zone)
        ends = datetime.combine(parse_date(day) + timedelta(days=1), time(), zone)
        return rfc3339(begins.astimezone(UTC)), rfc3339(ends.astimezone(UTC))
    except (ValueError, OverflowError):
        return None, None
