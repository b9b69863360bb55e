"""The organizer's concerts: the list that the desk begins with, and the page of one."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cludale.kernel import dates
from cludale.kernel.money import Money
from cludale.pages.api import path
from cludale.pages.desk import asking
from cludale.pages.desk.takings import Takings
from cludale.pages.desk.views import Concert, FoundConcerts, Progress, Report
from cludale.pages.shop import button
from cludale.pages.site import Site, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response

ENOUGH = 20
"""Concerts on a page, at least, where there are so many."""
PAGE = 50
MOST_PAGES = 8
"""The most pages of the API that are read: one's own concerts may be far apart among those of others."""


class Concerts(StaffPages):
    """The list and the page of a concert."""

    def __init__(self, site: Site, signing: Signing, takings: Takings) -> None:
        super().__init__(site, signing)
        self._takings = takings

    @page("GET", "/staff")
    async def _list(self, staff: Staff) -> Response:
        if not staff.may("read", "catalogue"):
            return staff.see("/staff/session")
        visit = staff.visit
        artist, is_past = visit.query.get("artist", "")[:200].strip(), visit.query.get("when") == "past"
        concerts, following = await self._own(staff, artist, visit.query.get("after"), is_past=is_past)
        report = await self._takings.get(staff, "concert") if staff.may("read") and concerts else None
        return staff.shown(
            "desk/concerts.html",
            concerts=concerts,
            money=by_concert(report),
            counting=staff.may("read") and bool(concerts) and report is None,
            artist=artist,
            is_past=is_past,
            following=None if following is None else _query(artist, following, is_past=is_past),
            is_first=visit.query.get("after") is None,
        )

    async def _own(
        self, staff: Staff, artist: str, after: str | None, *, is_past: bool
    ) -> tuple[list[Concert], str | None]:
        """A page of their concerts, and where the next one begins."""
        today = self._site.now().date()
        found: list[Concert] = []
        for _ in range(MOST_PAGES):
            asked = {
                "artist": artist or None,
                "sort": "-date" if is_past else "date",
                "to" if is_past else "from": (today - timedelta(days=1 if is_past else 0)).isoformat(),
                "after": after,
                "limit": PAGE,
            }
            page = checked(await staff.ask("GET", path("concerts", **asked))).read(FoundConcerts)
            found += [each for each in page.items if asking.is_own(staff, each)]
            after = page.next
            if after is None or len(found) >= ENOUGH:
                break
        return found, after

    @page("GET", "/staff/concerts/{concert_id}")
    async def _show(self, staff: Staff) -> Response:
        concert, tag = await asking.concert(staff, staff.visit.segment)
        return staff.shown(
            "desk/concert.html",
            concert=concert,
            tag=tag,
            zone=None if concert.zone is None else ZoneInfo(concert.zone),
            is_past=dates.begins(concert.date, concert.zone) <= self._site.now(),
            progress=await self._progress(staff, concert),
            button=button.snippet(
                f"{self._site.base(staff.visit)}/shop/concerts/{concert.id}",
                concert.name,
                staff.visit.language.code,
            ),
            **await self._sold(staff, concert),
        )

    @page("GET", "/staff/concerts/{concert_id}/figures", carries_on=False)
    async def _figures(self, staff: Staff) -> Response:
        concert, _ = await asking.concert(staff, staff.visit.segment)
        progress = await self._progress(staff, concert)
        sold = await self._sold(staff, concert)
        return staff.shown("desk/figures.html", concert=concert, progress=progress, **sold)

    async def _sold(self, staff: Staff, concert: Concert) -> dict[str, Any]:
        if not staff.may("read"):
            return {"sums": (), "counting": False, "as_of": self._site.now()}
        report = await self._takings.get(staff, "section", concert_id=concert.id)
        return {
            "sums": () if report is None else report.totals,
            "counting": report is None,
            "as_of": self._site.now(),
        }

    async def _progress(self, staff: Staff, concert: Concert) -> Progress | None:
        """How far its orders are, if it was called off or moved. None: it was not, or orders has yet to hear of it."""
        if not staff.may("read"):
            return None
        answer = await staff.ask("GET", path("concerts", concert.id, "cancellation"))
        return answer.read(Progress) if answer.status == 200 else None


def by_concert(report: Report | None) -> dict[str, list[Money]]:
    """What each concert took, less what went back: one sum for each currency."""
    found: dict[str, list[Money]] = {}
    for each in () if report is None else report.items:
        found.setdefault(each.concert_id, []).append(each.net)
    return found


def _query(artist: str, after: str, *, is_past: bool) -> str:
    return path(artist=artist or None, when="past" if is_past else None, after=after)
