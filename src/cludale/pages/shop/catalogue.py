"""Pages that are the same for everyone: concerts to find, and one with its sections; made once a version."""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from math import inf
from typing import Any

from cludale.pages.api import Refused
from cludale.pages.shop import button
from cludale.pages.shop.art import picture
from cludale.pages.shop.availability import FEW, Sale, holds_seconds, level, sale
from cludale.pages.shop.calendar import CALENDAR, entry
from cludale.pages.shop.live import Live
from cludale.pages.shop.memory import is_id
from cludale.pages.shop.programme import FreshAnswer, Programme
from cludale.pages.shop.shelf import Shelf
from cludale.pages.shop.structured import music_event, sitemap
from cludale.pages.shop.views import Concert, Summary
from cludale.pages.site import GZIP, SECURITY, VARY, Missing, Site, Visit, with_language
from cludale.runtime.recent import Recent
from cludale.web.responses import HTML, Response, Stream, json_response
from cludale.web.routing import Request, Route

PAGE = 24
LISTED_IN_SITEMAP = 1_000
KEPT_PAGES = 512
SVG = "image/svg+xml"
A_DAY = ("cache-control", "public, max-age=86400")
REVALIDATED = ("cache-control", "no-cache")
NOSNIFF = ("x-content-type-options", "nosniff")

_FOR_OTHERS = (("cross-origin-resource-policy", "cross-origin"), ("cache-control", "public, max-age=10"))
_BUTTON = {
    Sale.BEFORE: "Not on sale yet",
    Sale.OPEN: "Tickets",
    Sale.HELD: "All seats are held",
    Sale.SOLD_OUT: "Sold out",
    Sale.ENDED: "Sale ended",
    Sale.POSTPONED: "Postponed",
    Sale.CALLED_OFF: "Called off",
    Sale.OVER: "Over",
}
"""What it says, in words that the pages have."""


