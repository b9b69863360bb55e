"""The console: its parts, put together."""

from collections.abc import Sequence

from cludale.pages.console.chain import ChainPages
from cludale.pages.console.events import EventPages
from cludale.pages.console.letters import LetterPages
from cludale.pages.console.order import OrderTimeline
from cludale.pages.console.overview import OverviewPages
from cludale.pages.console.rehearsals import RehearsalPages, Rehearsals
from cludale.pages.console.sale import SalePages
from cludale.pages.site import Site
from cludale.pages.staff.signing import Signing
from cludale.web.routing import Route


class Console:
    """All of the console."""

    def __init__(self, site: Site, signing: Signing, services: Sequence[str], rehearsals: Rehearsals | None) -> None:
        self._rehearsals = rehearsals
        self._parts = (
            OverviewPages(site, signing, services),
            EventPages(site, signing),
            LetterPages(site, signing, services),
            OrderTimeline(site, signing),
            ChainPages(site, signing),
            SalePages(site, signing),
            RehearsalPages(site, signing, rehearsals),
        )

    def routes(self) -> list[Route]:
        """Its routes."""
        return [route for part in self._parts for route in part.routes()]

    def stop(self) -> None:
        """End a rehearsal that goes on."""
        if self._rehearsals is not None:
            self._rehearsals.stop()
