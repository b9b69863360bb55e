"""The chain of hashes: where it ends, and a check of all of it, part by part.

Each part is a request of its own, which says where the next begins. So nothing runs in the background, a check goes
on whichever process answers, and it ends with whoever looks at it.
"""

import time

from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.console import asking
from cludale.pages.console.views import Chain, Checked
from cludale.pages.site import NO_STORE, SECURITY, Site, checked
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import HTML, Response
from cludale.web.routing import Route

PART_SECONDS = 0.7
"""How long one page of a check takes: then it shows how far it is."""


class ChainPages:
    """The chain's state, and its check."""

    def __init__(self, site: Site, signing: Signing) -> None:
        self._site = site
        self._signing = signing

    def routes(self) -> list[Route]:
        """Their routes."""
        page = self._signing.route
        return [
            page("GET", "/staff/console/chain", self._show),
            page("POST", "/staff/console/chain", self._begin),
            page("POST", "/staff/console/chain/part", self._part),
        ]

    async def _show(self, staff: Staff) -> Response:
        staff.need("operate")
        return self._page(staff, await _state(staff), None)

    async def _begin(self, staff: Staff) -> Response:
        """A part of the check, and how far it is then; with scripts the rest comes by itself."""
        staff.need("operate")
        fields = forms.read(staff.visit.request)
        found = await self._checked(staff, fields.get("after") or None)
        return self._page(staff, await _state(staff), found)

    async def _part(self, staff: Staff) -> Response:
        """The same as a piece of the page."""
        staff.need("operate")
        found = await self._checked(staff, forms.read(staff.visit.request).get("after") or None)
        csrf = forms.token(self._site.form_seed(staff.visit)[0])
        html = self._site.html(staff.visit, "console/check.html", check=found, csrf=csrf)
        return Response(200, html, HTML, (*SECURITY, NO_STORE))

    async def _checked(self, staff: Staff, after: str | None) -> Checked:
        until = time.monotonic() + PART_SECONDS
        while True:
            asked = path("audit", "verify", "parts", after=after)
            found = checked(await staff.ask("GET", asked)).read(Checked)
            if found.next is None or time.monotonic() > until:
                return found
            after = found.next

    def _page(self, staff: Staff, chain: Chain, check: Checked | None) -> Response:
        return asking.shown(self._site, staff, "console/chain.html", chain=chain, check=check)


async def _state(staff: Staff) -> Chain:
    return checked(await staff.ask("GET", path("audit", "chain"))).read(Chain)
