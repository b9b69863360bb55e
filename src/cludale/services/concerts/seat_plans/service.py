"""Seating plans as they are kept: each once, under the digest of what it says, and never changed."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import NotFound
from cludale.runtime.aggregates import NEW, Change, Updates
from cludale.runtime.recent import Recent
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SeatPlanPart
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.plans import Plan, layout_of
from cludale.services.concerts.stock import Section
from cludale.services.concerts.store import SEAT_PLANS, SECTIONS, KeptPlan, SectionKey

ORDER = "order-"
"""How the digest of a list of seats by their places begins: it is kept beside the plans."""
FRESH_SECONDS = 0.5
"""How long a section's plan is taken for what another replica may have changed since, where it is looked for by a seat;
the section itself always knows."""
CONCERTS_KNOWN = 1_000
PartOfPlan = tuple[str, str, str]
"""A plan's digest, a zone of it, and the digest of the seats by their places, if that is not the plan's order."""
HALLS_REMEMBERED = 32
"""Of how many parts of plans it is kept in memory where the seats are."""
SECTIONS_REMEMBERED = 128
"""Of how many sections it is kept in memory where the next parties go."""


def written(plan: Plan) -> bytes:
    """The plan as JSON, the same bytes whenever it says the same: read once more, so that 0 and 0.0 are one."""
    return msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(plan), type=Plan))


class SeatPlans:
    """All seating plans, and the halls that they make."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._halls: Recent[PartOfPlan, Hall] = Recent(HALLS_REMEMBERED)
        self._sold: Recent[tuple[str, str], tuple[PartOfPlan, Hall]] = Recent(SECTIONS_REMEMBERED)
        """By concert and section."""
        self._known: Recent[str, tuple[datetime, Sequence[tuple[str, PartOfPlan]]]] = Recent(CONCERTS_KNOWN)

    def now(self) -> datetime:
        """The time."""
        return self._updates.clock.now()

    async def keep(self, plan: Plan) -> str:
        """Keep a plan that has been checked; returns its digest. Again changes nothing."""
        return await self._keep("", written(plan))

    async def keep_order(self, order: Sequence[str]) -> str:
        """Keep the ids of a section's seats by their places, which are not those of its plan; returns the digest."""
        return await self._keep(ORDER, msgspec.json.encode(order))

    async def _keep(self, kind: str, body: bytes) -> str:
        digest = kind + hashlib.sha256(body).hexdigest()
        kept = KeptPlan(digest=digest, body=zlib.compress(body))
        change = Change(SEAT_PLANS, kept.digest, lambda stored, _: Decision(stored or kept), known=NEW)
        await self._updates.update((change,))
        return digest

    async def json(self, digest: str) -> bytes:
        """The plan with this digest, as JSON. Raises NotFound."""
        found = (await SEAT_PLANS.load(self._updates.records, (digest,))).get(digest)
        if found is None:
            raise NotFound("seating plan", digest)
        return zlib.decompress(found.state.body)

    async def plan(self, digest: str) -> Plan:
        """The plan with this digest. Raises NotFound."""
        return msgspec.json.decode(await self.json(digest), type=Plan)

    async def hall(self, digest: str, zone: str, order: str = "") -> Hall:
        """The seats of this part of a plan, at their places, to look at. Raises NotFound."""
        hall = self._halls.get((digest, zone, order))
        if hall is None:
            ids = msgspec.json.decode(await self.json(order), type=list[str]) if order else ()
            hall = Hall(layout_of(await self.plan(digest), zone), ids)
        self._halls.remember({(digest, zone, order): hall})
        return hall

    async def hall_of(self, section: Section) -> Hall | None:
        """Where parties sit in this section; None: its seats have no numbers. Raises NotFound."""
        seats = section.numbered
        if not seats:
            return None
        id, part = (section.concert_id, section.id), (seats.plan, seats.zone, seats.order)
        known, hall = self._sold.get(id, (None, None))
        if hall is None or known != part:
            hall = (await self.hall(*part)).apart()
        self._sold.remember({id: (part, hall)})
        return hall

    def learn(self, plan: Plan, parts: Iterable[tuple[SeatPlanPart, int]]) -> None:
        """These parts of it are about to be sold: who buys first does not wait until it is known where to sit."""
        for part, _ in parts:
            id = part.digest, part.zone, ""
            hall = self._halls.get(id) or Hall(layout_of(plan, part.zone))
            hall.prepare()
            self._halls.remember({id: hall})

    async def section_with(self, concert: Concert, seat: str) -> str | None:
        """The section that has a seat of this id, by the plan of FRESH_SECONDS ago at most; None: none has."""
        for section, plan in await self._plans_of(concert):
            if (await self.hall(*plan)).layout.index_of(seat) is not None:
                return section
        return None

    def changed(self, concert_id: str) -> None:
        """Its plan was changed by this process: that is known from here on."""
        self._known.pop(concert_id, None)

    async def _plans_of(self, concert: Concert) -> Sequence[tuple[str, PartOfPlan]]:
        """Each numbered section's digest, zone and order: a plan may have been changed since it was scheduled."""
        now, known = self.now(), self._known.get(concert.id)
        if known is not None:
            if 0 <= (now - known[0]).total_seconds() < FRESH_SECONDS:
                return known[1]
            self._known.remember({concert.id: (now, known[1])})  # one reads it anew, the others go on
        planned = [(each.id, each.plan) for each in concert.sections if each.plan]
        keys = {id: SectionKey(concert.id, id).partition for id, _ in planned}
        stored = await SECTIONS.load(self._updates.records, list(keys.values()))
        found: list[tuple[str, PartOfPlan]] = []
        for id, part in planned:
            seats = stored[keys[id]].state.numbered if keys[id] in stored else UNSET
            found.append((id, (seats.plan, seats.zone, seats.order) if seats else (part.digest, part.zone, "")))
        self._known.remember({concert.id: (now, found)})
        return found


def parts_of(plan: Plan, zones: Mapping[str, str], digest: str) -> dict[str, tuple[SeatPlanPart, int]]:
    """Each section's part of the plan and how many seats it has; `zones`: by section. Raises KeyError for no such."""
    found: dict[str, tuple[SeatPlanPart, int]] = {}
    for section, zone in zones.items():
        hall = Hall(layout_of(plan, zone))
        found[section] = SeatPlanPart(digest=digest, zone=zone, aside=hall.aside()), hall.total
    return found