class Catalogue:
    """The concerts' pages."""

    def __init__(self, site: Site, programme: Programme, live: Live, *, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back; the same as the programme's."""
        self._site = site
        self._programme = programme
        self._live = live
        self._monotonic = clock
        self._lists = Shelf(clock)
        self._concerts = Shelf(clock)
        self._pages: Recent[tuple[str, ...], tuple[tuple[int, Sale], Response]] = Recent(KEPT_PAGES)

    def routes(self) -> list[Route]:
        """Its routes."""
        route = self._site.route
        return [
            route("GET", "/shop", self._list, ready=self._lists.ready),
            route("GET", "/shop/concerts/{concert_id}", self._concert, ready=self._concerts.ready),
            route("GET", "/shop/concerts/{concert_id}/live", self._events),
            route("GET", "/shop/concerts/{concert_id}/seats", self._seats, ready=self._known_seats),
            route("GET", "/shop/concerts/{concert_id}/event.ics", self._calendar),
            route("GET", "/shop/concerts/{concert_id}/button.svg", self._button),
            route("GET", "/shop/art/{concert_id}", self._art),
            route("GET", "/shop/clock", self._clock),
            route("GET", "/shop/sitemap.xml", self._sitemap),
            route("GET", "/robots.txt", self._robots),
        ]

    async def _list(self, visit: Visit) -> Response:
        now = self._site.now()
        asked = {name: visit.query.get(name, "").strip()[:200] for name in ("artist", "venue", "from", "to", "sort")}
        wrong = [name for name in ("from", "to") if asked[name] and not _is_day(asked[name])]
        wanted: dict[str, Any] = {name: value or None for name, value in asked.items() if name not in wrong}
        wanted["sort"] = wanted["sort"] if wanted["sort"] in ("date", "-date", "artist") else None
        wanted["from"] = wanted.get("from") or now.date().isoformat()
        after = visit.query.get("after") or None
        try:
            kept = await self._programme.list(**wanted, after=after, limit=PAGE)
        except Refused as refused:
            if refused.problem.name != "unusable-cursor":
                raise
            return self._site.see(visit, "/shop")
        found = kept.value
        html = self._site.html(
            visit,
            "shop/list.html",
            items=[(each, sale(each, now)) for each in found.items],
            following=found.next and with_language({**visit.query, "after": found.next}),
            asked=asked,
            wrong=wrong,
            is_filtered=any(asked.values()),
            is_later=after is not None,
        )
        response = self._site.public(visit, html, headers=(REVALIDATED, _tag(visit, html)))
        return self._lists.keep(visit.request, response, until=self._until(kept, *found.items), source=kept.source)

    def _until(self, kept: FreshAnswer[Any], *concerts: Summary) -> float:
        """When what was made of it may be otherwise."""
        now = self._site.now()
        holds = min((holds_seconds(each, now) for each in concerts), default=inf)
        return min(kept.until, self._monotonic() + holds)

    async def _concert(self, visit: Visit) -> Response:
        kept = self._programme.fresh_concert(visit.segment) or await self._concert_of(visit)
        response = self._page(visit, kept)
        if visit.request.query:  # who has what may follow, is asked anew
            return response
        return self._concerts.keep(visit.request, response, until=self._until(kept, kept.value), source=kept.source)

    async def _concert_of(self, visit: Visit) -> FreshAnswer[Concert]:
        """The concert that the path names. Raises Missing."""
        if not is_id(visit.segment):
            raise Missing
        return await self._programme.concert(visit.segment)

    def _page(self, visit: Visit, kept: FreshAnswer[Concert]) -> Response:
        """The concert's page, from memory where nothing changed since."""
        concert, now = kept.value, self._site.now()
        version = (kept.version, sale(concert, now))
        key = (concert.id, visit.language.code, self._site.base(visit), "gzip" if visit.gzips else "")
        is_shared = not visit.query.keys() - {"lang"}  # links to the other languages have all that an address says
        known = self._pages.get(key) if is_shared else None
        if known is not None and known[0] == version:
            return self._site.with_choice(visit, known[1])
        html = self._site.html(
            visit,
            "shop/concert.html",
            concert=concert,
            sale=version[1].value,
            sections=[(each, level(each)) for each in concert.sections],
            few=FEW,
            opens=None if concert.on_sale_at is None else round(concert.on_sale_at.timestamp() * 1000),
            event=music_event(concert, version[1], base=self._site.base(visit)),
            base=self._site.base(visit),
            first=next((each.id for each in _by_price(concert) if each.available_seats), None),
        )
        headers = (*SECURITY, VARY, REVALIDATED, _tag(visit, html))
        response = (
            Response(200, gzip.compress(html, 9, mtime=0), HTML, (*headers, GZIP))
            if visit.gzips
            else Response(200, html, HTML, headers)
        )
        if is_shared:
            self._pages.remember({key: (version, response)})
        return self._site.with_choice(visit, response)

    async def _events(self, visit: Visit) -> Stream:
        await self._concert_of(visit)
        return Stream(await self._live.feed(visit.segment))

    async def _seats(self, visit: Visit) -> Response:
        return self._seats_of(await self._concert_of(visit))

    def _known_seats(self, request: Request) -> Response | None:
        """The seats of a concert that was asked for within the last second. They are the same for everybody."""
        kept = self._programme.fresh_concert(request.segment)
        return None if kept is None else self._seats_of(kept)

    def _seats_of(self, kept: FreshAnswer[Concert]) -> Response:
        shown = self._live.made(kept.value.id, kept)
        return shown.response._replace(same_until=self._until(kept, kept.value), source=kept.source)

    async def _calendar(self, visit: Visit) -> Response:
        concert = (await self._concert_of(visit)).value
        url = f"{self._site.base(visit)}/shop/concerts/{concert.id}"
        named = ("content-disposition", f'attachment; filename="{concert.id}.ics"')
        return Response(200, entry(concert, url=url, now=self._site.now()), CALENDAR, (named, NOSNIFF))

    async def _button(self, visit: Visit) -> Response:
        """How the sale stands, as a picture for other people's pages, which they may load."""
        now = sale((await self._concert_of(visit)).value, self._site.now())
        words = visit.gettext(_BUTTON[now])
        headers = tuple(each for each in SECURITY if each[0] != "cross-origin-resource-policy")
        return Response(200, button.picture(words, now), SVG, (*headers, *_FOR_OTHERS, VARY))

    async def _art(self, visit: Visit) -> Response:
        if not is_id(visit.segment):
            raise Missing
        return Response(200, picture(visit.segment), SVG, (A_DAY, *SECURITY))

    async def _clock(self, _: Visit) -> Response:
        answer: Mapping[str, int] = {"now": round(self._site.now().timestamp() * 1000)}
        return json_response(answer)._replace(headers=(("cache-control", "no-store"), NOSNIFF))

    async def _sitemap(self, visit: Visit) -> Response:
        base, today = self._site.base(visit), self._site.now().date().isoformat()
        after: str | None = None
        urls = [f"{base}/shop"]
        while len(urls) < LISTED_IN_SITEMAP:
            found = (await self._programme.list(**{"from": today}, after=after, limit=100)).value
            urls += [f"{base}/shop/concerts/{each.id}" for each in found.items if each.listed]
            after = found.next
            if after is None:
                break
        return Response(200, sitemap(urls), "application/xml", (("cache-control", "max-age=600"), NOSNIFF))

    async def _robots(self, visit: Visit) -> Response:
        lines = ("User-agent: *", "Disallow: /shop/orders", f"Sitemap: {self._site.base(visit)}/shop/sitemap.xml", "")
        return Response(200, "\n".join(lines).encode(), "text/plain; charset=utf-8", (A_DAY, NOSNIFF))


def _tag(visit: Visit, html: bytes) -> tuple[str, str]:
    return ("etag", f'"{hashlib.sha256(html).hexdigest()[:24]}{"-g" if visit.gzips else ""}"')


def _by_price(concert: Concert) -> list[Any]:
    return sorted(concert.sections, key=lambda each: each.price.amount)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10
