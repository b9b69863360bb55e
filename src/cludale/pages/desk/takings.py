"""How concerts sell, added up by the API from every order: asked for once at a time, and shared for a few seconds.

A report reads all orders of an organizer, so a page waits for it a moment only; what is not there yet is shown as that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from cludale.pages.api import Refused, Unreachable, path
from cludale.pages.desk.views import Report
from cludale.pages.site import checked
from cludale.pages.staff.signing import Staff

FRESH_SECONDS = 4.0
PATIENCE_SECONDS = 3.0
KEPT = 256


class _Kept(NamedTuple):
    at: float
    report: Report


class Takings:
    """Reports by session and question: nobody sees what another session may see."""

    def __init__(self, *, clock: Callable[[], float], patience_seconds: float = PATIENCE_SECONDS) -> None:
        """`clock`: seconds that never go back."""
        self._clock = clock
        self._patience = patience_seconds
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[Report]] = {}

    async def get(self, staff: Staff, by: str, *, concert_id: str | None = None) -> Report | None:
        """Sales by these dimensions; None while they are added up. Raises Refused, Forbidden, SignedOut."""
        asked = path("orders", "reports", "sales", by=by, concertId=concert_id)
        key = (staff.session.id, asked)
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept.at < FRESH_SECONDS:
            return kept.report
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(staff, asked, key))
            task.add_done_callback(lambda done: self._over(key, done))
        done, _ = await asyncio.wait({task}, timeout=self._patience)
        if not done:
            return None if kept is None else kept.report
        try:
            return task.result()
        except Unreachable:  # it may well take longer than any answer should
            return None if kept is None else kept.report
        except Refused as refused:
            if refused.problem.status not in (429, 503):
                raise
            return None if kept is None else kept.report

    def stop(self) -> None:
        """Ask for nothing any more."""
        for task in self._asking.values():
            task.cancel()

    async def _ask(self, staff: Staff, asked: str, key: tuple[str, str]) -> Report:
        report = checked(await staff.ask("GET", asked)).read(Report)
        self._kept[key] = _Kept(self._clock(), report)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return report

    def _over(self, key: tuple[str, str], task: "asyncio.Task[Report]") -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever still waits is told; nobody need be
