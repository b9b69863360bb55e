"""Seating plans as they are kept: each once, under the digest of what it says, and never changed."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import NotFound
from cludale.runtime.aggregates import NEW, Change, Updates
from cludale.runtime.recent import Recent
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SeatPlanPart
from cludale.services.concerts.numbered import Hall, aside_of
from cludale.services.concerts.seating.picking import Picker
from cludale.services.concerts.seating.plans import Plan, layout_of
from cludale.services.concerts.stock import Section
from cludale.services.concerts.store import SEAT_PLANS, KeptPlan

HALLS_REMEMBERED = 32
"""How many sections' seats are kept in memory, with where the next parties go."""


class PartOfPlan(NamedTuple):
    """A zone of a plan, which is a section."""

    digest: str
    zone: str


def written(plan: Plan) -> bytes:
    """The plan as JSON, the same bytes whenever it says the same."""
    return msgspec.json.encode(plan)


class SeatPlans:
    """All seating plans, and the halls that they make."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._empty: Recent[PartOfPlan, Picker] = Recent(HALLS_REMEMBERED)
        self._halls: Recent[tuple[str, str], tuple[PartOfPlan, Hall]] = Recent(HALLS_REMEMBERED)
        """By concert and section."""

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

    def learn(self, plan: Plan, parts: Iterable[tuple[SeatPlanPart, int]]) -> None:
        """These parts of it are about to be sold: whoever buys first does not wait until it is known where to sit."""
        for part, _ in parts:
            self._remember(PartOfPlan(part.digest, part.zone), plan)

    async def empty(self, part: PartOfPlan) -> Picker:
        """Where parties sit in this part of a plan while nothing is taken; not to be changed. Raises NotFound."""
        empty = self._empty.get(part)
        if empty is None:
            return self._remember(part, await self.plan(part.digest))
        self._empty.remember({part: empty})
        return empty

    def _remember(self, part: PartOfPlan, plan: Plan) -> Picker:
        empty = self._empty.get(part) or Picker(layout_of(plan, part.zone))
        empty.settle()
        self._empty.remember({part: empty})
        return empty

    async def hall_of(self, section: Section) -> Hall | None:
        """The seats of this section; None: they have no numbers. Raises NotFound."""
        seats = section.numbered
        if not seats:
            return None
        id = section.concert_id, section.id
        part = PartOfPlan(seats.plan, seats.zone)
        known, hall = self._halls.get(id, (None, None))
        if hall is None or known != part:
            hall = Hall(await self.empty(part))
        self._halls.remember({id: (part, hall)})
        return hall

    async def section_with(self, concert: Concert, seat: str) -> str | None:
        """The section that has a seat of this id; None: none has."""
        for each in concert.sections:
            if each.plan:
                empty = await self.empty(PartOfPlan(each.plan.digest, each.plan.zone))
                if empty.layout.index_of(seat) is not None:
                    return each.id
        return None


def parts_of(plan: Plan, zones: Mapping[str, str], digest: str) -> dict[str, tuple[SeatPlanPart, int]]:
    """Each section's part of the plan and how many seats it has; `zones`: by section. Raises KeyError for no such."""
    found: dict[str, tuple[SeatPlanPart, int]] = {}
    for section, zone in zones.items():
        layout = layout_of(plan, zone)
        found[section] = SeatPlanPart(digest=digest, zone=zone, aside=aside_of(layout)), len(layout)
    return found
