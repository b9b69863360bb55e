"""Seating plans before there is a concert for them, over HTTP: looked over, counted, kept. Decides nothing."""

from collections import Counter
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import NotFound
from cludale.services.concerts.seat_plans.api import PLAN_BODY_BYTES, SEAT_PLAN, SeatPlanRequest, plan_said
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.seating.layout import Flags
from cludale.services.concerts.seating.plans import Plan, Zone, category_and_flags
from cludale.web.responses import JSON, Response, json_response
from cludale.web.routing import Owned, Reply, Request, route

_FOR_GOOD = ("cache-control", "private, max-age=31536000, immutable")
_DIGEST = 64
"""Characters of a plan's digest."""


class CheckSeatPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A plan to be looked over."""

    plan: Annotated[SeatPlanRequest, Meta(description=SEAT_PLAN)]


class ZoneCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is in a zone, which may become a section."""

    name: str
    rows: int
    seats: int
    wheelchair: int
    companion: int
    restricted_view: int


class CategoryCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many seats are of a category."""

    name: str
    seats: int


class SeatPlanView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A plan without faults."""

    digest: Annotated[str, Meta(description="say it as `seatPlan` of a concert, instead of the plan itself")]
    name: str
    total_seats: int
    zones: list[ZoneCount]
    categories: list[CategoryCount]


class SeatPlansApi:
    """The routes of plans that need no concert."""

    def __init__(self, plans: SeatPlans) -> None:
        self._plans = plans

    @route(
        "POST",
        "/concerts/-/seat-plans",
        scope=Scope.CATALOGUE,
        owned=Owned.NOBODYS,
        summary="Look a seating plan over",
        description=(
            "422 names each fault with its place. One without any is counted, and kept under its digest, by which "
            "concerts may have it: `POST /concerts`, `PATCH /concerts/{id}`. Again changes nothing."
        ),
        replies={200: Reply(SeatPlanView, "What is in it.")},
        max_body_bytes=PLAN_BODY_BYTES,
    )
    async def check_seat_plan(self, request: Request, body: CheckSeatPlan) -> Response:  # noqa: ARG002 - a route's
        """200 its zones and categories."""
        plan = await plan_said(self._plans, body.plan, field="plan")
        return json_response(_view(plan, await self._plans.keep(plan)))

    @route(
        "GET",
        "/concerts/-/seat-plans/{digest}",
        scope=Scope.CATALOGUE,
        owned=Owned.NOBODYS,
        summary="A seating plan that is kept",
        description="In pretix's open format. It never changes. Who has its digest may look at it.",
        replies={200: Reply(Plan)},
        refusals=(NotFound,),
    )
    async def show_kept_seat_plan(self, request: Request) -> Response:
        """200 the plan; 404 where none has this digest."""
        if len(request.segment) != _DIGEST:
            raise NotFound("seating plan", request.segment)
        return Response(200, await self._plans.json(request.segment), JSON, (_FOR_GOOD,))


def _view(plan: Plan, digest: str) -> SeatPlanView:
    zones = [_count(zone) for zone in plan.zones]
    seats = [seat for zone in plan.zones for row in zone.rows for seat in row.seats]
    categories = Counter(category_and_flags(seat.category)[0] for seat in seats)
    return SeatPlanView(
        digest=digest,
        name=plan.name,
        total_seats=len(seats),
        zones=zones,
        categories=[CategoryCount(name=name, seats=count) for name, count in categories.items()],
    )


def _count(zone: Zone) -> ZoneCount:
    seats = [category_and_flags(seat.category)[1] for row in zone.rows for seat in row.seats]
    return ZoneCount(
        name=zone.name,
        rows=len(zone.rows),
        seats=len(seats),
        wheelchair=sum(bool(flags & Flags.WHEELCHAIR) for flags in seats),
        companion=sum(bool(flags & Flags.COMPANION) for flags in seats),
        restricted_view=sum(bool(flags & Flags.RESTRICTED_VIEW) for flags in seats),
    )
