"""Which scope each page of the staff takes: written on its method, and here."""

from datetime import UTC, datetime

import pytest

from cludale.pages.api import InProcess
from cludale.pages.console.console import Console
from cludale.pages.desk.desk import Desk
from cludale.pages.site import Site, Visit
from cludale.pages.staff.office import Office
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Page, Signing, Staff, StaffRoute
from cludale.web.responses import Response
from cludale.web.routing import Route

OWN = {
    "/staff": "sends on who may not read",
    "/staff/concerts/{concert_id}": "shows what one's scopes let one see",
    "/staff/concerts/{concert_id}/figures": "a piece of that",
    "/staff/concerts/{concert_id}/guests": "lists guests to who reads or sells",
    "/staff/exports/file": "takes `privacy` or `read`, by what is asked for",
    "/staff/session": "one's own",
    "/staff/session/end-others": "one's own",
    "/staff/keys": "the API says who may see them",
    "/staff/keys/{key_id}/revoke": "as it says there",
    "/staff/sessions": "as it says there",
    "/staff/sessions/{session_id}/end": "as it says there",
    "/staff/people": "as it says there",
    "/staff/people/{person_id}/end": "as it says there",
    "/staff/door": "as it says there",
}
"""Pages that any session may ask for, and why."""


class Noted(Signing):
    """Notes what pages say of themselves."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.seen: list[StaffRoute] = []

    def route(self, marked: StaffRoute, page: Page) -> Route:
        """As the pages are."""
        self.seen.append(marked)
        return super().route(marked, page)


@pytest.fixture
def signing() -> Noted:
    """Whom pages tell."""
    return Noted(Site(InProcess(), now=lambda: datetime.now(UTC)))


def test_each_page_of_the_staff_takes_a_scope_or_says_why_not(signing: Noted) -> None:
    site = Site(InProcess(), now=lambda: datetime.now(UTC))
    for area in (Desk(site, signing), Console(site, signing, (), None), Office(site, signing)):
        area.routes()
    without = {each.path for each in signing.seen if each.scope is None}
    assert without == OWN.keys()
    assert {each.scope for each in signing.seen if each.path.startswith("/staff/console")} == {"operate"}


def test_a_method_that_is_marked_is_a_route_and_any_other_is_none(signing: Noted) -> None:
    class Two(StaffPages):
        @page("GET", "/staff/one", "read", carries_on=False)
        async def one(self, staff: Staff) -> Response:
            return staff.see("/")

        async def no_page(self, visit: Visit) -> None: ...

        @page("POST", "/staff/two", most_bytes=9)
        async def two(self, staff: Staff) -> Response:
            return staff.see("/")

    routes = Two(Site(InProcess(), now=lambda: datetime.now(UTC)), signing).routes()
    assert [(each.method, each.path, each.max_body_bytes) for each in routes] == [
        ("GET", "/staff/one", None),
        ("POST", "/staff/two", 9),
    ]
    assert signing.seen[0] == StaffRoute("GET", "/staff/one", "read", carries_on=False, most_bytes=None)
