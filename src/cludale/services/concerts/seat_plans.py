"""Seating plans as they are kept: each once, under the digest of what it says, and never changed."""

import hashlib
import zlib
from collections.abc import Mapping

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import NotFound
from cludale.runtime.aggregates import NEW, Change, Updates
from cludale.runtime.recent import Recent
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SeatPlanPart
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.plans import Plan, layout_of
from cludale.services.concerts.stock import Section
from cludale.services.concerts.store import SEAT_PLANS, KeptPlan

HALLS_REMEMBERED = 32
"""How many sections' seats are kept in memory, with where the next parties go."""


def written(plan: Plan) -> bytes:
    """The plan as JSON, the same bytes whenever it says the same."""
    return msgspec.json.encode(plan)


class SeatPlans:
    """All seating plans, and the halls that they make."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._halls: Recent[tuple[str, str], Hall] = Recent(HALLS_REMEMBERED)

    async def keep(self, plan: Plan) -> str:
        """Keep a plan that has been checked; returns its digest. Again changes nothing."""
        body = written(plan)
        kept = KeptPlan(digest=hashlib.sha256(body).hexdigest(), body=zlib.compress(body))
        change = Change(SEAT_PLANS, kept.digest, lambda stored, _: Decision(stored or kept), known=NEW)
        await self._updates.update((change,))
        return kept.digest

    async def json(self, digest: str) -> bytes:
        """The plan with this digest, as JSON. Raises NotFound."""
        found = (await SEAT_PLANS.load(self._updates.records, (digest,))).get(digest)
        if found is None:
            raise NotFound("seating plan", digest)
        return zlib.decompress(found.state.body)

    async def plan(self, digest: str) -> Plan:
        """The plan with this digest. Raises NotFound."""
        return msgspec.json.decode(await self.json(digest), type=Plan)

    async def hall(self, digest: str, zone: str) -> Hall:
        """The seats of this part of a plan. Raises NotFound."""
        hall = self._halls.get((digest, zone))
        if hall is None:
            hall = Hall(layout_of(await self.plan(digest), zone))
        self._halls.remember({(digest, zone): hall})
        return hall

    async def hall_of(self, section: Section) -> Hall | None:
        """The seats of this section; None: they have no numbers. Raises NotFound."""
        seats = section.numbered
        return None if not seats else await self.hall(seats.plan, seats.zone)

    async def section_with(self, concert: Concert, seat: str) -> str | None:
        """The section that has a seat of this id; None: none has."""
        for each in concert.sections:
            if each.plan and (await self.hall(each.plan.digest, each.plan.zone)).layout.index_of(seat) is not None:
                return each.id
        return None


def parts_of(plan: Plan, zones: Mapping[str, str], digest: str) -> dict[str, tuple[SeatPlanPart, int]]:
    """Each section's part of the plan and how many seats it has; `zones`: by section. Raises KeyError for no such."""
    found: dict[str, tuple[SeatPlanPart, int]] = {}
    for section, zone in zones.items():
        hall = Hall(layout_of(plan, zone))
        found[section] = SeatPlanPart(digest=digest, zone=zone, aside=hall.aside()), hall.total
    return found
