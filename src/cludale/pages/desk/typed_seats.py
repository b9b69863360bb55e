"""The numbered seats of a concert at the desk: those that are typed, and what is free, row by row, in the same form."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from cludale.pages.api import Refused, path
from cludale.pages.desk.views import Concert
from cludale.pages.numbered import Numbered, SeenSeats
from cludale.pages.seat_names import NoSuchSeats, SeatNameFault
from cludale.pages.shop.halls import WHEELCHAIR, Plan
from cludale.pages.site import Missing, checked
from cludale.pages.staff.signing import Staff
from cludale.runtime.recent import Recent

PLANS_KEPT = 20


class SeatReader:
    """Reads which numbered seats of a concert there are, and which can be had; plans are kept, they never change."""

    def __init__(self) -> None:
        self._plans: Recent[str, Plan] = Recent(PLANS_KEPT)

    async def of(self, staff: Staff, concert: Concert) -> Numbered | None:
        """None: it has none, or nothing of it is shown yet."""
        if concert.seat_plan is None:
            return None
        try:
            return await self.of_concert(staff, concert.id)
        except (Missing, Refused):
            return None

    async def of_concert(self, staff: Staff, concert_id: str) -> Numbered:
        """Those of the concert that is called so. Raises Missing, Refused."""
        seen = checked(await staff.ask("GET", path("concerts", concert_id, "seats"))).read(SeenSeats)
        plan = self._plans.get(seen.plan)
        if plan is None:
            kept = checked(await staff.ask("GET", path("concerts", concert_id, "seats", "plan", digest=seen.plan)))
            # A plan may have 50,000 seats: other pages don't wait for it.
            plan = await asyncio.to_thread(msgspec.json.decode, kept.body, type=Plan)
            self._plans.remember({seen.plan: plan})
        return Numbered.of(seen, plan)


def body_of(numbered: Numbered | None, text: str, section: str, wrong: dict[str, str]) -> dict[str, Any]:
    """What of a request names seats: nothing where nothing was typed. `wrong` is told of what names no seats."""
    if not text:
        return {}
    if numbered is None or (section and all(section != id for id, _, _ in numbered.sections)):
        wrong["seats"] = SeatNameFault.NO_NUMBERS
        return {}
    try:
        of, seats = numbered.named(text, section or None)
    except NoSuchSeats as no:
        wrong["seats"] = str(no)
        return {}
    named: dict[str, Any] = {"seats": [seat.id for seat in seats], "section": of}
    wheelchairs = sum(bool(seat.flags & WHEELCHAIR) for seat in seats)
    return named | ({"wheelchairs": wheelchairs} if wheelchairs else {})


def ids_of(numbered: Numbered, section: str | None, text: str, field: str, wrong: dict[str, str]) -> list[str]:
    """The ids of seats of this section that are typed; `wrong` is told of what names none, for this field."""
    try:
        return [seat.id for seat in numbered.named(text, section)[1]]
    except NoSuchSeats as no:
        wrong[field] = str(no)
        return []


def not_among(numbered: Numbered, ids: Sequence[str], own: Collection[str]) -> str | None:
    """The name of the first seat in `ids` that is not in `own`; None if all of them are."""
    lost = next((id for id in ids if id not in own), None)
    return None if lost is None else numbered.names.get(lost, lost)
