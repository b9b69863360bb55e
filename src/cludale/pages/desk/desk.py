"""The desk: its parts, put together."""

import time

from cludale.pages.desk.aftersale import Aftersale
from cludale.pages.desk.blocks import Blocks
from cludale.pages.desk.box_office import BoxOffice
from cludale.pages.desk.codes import Codes
from cludale.pages.desk.concerts import Concerts
from cludale.pages.desk.exports import Exports
from cludale.pages.desk.guests import GuestPages
from cludale.pages.desk.happenings import HappeningPages
from cludale.pages.desk.invoices import InvoicePages
from cludale.pages.desk.moving import Moving
from cludale.pages.desk.orders import OrderPages
from cludale.pages.desk.plans import Plans
from cludale.pages.desk.prices import Prices
from cludale.pages.desk.privacy import Privacy
from cludale.pages.desk.reports import ReportPages
from cludale.pages.desk.sales import SalesPages
from cludale.pages.desk.seat_plans import SeatPlanPages
from cludale.pages.desk.takings import Takings
from cludale.pages.desk.typed_seats import SeatReader
from cludale.pages.desk.waiting import WaitingList
from cludale.pages.desk.webhooks import WebhookPages
from cludale.pages.site import Site
from cludale.pages.staff.signing import Signing
from cludale.web.routing import Route


class Desk:
    """All of the desk."""

    def __init__(self, site: Site, signing: Signing) -> None:
        self._takings = Takings(clock=time.monotonic)
        seats = SeatReader()
        self._parts = (
            Concerts(site, signing, self._takings),
            Plans(site, signing),
            Prices(site, signing),
            SeatPlanPages(site, signing),
            SalesPages(site, signing, self._takings),
            OrderPages(site, signing),
            Aftersale(site, signing),
            Moving(site, signing, seats),
            Codes(site, signing),
            Blocks(site, signing),
            WaitingList(site, signing),
            Exports(site, signing),
            Privacy(site, signing),
            WebhookPages(site, signing),
            BoxOffice(site, signing, seats),
            GuestPages(site, signing, seats),
            HappeningPages(site, signing),
            ReportPages(site, signing),
            InvoicePages(site, signing),
        )

    def routes(self) -> list[Route]:
        """Its routes."""
        return [route for part in self._parts for route in part.routes()]

    def stop(self) -> None:
        """Add no sales up any more."""
        self._takings.stop()
