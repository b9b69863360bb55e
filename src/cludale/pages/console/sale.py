"""Time travel: the whole sale of a concert as it stood at a moment, from the log."""

from datetime import datetime, timedelta

from cludale.kernel.times import rfc3339
from cludale.pages.api import path
from cludale.pages.console import then
from cludale.pages.console.views import Concerts, Sale
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

CHOICES = 100


class SalePages(StaffPages):
    """The choice of a concert, and its sale at a moment."""

    @page("GET", "/staff/console/sale", "operate")
    async def _whole(self, staff: Staff) -> Response:
        asked = path("concerts", sort="-date", limit=CHOICES)
        concerts = checked(await staff.ask("GET", asked)).read(Concerts).items
        return await self._shown(staff, "console/sale.html", concerts=concerts)

    @page("GET", "/staff/console/sale/then", "operate", carries_on=False)
    async def _part(self, staff: Staff) -> Response:
        return await self._shown(staff, "console/then.html")

    async def _shown(self, staff: Staff, template: str, **values: object) -> Response:
        fields = dict(staff.visit.query)
        concert = fields.get("concert", "").strip()[:128]
        at: datetime | None = None
        wrong, sale = "", None
        try:
            at = then.moment(fields)
        except ValueError:
            wrong = "time"
        if concert and not wrong:
            answer = await staff.ask("GET", path("audit", "concerts", concert, at=None if at is None else rfc3339(at)))
            if answer.status == 404:
                wrong = "missing"
            elif answer.status == 422:
                wrong = "time"
            else:
                sale = checked(answer).read(Sale)
        before, after = (None, None) if sale is None else then.nearby(sale.curve, sale.at)
        second = timedelta(seconds=1)  # a moment stands for the end of its second
        return staff.shown(
            template,
            status=422 if wrong == "time" else 404 if wrong else 200,
            concert=concert,
            wrong=wrong,
            sale=sale,
            before=None if before is None else rfc3339(before - second),
            after=None if after is None else rfc3339(after - second),
            picture=None if sale is None else then.picture(sale),
            range=None if sale is None else then.range_of(sale, self._site.now()),
            **values,
        )
