"""The shop: its parts, put together."""

import time

from cludale.pages.shop.basket import BasketPages
from cludale.pages.shop.buying import Buying
from cludale.pages.shop.carts import CartPages
from cludale.pages.shop.catalogue import Catalogue
from cludale.pages.shop.live import Live
from cludale.pages.shop.orders import OrderPages
from cludale.pages.shop.programme import Programme
from cludale.pages.shop.seats import Halls, SeatPages
from cludale.pages.shop.tickets import TicketPages
from cludale.pages.shop.waiting import WaitingPages
from cludale.pages.site import Site
from cludale.web.routing import Route


class Shop:
    """All of the shop."""

    def __init__(self, site: Site) -> None:
        programme = Programme(site.api, clock=time.monotonic)
        halls = Halls(site)
        self._live = Live(programme, now=site.now)
        self._parts = (
            Catalogue(site, programme, self._live, clock=time.monotonic),
            Buying(site, programme, halls),
            SeatPages(site, programme, halls),
            BasketPages(site, programme, halls),
            OrderPages(site, programme),
            CartPages(site, programme),
            TicketPages(site, programme),
            WaitingPages(site, programme),
        )

    def routes(self) -> list[Route]:
        """Its routes."""
        return [route for part in self._parts for route in part.routes()]

    def stop(self) -> None:
        """Look at no concert any more."""
        self._live.stop()
