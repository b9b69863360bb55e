"""The chain of hashes: where it ends, and a check of all of it, part by part.

Each part is a request of its own, which says where the next begins. So nothing runs in the background, a check goes
on whichever process answers, and it ends with whoever looks at it.
"""

import time

from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.console.views import Chain, Checked
from cludale.pages.site import NO_STORE, SECURITY, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import HTML, Response

PART_SECONDS = 0.7
"""How long one page of a check takes: then it shows how far it is."""


class ChainPages(StaffPages):
    """The chain's state, and its check."""

    @page("GET", "/staff/console/chain", "operate")
    async def _show(self, staff: Staff) -> Response:
        return self._page(staff, await _state(staff), None)

    @page("POST", "/staff/console/chain", "operate")
    async def _begin(self, staff: Staff) -> Response:
        """A part of the check, and how far it is then; with scripts the rest comes by itself."""
        fields = forms.read(staff.visit.request)
        found = await self._checked(staff, fields.get("after") or None)
        return self._page(staff, await _state(staff), found)

    @page("POST", "/staff/console/chain/part", "operate")
    async def _part(self, staff: Staff) -> Response:
        """The same as a piece of the page."""
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
        return staff.shown("console/chain.html", chain=chain, check=check)


async def _state(staff: Staff) -> Chain:
    return checked(await staff.ask("GET", path("audit", "chain"))).read(Chain)
