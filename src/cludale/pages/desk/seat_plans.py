"""Seating plans at the desk: brought as a file, looked at, and given to a concert that is made or that there is."""

import asyncio
import gzip
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking, plan_map
from cludale.pages.desk.asking import SURE, TaggedConcert
from cludale.pages.desk.concert_form import SectionRow
from cludale.pages.shop.halls import Plan
from cludale.pages.site import SECURITY, Missing, Site, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.runtime.recent import Recent
from cludale.web.responses import Response

MOST_BYTES = 8 * 1024 * 1024
"""The largest form with a plan."""
FAULTS_SHOWN = 20
PICTURES_KEPT = 20
SVG = "image/svg+xml"
_FOR_GOOD = ("cache-control", "private, max-age=31536000, immutable")
_PLANS = ("concerts", "-", "seat-plans")
_GZIP = ("content-encoding", "gzip")


class Zone(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is in a zone."""

    name: str
    rows: int
    seats: int
    wheelchair: int
    companion: int
    restricted_view: int


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """How many seats are of a category."""

    name: str
    seats: int


class Checked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A plan without faults, as the API counts it."""

    digest: str
    name: str
    total_seats: int
    zones: tuple[Zone, ...]
    categories: tuple[Category, ...]


class SeatPlanPages(StaffPages):
    """The pages of plans."""

    def __init__(self, site: Site, signing: Signing) -> None:
        super().__init__(site, signing)
        self._pictures: Recent[str, bytes] = Recent(PICTURES_KEPT)

    @page("GET", "/staff/new-seat-plan", "catalogue")
    async def _new(self, staff: Staff) -> Response:
        return self._page(staff)

    @page("POST", "/staff/new-seat-plan", "catalogue", most_bytes=MOST_BYTES)
    async def _look_at_new(self, staff: Staff) -> Response:
        fields, files = forms.read_files(staff.visit.request, most_bytes=MOST_BYTES)
        found, faults = await self._checked(staff, fields, files)
        return self._page(staff, fields=fields, plan=found, faults=faults, is_new=found is not None)

    @page("GET", "/staff/concerts/{concert_id}/seat-plan", "catalogue")
    async def _show(self, staff: Staff) -> Response:
        seen = await asking.concert(staff, staff.visit.segment)
        return self._page(staff, seen=seen, plan=await self._plan_with(staff, seen.concert.seat_plan))

    @page("POST", "/staff/concerts/{concert_id}/seat-plan", "catalogue", most_bytes=MOST_BYTES)
    async def _change(self, staff: Staff) -> Response:
        """A plan is shown first, with what would become of the hall; sent on from there, it is the concert's."""
        fields, files = forms.read_files(staff.visit.request, most_bytes=MOST_BYTES)
        seen = await asking.concert(staff, staff.visit.segment)
        concert = seen.concert
        if SURE not in fields:
            found, faults = await self._checked(staff, fields, files)
            if found is None:
                now = await self._plan_with(staff, concert.seat_plan)
                return self._page(staff, seen=seen, fields=fields, plan=now, faults=faults)
            return self._page(staff, seen=seen, plan=found, is_new=found.digest != concert.seat_plan)
        digest = fields.get("digest", "")
        if fields.get("tag") != seen.tag:
            return self._page(staff, seen=seen, plan=await self._plan_with(staff, digest), is_new=True, is_late=True)
        body = {"seatPlan": digest}
        sent = await asking.send(staff, "PATCH", path("concerts", concert.id), body, tag=seen.tag, at=_faults)
        if sent.wrong:
            seen = await asking.concert(staff, concert.id)
            kept = sent.answer.problem.values.get("seats")
            return self._page(
                staff,
                seen=seen,
                plan=await self._plan_with(staff, digest),
                is_new=True,
                is_late=sent.is_late,
                kept=kept if isinstance(kept, list) else [],
                faults=list(sent.wrong.values()),
            )
        return staff.see(f"/staff/concerts/{concert.id}/seat-plan")

    def _page(
        self,
        staff: Staff,
        *,
        seen: TaggedConcert | None = None,
        fields: Mapping[str, str] = {},
        plan: Checked | None = None,
        faults: list[str] | None = None,
        kept: list[Any] | None = None,
        is_new: bool = False,
        is_late: bool = False,
    ) -> Response:
        return asking.form(
            staff,
            "desk/seat-plan.html",
            fields,
            {"plan": "faults"} if faults or kept else {},
            is_late=is_late,
            concert=None if seen is None else seen.concert,
            tag="" if seen is None else seen.tag,
            plan=plan,
            is_new=is_new,
            faults=(faults or [])[:FAULTS_SHOWN],
            more_faults=max(0, len(faults or []) - FAULTS_SHOWN),
            kept=(kept or [])[:FAULTS_SHOWN],
            more_kept=max(0, len(kept or []) - FAULTS_SHOWN),
            colours={} if plan is None else plan_map.colours_of([each.name for each in plan.categories]),
        )

    async def _plan_with(self, staff: Staff, digest: str | None) -> Checked | None:
        """What is in the plan with this digest."""
        if not digest:
            return None
        answer = await staff.ask("POST", path(*_PLANS), {"plan": digest})
        return answer.read(Checked) if answer.status == HTTPStatus.OK else None

    async def _checked(
        self, staff: Staff, fields: Mapping[str, str], files: Mapping[str, bytes]
    ) -> tuple[Checked | None, list[str]]:
        """What is in the plan that was brought, or what is wrong with it."""
        try:
            text = files["file"].decode("utf-8-sig") if "file" in files else fields.get("text", "")
            said: Any = msgspec.json.decode(text) if text.lstrip().startswith("{") else text
        except (UnicodeDecodeError, msgspec.DecodeError) as error:
            return None, ["utf-8" if isinstance(error, UnicodeDecodeError) else f"JSON: {error}"]
        if not text.strip():
            return None, ["needed"]
        answer = await staff.ask("POST", path(*_PLANS), {"plan": said})
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return None, list(_faults(answer.problem).values())
        return checked(answer).read(Checked), []

    @page("GET", "/staff/seat-plan-map", "catalogue")
    async def _map(self, staff: Staff) -> Response:
        """The picture of a plan, which never changes under its digest."""
        digest = staff.visit.query.get("digest", "")
        if not digest.isalnum():
            raise Missing
        # It is asked for each time: who may not look at the plan gets no picture.
        plan = await kept_plan(staff, digest)
        picture = self._pictures.get(digest)
        if picture is None:
            picture = await asyncio.to_thread(_picture, plan)
            self._pictures.remember({digest: picture})
        headers = (_FOR_GOOD, ("vary", "accept-encoding"), *SECURITY)
        if not staff.visit.gzips:
            return Response(200, gzip.decompress(picture), SVG, headers)
        return Response(200, picture, SVG, (*headers, _GZIP))


def _picture(plan: Plan) -> bytes:
    return gzip.compress(plan_map.drawn(plan, title="").encode(), 6, mtime=0)


async def kept_plan(staff: Staff, digest: str) -> Plan:
    """A plan that is kept. Raises Missing, Refused."""
    answer = checked(await staff.ask("GET", path(*_PLANS, digest)))
    return msgspec.json.decode(answer.body, type=Plan)


async def rows_with(staff: Staff, digest: str) -> list[SectionRow]:
    """The sections of a new concert with this plan: one for each zone."""
    plan = await kept_plan(staff, digest)
    counts = [(zone.name, sum(len(row.seats) for row in zone.rows)) for zone in plan.zones]
    return [SectionRow("", name, str(count), "", name) for name, count in counts if count]


def _faults(problem: Problem) -> dict[str, str]:
    """Each of them, one after the other; a refusal that is about none in its own words."""
    return {str(at): text for at, (_, text) in enumerate(problem.errors)} or {"0": problem.detail}
