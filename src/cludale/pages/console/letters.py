"""Dead letters: listed, looked at, delivered again, one by one or all of a subscription."""

from collections.abc import Sequence
from typing import NamedTuple

from cludale.pages import forms
from cludale.pages.api import Refused, Unreachable, path
from cludale.pages.console.views import AllRetried, Letter, Letters, Retried
from cludale.pages.site import Missing, Site, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response

SHOWN = 25
OF_EACH = 10
"""Of each service, where all are shown."""
RETRIED_AT_ONCE = 100
"""The most that the API takes in one request."""
STATES = ("Waiting", "Delivered")


class Of(NamedTuple):
    """The letters of one service."""

    service: str
    items: list[Letter]
    more: bool
    answers: bool


class LetterPages(StaffPages):
    """The pages of the dead letters."""

    def __init__(self, site: Site, signing: Signing, services: Sequence[str]) -> None:
        self._services = services
        super().__init__(site, signing)

    @page("GET", "/staff/console/letters", "operate")
    async def _list(self, staff: Staff) -> Response:
        query = staff.visit.query
        service, after = query.get("service", ""), query.get("after") or None
        state = query.get("state", "Waiting")
        if service in self._services:
            return await self._of_one(staff, service, state, after)
        found = [await self._letters_of(staff, each, state) for each in self._services]
        return staff.shown(
            "console/letters.html",
            all=found,
            services=self._services,
            service="",
            state=state,
            onward=None,
            is_first=True,
        )

    async def _of_one(self, staff: Staff, service: str, state: str, after: str | None) -> Response:
        asked = path(service, "-", "dead-letters", state=_state(state), limit=SHOWN, after=after)
        found = checked(await staff.ask("GET", asked)).read(Letters)
        onward = None if found.next is None else path(service=service, state=state, after=found.next)
        return staff.shown(
            "console/letters.html",
            all=[Of(service, found.items, more=False, answers=True)],
            services=self._services,
            service=service,
            state=state,
            onward=onward,
            is_first=after is None,
        )

    async def _letters_of(self, staff: Staff, service: str, state: str) -> Of:
        try:
            asked = path(service, "-", "dead-letters", state=_state(state), limit=OF_EACH)
            found = checked(await staff.ask("GET", asked)).read(Letters)
        except (Refused, Unreachable, Missing):
            return Of(service, [], more=False, answers=False)
        return Of(service, found.items, more=found.next is not None, answers=True)

    @page("GET", "/staff/console/letters/{letter_id}", "operate")
    async def _show(self, staff: Staff) -> Response:
        service = staff.visit.query.get("service", "")
        if service not in self._services:
            raise Missing
        asked = path(service, "-", "dead-letters", staff.visit.segment)
        letter = checked(await staff.ask("GET", asked)).read(Letter)
        return staff.shown("console/letter.html", letter=letter, service=service)

    @page("POST", "/staff/console/letters", "operate")
    async def _retry(self, staff: Staff) -> Response:
        """One that the form names, or all that wait with its service."""
        fields = forms.read(staff.visit.request)
        service, id = fields.get("service", ""), fields.get("id", "")
        if service not in self._services:
            raise Missing
        more = False
        if id:
            ids = [id]
        else:
            asked = path(service, "-", "dead-letters", state="Waiting", limit=RETRIED_AT_ONCE)
            found = checked(await staff.ask("GET", asked)).read(Letters)
            ids, more = [each.id for each in found.items], found.next is not None
        retried: list[Retried] = []
        if ids:
            answer = await staff.ask("POST", path(service, "-", "dead-letters", "retry"), {"ids": ids})
            retried = checked(answer).read(AllRetried).items
        taken = [each for each in retried if each.state == "Delivered"]
        return staff.shown(
            "console/retried.html",
            service=service,
            retried=retried,
            taken=len(taken),
            more=more,
            is_one=bool(id),
        )


def _state(state: str) -> str | None:
    return state if state in STATES else None
