"""Pages for who is signed in: each method says its route, and which scope it takes, as the services' methods do."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cludale.pages.site import Site
from cludale.pages.staff.signing import Signing, Staff, StaffRoute
from cludale.web.responses import Response, Stream
from cludale.web.routing import Route

Page = TypeVar("Page", bound=Callable[[Any, Staff], Awaitable[Response | Stream]])


def page(
    method: str, path: str, scope: str | None = None, *, carries_on: bool = True, most_bytes: int | None = None
) -> Callable[[Page], Page]:
    """Marks a method as a page. `scope`: what a session has to have for it; `most_bytes`: of a large form.

    Without `carries_on` asking for it does not keep the session alive: nobody need be there.
    """

    def mark(method_of_it: Page) -> Page:
        vars(method_of_it)["page"] = StaffRoute(method, path, scope, carries_on, most_bytes)
        return method_of_it

    return mark


class StaffPages:
    """What classes of such pages derive from."""

    def __init__(self, site: Site, signing: Signing) -> None:
        self._site = site
        self._signing = signing

    def routes(self) -> list[Route]:
        """The routes of the methods that are marked, in their order."""
        found: list[Route] = []
        for each in vars(type(self)).values():
            marked: StaffRoute | None = vars(each).get("page") if inspect.isfunction(each) else None
            if marked is not None:
                found.append(self._signing.route(marked, each.__get__(self)))
        return found
