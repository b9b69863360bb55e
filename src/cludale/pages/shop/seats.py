"""The page on which a buyer chooses seats with numbers: a list by rows, and a map where scripts run.

What is chosen is in the page's address, so nothing is lost by a reload, by going back or by another language.
"""

import asyncio
import gzip
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.assets import FOR_GOOD, VARY
from cludale.pages.shop import halls, memory
from cludale.pages.shop.availability import Sale, sale
from cludale.pages.shop.halls import MOST_NAMED, Hall, Plan, Row, Seat, is_free
from cludale.pages.shop.programme import FreshAnswer, Programme
from cludale.pages.shop.seat_map import NoSuchZone, hall_of
from cludale.pages.shop.views import Concert, FreeSeats, Section
from cludale.pages.site import GZIP, SECURITY, Missing, Site, Visit, checked
from cludale.runtime.recent import Recent
from cludale.runtime.shared import Shared
from cludale.web.responses import Headers, Response
from cludale.web.routing import Route

HALLS_KEPT = 8
PAGES_KEPT = 128
MOST_FIELDS = MOST_NAMED + 100
SVG = "image/svg+xml"
REVALIDATED = ("cache-control", "no-cache")
TICKETS = "tickets-"


class Halls:
    """The seats of numbered sections: read from the API once, and kept."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: Recent[tuple[str, str], Hall] = Recent(HALLS_KEPT)
        self._reading: Shared[tuple[str, str], Hall] = Shared()

    async def of(self, concert: Concert, section: Section) -> Hall:
        """The seats of this section. Raises Missing, if they have no numbers; Refused, Unreachable."""
        if concert.seat_plan is None or section.zone is None:
            raise Missing
        key = concert.seat_plan, section.zone
        hall = self._kept.get(key)
        return hall or await self._reading.get(key, lambda: self._read(concert.id, *key))

    async def _read(self, concert_id: str, digest: str, zone: str) -> Hall:
        answer = checked(await self._site.api.ask("GET", path("concerts", concert_id, "seats", "plan", digest=digest)))
        try:
            # A plan may have 50,000 seats: other pages don't wait for it.
            hall = await asyncio.to_thread(lambda: hall_of(msgspec.json.decode(answer.body, type=Plan), zone))
        except NoSuchZone:
            raise Missing from None
        self._kept.remember({(digest, zone): hall})
        return hall


class Asked(NamedTuple):
    """What somebody asks the page."""

    seats: Sequence[int]
    gone: Collection[int]
    """Seats that somebody else took first."""
    group: int
    """Which rows are shown."""
    is_accessible: bool
    """Are places for wheelchairs, and those beside them, shown?"""
    tickets: Mapping[str, int]
    """How many are of another category than the first."""
    plan: str
    """By which plan they are told."""
    is_other_plan: bool
    """They were chosen by another one: it is not known any more which they are."""

    def query(self, section: str, **more: str) -> str:
        """The same, as an address has it."""
        fields = {"section": section, "seats": halls.packed(self.seats)}
        fields |= {"plan": self.plan} if self.seats else {}
        fields |= {"rows": str(self.group + 1)} if self.group else {}
        fields |= {"accessible": "1"} if self.is_accessible else {}
        fields |= {f"{TICKETS}{id}": str(count) for id, count in self.tickets.items()}
        return urlencode({name: text for name, text in (fields | more).items() if text})


class SeatPages:
    """The page of the seats, and the map."""

    def __init__(self, site: Site, programme: Programme, halls: Halls) -> None:
        self._site = site
        self._programme = programme
        self._halls = halls
        self._pages: Recent[tuple[object, ...], tuple[object, Response]] = Recent(PAGES_KEPT)

    def routes(self) -> list[Route]:
        """Its routes."""
        one = "/shop/concerts/{concert_id}"
        return [
            self._site.route("GET", f"{one}/choose", self._choose),
            self._site.route("GET", f"{one}/map.svg", self._map),
        ]

    async def _map(self, visit: Visit) -> Response:
        """The map, which never changes under its plan's digest."""
        concert = (await self._concert(visit)).value
        section = _section(concert, visit.query.get("section", ""))
        if section is None or visit.query.get("plan") != concert.seat_plan:
            raise Missing
        hall = await self._halls.of(concert, section)
        headers = (FOR_GOOD, VARY, *SECURITY)
        if not visit.gzips:
            return Response(200, gzip.decompress(hall.drawn), SVG, headers)
        return Response(200, hall.drawn, SVG, (*headers, GZIP))

    async def _choose(self, visit: Visit) -> Response:
        kept = await self._concert(visit)
        concert, pairs = kept.value, _pairs(visit)
        section = _section(concert, dict(pairs).get("section", ""))
        is_open = sale(concert, self._site.now()) is Sale.OPEN
        if section is None or section.zone is None or not section.available_seats or not is_open:
            return self._site.see(visit, f"/shop/concerts/{concert.id}?choose=1#tickets")
        hall = await self._halls.of(concert, section)
        asked = _asked(pairs, section, hall, halls.plan_tag(concert.seat_plan))
        free = await self._programme.seats(concert.id)
        bits = next((each.free for each in free.value.sections if each.id == section.id), b"")
        names = {name for name, _ in pairs}
        if ("buy" in names or "basket" in names) and not asked.is_other_plan:
            wrong = _wrong(concert, asked)
            if not wrong:
                where = "basket" if "basket" in names else "checkout"
                return self._site.see(visit, f"/shop/concerts/{concert.id}/{where}?{_bought(section, asked)}")
            return self._page(visit, concert, section, hall, bits, asked, wrong=wrong)
        if ("seat" in names or "go" in names) and not asked.is_other_plan:
            # What the form says becomes the address, which the links to other languages keep.
            return self._site.see(visit, f"/shop/concerts/{concert.id}/choose?{asked.query(section.id)}")
        if asked.is_other_plan or asked.seats or asked.gone or asked.tickets or "lang" in names:
            wrong = "plan" if asked.is_other_plan else ""
            return self._page(visit, concert, section, hall, bits, asked, wrong=wrong)
        return self._shared(visit, kept, section, hall, (free, bits), asked)

    def _shared(
        self,
        visit: Visit,
        concert: FreshAnswer[Concert],
        section: Section,
        hall: Hall,
        free: tuple[FreshAnswer[FreeSeats], bytes],
        asked: Asked,
    ) -> Response:
        """The page of whoever has chosen nothing yet: made once for each version."""
        key = (concert.value.id, section.id, asked.group, asked.is_accessible, visit.language.code, visit.gzips)
        version = (concert.version, free[0].version)
        known = self._pages.get(key)
        if known is None or known[0] != version:
            known = version, self._page(visit, concert.value, section, hall, free[1], asked)
            self._pages.remember({key: known})
        return known[1]

    def _page(
        self,
        visit: Visit,
        concert: Concert,
        section: Section,
        hall: Hall,
        free: bytes,
        asked: Asked,
        *,
        wrong: str = "",
    ) -> Response:
        seats = hall.seats(asked.seats) or []
        gone = [seat for seat in seats if seat.at in asked.gone or not is_free(free, seat.at)]
        chosen = {seat.at for seat in seats} - {seat.at for seat in gone}
        accessible = asked.is_accessible or any(seat.is_accessible for seat in seats if seat.at in chosen)
        rows = [
            (row, kept)
            for row in hall.groups[asked.group]
            if (kept := _offered(row, free, asked.gone, is_accessible=accessible))
        ]
        shown = {seat.at for _, kept in rows for seat in kept}
        html = self._site.html(
            visit,
            "shop/seats.html",
            concert=concert,
            section=section,
            rows=rows,
            chosen=chosen,
            elsewhere=[seat for seat in seats if seat.at in chosen - shown],
            gone=gone,
            groups=[(group[0].label, group[-1].label) for group in hall.groups],
            group=asked.group,
            most=_most(concert),
            is_accessible=accessible,
            has_accessible=any(is_free(free, seat.at) for seat in hall.accessible()),
            has_categories=hall.has_categories,
            others=section.prices[1:],
            tickets=asked.tickets,
            wrong=wrong,
            plan=asked.plan,
            map_query=urlencode({"section": section.id, "plan": concert.seat_plan or ""}),
        )
        status = 422 if wrong else 200
        headers: Headers = (REVALIDATED,)
        return self._site.public(visit, html, headers=headers, status=status)

    async def _concert(self, visit: Visit) -> FreshAnswer[Concert]:
        if not memory.is_id(visit.segment):
            raise Missing
        return await self._programme.concert(visit.segment)


