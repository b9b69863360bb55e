"""Seating plans over HTTP: how one comes with a concert, and how plan and seats are shown. Decides nothing."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.clock import Clock
from cludale.ports.seats import CalledOff, ConcertNotFound, SeatsNotFree
from cludale.runtime.recent import Recent
from cludale.services.concerts.events import ConcertStatus, SeatPlanPart
from cludale.services.concerts.numbered import as_shown, free_bits
from cludale.services.concerts.seat_plans.service import SeatPlans, parts_of
from cludale.services.concerts.seating import pretix, table
from cludale.services.concerts.seating.plans import Plan, UnusablePlan
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.stock import Section
from cludale.web.fields import Text
from cludale.web.responses import JSON, Response, json_response, kept
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, route
from cludale.web.seats import SeatIds

PLAN_BODY_BYTES = 8 * 1024 * 1024
"""The largest request that may come with a plan."""
LARGE_BYTES = 64 * 1024
"""A plan of as many is read beside what else is done."""
IMMUTABLE = ("cache-control", "public, max-age=31536000, immutable")
FAULTS_SHOWN = 100
FRAME_SECONDS = 0.25
"""How old what is shown of free seats may be."""
FRAMES_KEPT = 200

_encode = msgspec.json.Encoder().encode

SEAT_PLAN = (
    "the seating plan of its numbered sections: pretix's JSON as an object, or CSV (section, row, seat, x, y, "
    "category, flags) as a text, or the digest of a plan that came with another concert. Each numbered section says "
    "its `zone`"
)
SeatPlanRequest = dict[str, Any] | str

SectionParts = Mapping[str, tuple[SeatPlanPart, int]]
"""Each numbered section's part of a plan, and how many seats that has."""

_DIGEST = re.compile("[0-9a-f]{64}")


class PlannedSection(Protocol):
    """A section as it is asked for."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def total_seats(self) -> int | None:
        """How many seats it has, if that is said."""
        ...

    @property
    def zone(self) -> str | UnsetType | None:
        """The zone of the plan that it is, if it is numbered."""
        ...


async def parts_wanted(
    plans: SeatPlans, said: SeatPlanRequest | UnsetType | None, sections: Sequence[PlannedSection]
) -> SectionParts:
    """Each numbered section's part of the plan, which is kept, and how many seats that has. Raises Invalid."""
    zones = {each.id: each.zone for each in sections if each.zone}
    if not said:
        if zones:
            raise Invalid(("seatPlan", "is required where a section has a `zone`"))
        return {}
    if not zones:
        raise Invalid(("sections", "none has a `zone` of the seating plan"))
    plan = await plan_said(plans, said)
    known = {zone.name for zone in plan.zones}
    wrong: list[tuple[str, str]] = []
    names = ", ".join(repr(name) for name in sorted(known)[:20])
    for i, each in enumerate(sections):
        if not each.zone:
            continue
        if each.zone not in known:
            wrong.append((f"sections[{i}].zone", f"the plan has no zone {each.zone!r}; it has {names}"))
        elif sum(zone == each.zone for zone in zones.values()) > 1:
            wrong.append((f"sections[{i}].zone", f"{each.zone!r} is that of another section, too"))
    if wrong:
        raise Invalid(*wrong)
    parts = parts_of(plan, zones, await plans.keep(plan))
    for i, each in enumerate(sections):
        if each.id in parts and each.total_seats not in (None, parts[each.id][1]):
            wrong.append((f"sections[{i}].totalSeats", f"the zone has {parts[each.id][1]} seats"))
        if each.id in parts and not parts[each.id][1]:
            wrong.append((f"sections[{i}].zone", f"{each.zone!r} has no seats"))
    if wrong:
        raise Invalid(*wrong)
    plans.learn(plan, parts.values())
    return parts


