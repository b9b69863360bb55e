"""How concerts sell, added up by the API from every order: asked for once at a time, and shared for a few seconds.

A report reads all orders of an organizer, so a page waits for it a moment only; what is not there yet is shown as that.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from cludale.pages.api import Refused, Unreachable, path
from cludale.pages.desk.views import Report
from cludale.pages.site import checked
from cludale.pages.staff.signing import Staff
from cludale.runtime.recent import Recent
from cludale.runtime.shared import Shared

FRESH_SECONDS = 4.0
PATIENCE_SECONDS = 3.0
KEPT = 256


class _Kept(NamedTuple):
    at: float
    report: Report


class Takings:
    """Reports by session and question: nobody sees what another session may see."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self._clock = clock
        self._kept: Recent[tuple[str, str], _Kept] = Recent(KEPT)
        self._asking: Shared[tuple[str, str], Report] = Shared()

    async def get(self, staff: Staff, by: str, *, concert_id: str | None = None) -> Report | None:
        """Sales by these dimensions; None while they are added up. Raises Refused, Forbidden, SignedOut."""
        asked = path("orders", "reports", "sales", by=by, concertId=concert_id)
        key = (staff.session.id, asked)
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept.at < FRESH_SECONDS:
            return kept.report
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._asking.get(key, lambda: self._ask(staff, asked, key))
        except (TimeoutError, Unreachable):  # it may well take longer than any answer should
            pass
        except Refused as refused:
            if refused.problem.status not in (429, 503):
                raise
        return None if kept is None else kept.report

    def stop(self) -> None:
        """Ask for nothing any more."""
        self._asking.stop()

    async def _ask(self, staff: Staff, asked: str, key: tuple[str, str]) -> Report:
        report = checked(await staff.ask("GET", asked)).read(Report)
        self._kept.remember({key: _Kept(self._clock(), report)})
        return report
