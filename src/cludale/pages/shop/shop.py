"""The shop's pages that are the same for everyone: the list of concerts."""

import time

from cludale.pages.shop.availability import sale
from cludale.pages.shop.programme import Programme
from cludale.pages.site import Site, Visit
from cludale.web.responses import Response
from cludale.web.routing import Route

PAGE = 24


class Shop:
    """All of the shop."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._programme = Programme(site.api, clock=time.monotonic)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [self._site.route("GET", "/shop", self._list)]

    def stop(self) -> None:
        """Nothing goes on by itself."""

    async def _list(self, visit: Visit) -> Response:
        now = self._site.now()
        asked = {name: visit.query.get(name, "").strip()[:200] or None for name in ("artist", "venue", "to")}
        start = visit.query.get("from", "")[:40] or now.date().isoformat()
        found = await self._programme.list(**asked, **{"from": start}, after=visit.query.get("after"), limit=PAGE)
        items = [(each, sale(each, now)) for each in found.value.items]
        html = self._site.html(visit, "shop/list.html", items=items, following=found.value.next, asked=asked)
        return self._site.public(visit, html)