async def plan_said(plans: SeatPlans, said: SeatPlanRequest, *, field: str = "seatPlan") -> Plan:
    """The plan that is said. Raises Invalid, which names each place where something is wrong."""
    if isinstance(said, str) and _DIGEST.fullmatch(said):
        try:
            return await plans.plan(said)
        except NotFound:
            raise Invalid((field, "no plan with this digest is known; send the plan itself")) from None
    body = said.encode() if isinstance(said, str) else msgspec.json.encode(said)
    read = table.read if isinstance(said, str) else pretix.read
    try:
        # A large one takes half a second and more: orders don't wait for it.
        return read(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(read, body)
    except UnusablePlan as unusable:
        shown = [(field, str(fault)) for fault in unusable.faults[:FAULTS_SHOWN]]
        if len(unusable.faults) > FAULTS_SHOWN:
            shown.append((field, f"and {len(unusable.faults) - FAULTS_SHOWN} more faults"))
        raise Invalid(*shown) from None


_FREE_SEATS = (
    "a bit for each seat in the order of the plan's rows, the first seat's the lowest of the first byte: 1, it can be "
    "had; Base64"
)


class NumberedSectionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which seats of a section can be had."""

    id: str
    zone: Annotated[str, Meta(description="the zone of the plan that is this section")]
    total_seats: int
    available_seats: int
    free: Annotated[bytes, Meta(description=_FREE_SEATS)]


class SeatsView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which seats of a concert can be had now; where they are says its plan."""

    concert_id: str
    plan: Annotated[str, Meta(description="the digest of the seating plan: GET /concerts/{id}/seats/plan?digest=…")]
    sections: Annotated[list[NumberedSectionView], Meta(description="those whose seats have numbers")]


class WhichPlan(msgspec.Struct, frozen=True):
    """Which plan."""

    digest: Annotated[str, Meta(max_length=64, description="the plan's; without it the concert's")] | None = None


class BlockSeatsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seats that nobody is to get."""

    seats: SeatIds
    reason: Annotated[Text, Meta(description="why, for the organizer")]


class UnblockSeatsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seats that can be had again."""

    seats: SeatIds


class BlockedSeat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat that nobody gets, and why."""

    id: str
    section: str
    row: str
    number: str
    reason: str


class BlockedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All seats of a concert that nobody gets."""

    items: list[BlockedSeat]


class Frame(NamedTuple):
    """The seats of a concert as they are shown: the same bytes for all who ask until some are taken or come back."""

    made_at: datetime
    answer: Response


class SeatsApi:
    """The routes of seats with numbers."""

    def __init__(self, concerts: Concerts, clock: Clock) -> None:
        self._concerts = concerts
        self._clock = clock
        self._frames: Recent[str, Frame] = Recent(FRAMES_KEPT)
        self._making: dict[str, asyncio.Task[Frame]] = {}

    @route(
        "GET",
        "/concerts/{concert_id}/seats",
        summary="Which numbered seats can be had",
        description=(
            f"As they were {FRAME_SECONDS} s ago at the earliest; who orders is told what holds then. The `ETag` "
            "changes with what is free, so whoever asks again with it as `If-None-Match` gets 304 until it does. Where "
            "the seats are, and what they are called, says the plan, which never changes."
        ),
        replies={200: Reply(SeatsView)},
        refusals=(ConcertNotFound, NotFound),
    )
    async def show_seats(self, request: Request) -> Response:
        """200 the free seats of its numbered sections; 404 where it has none."""
        frame = await self._frame(request.segment)
        return frame.answer

    async def _frame(self, concert_id: str) -> Frame:
        """What was made a moment ago, or what one for all who wait now makes. Raises ConcertNotFound, NotFound."""
        known = self._frames.get(concert_id)
        if known is not None and 0 <= (self._clock.now() - known.made_at).total_seconds() < FRAME_SECONDS:
            return known
        making = self._making.get(concert_id)
        if making is None:
            making = self._making[concert_id] = asyncio.ensure_future(self._make(concert_id, known))
            making.add_done_callback(lambda _: self._making.pop(concert_id, None))
        return await asyncio.shield(making)

    async def _make(self, concert_id: str, before: Frame | None) -> Frame:
        seen = await self._concerts.directory.standing(concert_id)
        if seen.concert.status is ConcertStatus.DRAFT:
            raise ConcertNotFound(concert_id)
        numbered = [each for each in seen.sections if each.numbered]
        plan = next((each.numbered.plan for each in numbered if each.numbered), None)
        if plan is None:
            raise NotFound("numbered seat of concert", concert_id)
        for each in numbered:
            await self._concerts.seat_plans.hall_of(each)  # who orders after this look does not wait for it
        sections = [await self._section(each, plan, seen.at) for each in numbered]
        answer = kept(_encode(SeatsView(concert_id=concert_id, plan=plan, sections=sections)), JSON)
        if before is not None and before.answer.body == answer.body:
            answer = before.answer
        frame = Frame(self._clock.now(), answer)
        self._frames.remember({concert_id: frame})
        return frame

    @route(
        "GET",
        "/concerts/{concert_id}/seats/plan",
        summary="A seating plan",
        description=(
            "In pretix's open format: zones with rows of seats, each with its id (`seat_guid`), number, place and "
            "category; wheelchair and companion places and restricted view are said by the category's name: "
            "`Stalls [wheelchair]`. Asked for by its digest it never changes, so it may be kept for ever."
        ),
        replies={200: Reply(Plan)},
        refusals=(ConcertNotFound, NotFound),
    )
    async def show_seat_plan(self, request: Request, query: WhichPlan) -> Response:
        """200 the plan; 404 where the concert has no such."""
        concert = await self._concerts.directory.concert(request.segment)
        if concert.status is ConcertStatus.DRAFT:
            raise ConcertNotFound(concert.id)
        known = [each.plan.digest for each in concert.sections if each.plan]
        if known and query.digest not in known:  # it was changed since, or is asked for as it is now
            sections = (await self._concerts.directory.standing(concert.id)).sections
            now = [each.numbered for each in sections if each.numbered]
            known = [each.plan for each in now] + [each.before for each in now if each.before]
        digest = next((each for each in known if query.digest in (None, each)), None)
        if digest is None:
            raise NotFound("seating plan of concert", concert.id)
        body = await self._concerts.seat_plans.json(digest)
        if query.digest is None:
            return kept(body, JSON)
        return Response(200, body, JSON, (IMMUTABLE,))

    @route(
        "GET",
        "/concerts/{concert_id}/seats/blocked",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Which seats are blocked",
        replies={200: Reply(BlockedView)},
        refusals=(ConcertNotFound,),
    )
    async def show_blocked_seats(self, request: Request) -> Response:
        """200 the seats that nobody gets, with the reasons."""
        await self._concerts.directory.own(request.segment, asking(request))
        return await self._blocked(request.segment)

    @route(
        "POST",
        "/concerts/{concert_id}/seats/block",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Block seats",
        description="Nobody gets these seats of one section any more. Those that are sold or held are refused by name.",
        replies={200: Reply(BlockedView, "All that are blocked.")},
        refusals=(ConcertNotFound, SeatsNotFree, CalledOff, Busy),
    )
    async def block_seats(self, request: Request, body: BlockSeatsRequest) -> Response:
        """200 all that are blocked; again changes nothing."""
        await self._concerts.directory.own(request.segment, asking(request))
        by, cause = asking(request).id, request.cause
        await self._concerts.changes.block_seats(request.segment, body.seats, reason=body.reason, by=by, cause=cause)
        return await self._blocked(request.segment)

    @route(
        "POST",
        "/concerts/{concert_id}/seats/unblock",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Sell blocked seats again",
        replies={200: Reply(BlockedView, "All that are blocked still.")},
        refusals=(ConcertNotFound, CalledOff, Busy),
    )
    async def unblock_seats(self, request: Request, body: UnblockSeatsRequest) -> Response:
        """200 all that are blocked; again changes nothing."""
        await self._concerts.directory.own(request.segment, asking(request))
        by, cause = asking(request).id, request.cause
        await self._concerts.changes.block_seats(request.segment, body.seats, reason=None, by=by, cause=cause)
        return await self._blocked(request.segment)

    async def _section(self, section: Section, plan: str, now: datetime) -> NumberedSectionView:
        """The section as it is in this plan, which is another one than its own only while a change goes on."""
        seats, total = section.numbered, section.total
        assert seats is not UNSET  # noqa: S101 - whoever calls has looked
        plans, free = self._concerts.seat_plans, free_bits(seats, section.places, section.moment(now).timestamp())
        if seats.plan != plan:
            shown, its = await plans.hall(plan, seats.zone), await plans.hall(seats.plan, seats.zone, seats.order)
            free, total = as_shown(shown.layout.ids, its, free), shown.total
        elif seats.order:
            free = (await plans.hall(seats.plan, seats.zone, seats.order)).in_plan_order(free)
        return NumberedSectionView(
            id=section.id,
            zone=seats.zone,
            total_seats=total,
            available_seats=free.bit_count(),
            free=free.to_bytes((total + 7) >> 3, "little"),
        )

    async def _blocked(self, concert_id: str) -> Response:
        seen = await self._concerts.directory.standing(concert_id)
        items: list[BlockedSeat] = []
        for section in seen.sections:
            hall = await self._concerts.seat_plans.hall_of(section)
            if hall is None or section.numbered is UNSET:
                continue
            for place, reason in sorted(section.numbered.blocked.items()):
                seat = hall.seat(place)
                items.append(
                    BlockedSeat(id=seat.id, section=section.id, row=seat.row, number=seat.number, reason=reason)
                )
        return json_response(BlockedView(items=items))
