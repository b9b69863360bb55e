"""How a concert sells: by day, as a curve beside another concert's, and by section."""

from typing import Any

from cludale.pages.api import path
from cludale.pages.desk import asking, curve
from cludale.pages.desk.takings import Takings
from cludale.pages.desk.views import Concert, FoundConcerts
from cludale.pages.site import Missing, Site, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response

SHOWN_DAYS = 60
"""Days that the table has; the last ones."""
CHOICES = 50


class SalesPages(StaffPages):
    """The page of a concert's sales."""

    def __init__(self, site: Site, signing: Signing, takings: Takings) -> None:
        super().__init__(site, signing)
        self._takings = takings

    @page("GET", "/staff/concerts/{concert_id}/sales", "read")
    async def _whole(self, staff: Staff) -> Response:
        return await self._shown(staff, "desk/sales.html", others=await self._others(staff))

    @page("GET", "/staff/concerts/{concert_id}/sales-now", "read", carries_on=False)
    async def _part(self, staff: Staff) -> Response:
        return await self._shown(staff, "desk/selling.html")

    async def _shown(self, staff: Staff, template: str, **values: Any) -> Response:
        concert, _ = await asking.concert(staff, staff.visit.segment)
        beside = staff.visit.query.get("beside") or None
        other = None
        if beside not in (None, concert.id):
            try:
                other = (await asking.concert(staff, beside or "")).concert
            except Missing:
                other = None
        by_day = await self._takings.get(staff, "day", concert_id=concert.id)
        by_section = await self._takings.get(staff, "section", concert_id=concert.id)
        compared = None if other is None else await self._takings.get(staff, "day", concert_id=other.id)
        own = curve.days(() if by_day is None else by_day.items)
        others = curve.days(() if compared is None else compared.items)
        return staff.shown(
            template,
            concert=concert,
            other=other,
            days=own[-SHOWN_DAYS:],
            all_days=len(own),
            at_day={each.number: each for each in others},
            picture=curve.picture(own, others),
            sections={} if by_section is None else {each.section: each for each in by_section.items},
            sums=() if by_section is None else by_section.totals,
            counting=by_day is None or by_section is None or (other is not None and compared is None),
            as_of=self._site.now(),
            **values,
        )

    async def _others(self, staff: Staff) -> list[Concert]:
        """Concerts to compare it with: the latest of their own."""
        asked = path("concerts", sort="-date", limit=CHOICES)
        found = checked(await staff.ask("GET", asked)).read(FoundConcerts)
        return [each for each in found.items if asking.is_own(staff, each) and each.id != staff.visit.segment]
