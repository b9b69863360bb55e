"""The first page: how the platform does now, and did in the last minutes."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from cludale.pages.api import Refused, Unreachable, path
from cludale.pages.console import asking
from cludale.pages.console.figures import Overview, overview
from cludale.pages.console.views import Figures, Letters
from cludale.pages.site import Site
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response, Stream

LOOK_SECONDS = 5.0
KNOWN_SECONDS = 60.0
"""How long a process counts that did not answer again. Behind a gateway each question may reach another one."""
COUNTED_LETTERS = 50


class Processes:
    """The figures of processes that answered lately.

    They are shown only to people whom the same route has answered.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[float, Figures]] = {}

    def keep(self, figures: Figures, now: float) -> None:
        """Remember the figures of a process."""
        self._seen[figures.service, figures.instance] = (now, figures)

    def of(self, service: str, now: float) -> list[Figures]:
        """The figures of the service's processes, of those that answered lately."""
        self._seen = {key: each for key, each in self._seen.items() if now - each[0] < KNOWN_SECONDS}
        return [figures for (name, _), (_, figures) in self._seen.items() if name == service]


class OverviewPages(StaffPages):
    """The page, and what of it changes."""

    def __init__(self, site: Site, signing: Signing, services: Sequence[str]) -> None:
        self._services = services
        super().__init__(site, signing)
        self._processes = Processes()

    @page("GET", "/staff/console", "operate")
    async def _whole(self, staff: Staff) -> Response:
        return staff.shown("console/overview.html", now=await self._look(staff))

    @page("GET", "/staff/console/figures", "operate", carries_on=False)
    async def _live(self, staff: Staff) -> Stream:

        async def frame() -> bytes:
            return self._site.html(staff.visit, "console/figures.html", now=await self._look(staff))

        return asking.stream(staff, frame, every_seconds=LOOK_SECONDS)

    async def _look(self, staff: Staff) -> Overview:
        """Ask all services. Raises SignedOut, Forbidden."""
        found = await asyncio.gather(*(self._figures_of(staff, service) for service in self._services))
        letters: Mapping[str, int | None] = dict(
            zip(
                self._services,
                await asyncio.gather(*(self._waiting(staff, service) for service in self._services)),
                strict=True,
            )
        )
        return overview([each for figures in found for each in figures], letters)

    async def _figures_of(self, staff: Staff, service: str) -> list[Figures]:
        try:
            answer = await staff.ask("GET", path(service, "-", "figures"))
            if answer.status != 200:
                return []
            self._processes.keep(answer.read(Figures), time.monotonic())
        except (Refused, Unreachable):
            return []
        return self._processes.of(service, time.monotonic())

    async def _waiting(self, staff: Staff, service: str) -> int | None:
        try:
            asked = path(service, "-", "dead-letters", state="Waiting", limit=COUNTED_LETTERS)
            answer = await staff.ask("GET", asked)
            return len(answer.read(Letters).items) if answer.status == 200 else None
        except (Refused, Unreachable):
            return None
