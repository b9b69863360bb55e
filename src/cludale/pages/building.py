"""All pages of a process, put together."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from cludale.pages.api import Api
from cludale.pages.console.console import Console
from cludale.pages.console.rehearsals import Rehearsals
from cludale.pages.console.views import SERVICES, ordered
from cludale.pages.desk.desk import Desk
from cludale.pages.door.entrance import Entrance
from cludale.pages.shop.shop import Shop
from cludale.pages.site import Site
from cludale.pages.staff.office import Office
from cludale.pages.staff.signing import Signing
from cludale.web.routing import Route


class Area(Protocol):
    """Pages for one kind of people: the shop, say."""

    def routes(self) -> list[Route]:
        """Its routes."""
        ...

    def stop(self) -> None:
        """End what goes on in the background."""
        ...


class Pages:
    """The site with all of its areas."""

    def __init__(
        self,
        api: Api,
        *,
        now: Callable[[], datetime],
        services: Iterable[str] = SERVICES,
        rehearsals: Rehearsals | None = None,
    ) -> None:
        """`services`: those that there are, by the first segments of their paths. `rehearsals` holds rehearsals beside
        this process; None: it can't.
        """
        self.site = Site(api, now=now)
        signing = Signing(self.site)
        self._areas: list[Area] = [
            Shop(self.site),
            Desk(self.site, signing),
            Console(self.site, signing, ordered(services), rehearsals),
            Office(self.site, signing),
            Entrance(self.site),
        ]

    @property
    def routes(self) -> list[Route]:
        """Everything under `/shop`, `/staff` and `/door`, and what comes beside it; they are in no OpenAPI document."""
        return [*self.site.routes(), *(route for area in self._areas for route in area.routes())]

    async def stop(self) -> None:
        """End what goes on in the background."""
        for area in self._areas:
            area.stop()
        await self.site.api.close()