def _section(concert: Concert, id: str) -> Section | None:
    return next((each for each in concert.sections if each.id == id), None)


def _most(concert: Concert) -> int:
    return min(concert.max_per_order, MOST_NAMED)


def _pairs(visit: Visit) -> list[tuple[str, str]]:
    try:
        return parse_qsl(visit.request.query, max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError:
        return []


def _asked(pairs: Sequence[tuple[str, str]], section: Section, hall: Hall, plan: str) -> Asked:
    """What the address or the form says; what makes no sense is left out."""
    fields = dict(pairs)
    known = halls.places(fields.get("seats", "")) or []
    ticked = [at for name, text in pairs if name == "seat" for at in halls.places(text) or ()]
    seats = sorted({*known, *ticked})
    is_other = bool(seats) and fields.get("plan", plan) != plan
    rows = next((text for text in (fields.get("go", ""), fields.get("rows", "")) if text.isdigit()), "")
    group = (forms.whole(rows, most_digits=5) or 1) - 1
    tickets = {
        each.category: forms.whole(fields.get(f"{TICKETS}{each.category}", ""), most_digits=4)
        for each in section.prices[1:]
    }
    return Asked(
        seats if hall.seats(seats) is not None and not is_other else [],
        frozenset(() if is_other else halls.places(fields.get("gone", "")) or ()),
        group if 0 <= group < len(hall.groups) else 0,
        "accessible" in fields or fields.get("go") == "accessible",
        {id: count for id, count in tickets.items() if count},
        plan,
        is_other,
    )


def _wrong(concert: Concert, asked: Asked) -> str:
    """Why these seats can't be bought together, if they can't."""
    if not asked.seats:
        return "none"
    if len(asked.seats) > _most(concert):
        return "many"
    return "tickets" if sum(asked.tickets.values()) > len(asked.seats) else ""


def _bought(section: Section, asked: Asked) -> str:
    """The query of the checkout."""
    fields = {"section": section.id, "seats": halls.packed(asked.seats), "plan": asked.plan}
    if asked.tickets:
        rest = len(asked.seats) - sum(asked.tickets.values())
        counts = {section.prices[0].category: rest, **asked.tickets}
        fields |= {f"{TICKETS}{id}": str(count) for id, count in counts.items() if count}
    return urlencode(fields)


def _offered(row: Row, free: bytes, gone: Collection[int], *, is_accessible: bool) -> list[Seat]:
    return [
        seat
        for seat in row.seats
        if is_free(free, seat.at) and seat.at not in gone and (is_accessible or not seat.is_accessible)
    ]
